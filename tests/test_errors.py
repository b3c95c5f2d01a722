"""Errors say what, where, what was got, and the fix."""

import pickle

from headrace.errors import InputError, InputErrors


def test_an_input_error_says_what_where_got_and_fix() -> None:
    error = InputError("is not positive", where="a.toml: search.trials", got=-1, fix="Ask for one or more.")
    assert str(error) == "a.toml: search.trials: is not positive; got -1. Ask for one or more."


def test_none_is_something_that_can_be_got() -> None:
    assert str(InputError("is missing", got=None)) == "is missing; got None"
    assert str(InputError("is missing")) == "is missing"


def test_all_errors_of_a_file_are_told_at_once() -> None:
    error = InputErrors([InputError("one"), InputError("two")], where="a.toml")
    assert str(error) == "a.toml: 2 errors\n  - one\n  - two"


def test_of_very_many_errors_the_first_are_shown_and_the_others_counted() -> None:
    errors = [InputError(f"error {i}") for i in range(8000)]
    text = str(InputErrors(errors, where="a.toml"))
    assert text.startswith("a.toml: 8,000 errors\n  - error 0\n")
    assert text.endswith("\n  - error 29\n  - and 7,970 more")
    assert len(InputErrors(errors, where="a.toml").errors) == 8000


def test_what_is_got_may_be_huge_and_the_text_is_not() -> None:
    assert len(str(InputError("is wrong", got=["x" * 10**6] * 10**5))) < 10_000
    assert len(str(InputError("no" * 10**7, where="w" * 10**7, fix="f" * 10**7))) < 300_000


def test_no_control_character_comes_from_a_name_or_a_message() -> None:
    error = InputError("raised \x1b[2J\nat line 3", where="a\nb\u202e.toml", got="\x07")
    assert str(error) == "a\\nb\\u202e.toml: raised \\x1b[2J\nat line 3; got '\\x07'"


def test_an_error_found_within_a_file_keeps_its_key_value_and_fix() -> None:
    inner = InputError("is a date", where="settings.when", got=3, fix="Write it as text.")
    assert str(inner.within("a.toml")) == "a.toml: settings.when: is a date; got 3. Write it as text."
    assert str(InputError("is wrong").within("a.toml")) == "a.toml: is wrong"


def test_an_error_from_another_process_says_the_same_elsewhere() -> None:
    sent = pickle.loads(pickle.dumps(InputError("must be whole", where="seed", fix="Use 3.")))
    assert "got" not in str(sent.within("file.toml"))
