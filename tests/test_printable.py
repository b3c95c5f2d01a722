"""Text from names and data as it may be shown."""

from __future__ import annotations

import unicodedata
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.printable import brief, cut, printable, storable

ANY = st.text(st.characters(exclude_categories=()))


@given(ANY)
def test_nothing_shown_is_obeyed_by_a_terminal_and_all_of_it_can_be_encoded(text: str) -> None:
    shown = printable(text, one_line=True)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp", "Cn"}
    shown.encode("utf-8")
    assert printable(shown, one_line=True) == shown


@given(ANY)
def test_what_is_shown_can_stand_in_xml(text: str) -> None:
    shown = printable(text).replace("&", "&amp;").replace("<", "&lt;")
    ET.fromstring(f"<text>{shown}</text>")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zürich 東京 \U0001f40d", "Zürich 東京 \U0001f40d"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("abc\r123", "abc\\r123"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("a\u200bb", "a\\u200bb"),
        ("one\ntwo\tthree", "one\ntwo\tthree"),
        ("caf\udce9", "caf\\udce9"),
    ],
)
def test_characters_that_are_not_seen_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_names_stay_in_their_line() -> None:
    assert printable("one\ntwo\t", one_line=True) == "one\\ntwo\\t"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=9), lambda v: st.lists(v, max_size=3), max_leaves=8
    )
)
def test_small_values_are_shown_as_repr_does(value: object) -> None:
    if repr(value).count("[[[[") == 0:
        assert brief(value) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**7,
        [1] * 10**6,
        {str(i): i for i in range(10**6)},
        10**100_000,
        [[[[[["deep"] * 99] * 99] * 99]]],
    ],
    ids=["text", "list", "table", "number", "nested"],
)
def test_a_huge_value_is_shown_in_a_few_lines(value: object) -> None:
    assert len(brief(value)) < 10_000


def test_a_cut_text_says_how_much_is_missing() -> None:
    assert cut("abcdef", 6) == "abcdef"
    assert cut("a" * 1500, 100) == "a" * 100 + "... (1,400 more characters)"


def test_only_what_no_encoding_takes_is_changed_in_names_that_are_stored() -> None:
    assert storable("caf\udce9 \u200d \x1b é") == "caf\\udce9 \u200d \x1b é"
