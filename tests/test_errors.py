"""Errors say what, where, what was got, and the fix."""

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
