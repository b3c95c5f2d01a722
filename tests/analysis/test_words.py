"""Numbers in sentences: read back they are what they were, to the digits that are shown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.analysis.rounding import rounded
from headrace.analysis.words import beside, curve, duration, interval, listed, number, percent, span

UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
positive = st.floats(1e-3, 1e9)


@given(st.one_of(positive, st.integers(0, 10**12)), st.booleans())
def test_numbers_have_three_digits_and_whole_ones_all(value: float, negative: bool) -> None:
    value = -value if negative else value
    shown = number(value)
    back = float(shown.replace(",", ""))
    assert back == pytest.approx(value, rel=5.01e-3)
    if value == round(value):
        assert back == value
        assert "." not in shown and "e" not in shown
    elif abs(value) < 999.5:
        assert shown == f"{value:.3g}"
    else:
        assert back == float(f"{value:.3g}")
    assert all(len(group) == 3 for group in shown.split(".")[0].split(",")[1:])


def test_numbers_by_hand() -> None:
    shown = [
        number(v) for v in (0, 5, 999.5, 1000, 1234.5, 1234567, 0.12345, 99.96, 1000.4, -1500.7, math.inf)
    ]
    assert shown == [
        "0",
        "5",
        "1,000",
        "1,000",
        "1,230",
        "1,234,567",
        "0.123",
        "100",
        "1,000",
        "-1,500",
        "no limit",
    ]


@pytest.mark.parametrize(
    ("ends", "shown", "next_to"),
    [
        ((1, 2.5), "[1, 2.5]", "[1, 2.5]"),
        ((1, math.inf), "at least 1", "(at least 1)"),
        ((0, 3), "at most 3", "(at most 3)"),
        ((-1, 3), "at most 3", "(at most 3)"),
        ((0, math.inf), "not bounded", "(not bounded)"),
        ((1e-9, math.inf), "at least 1e-09", "(at least 1e-09)"),
    ],
)
def test_intervals_name_their_open_ends(ends: tuple[float, float], shown: str, next_to: str) -> None:
    assert interval(ends) == shown
    assert beside(ends) == next_to


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0%"),
        (1.0, "100%"),
        (0.5, "50%"),
        (0.123, "12%"),
        (0.1, "10%"),
        (0.0996, "10%"),
        (0.0314, "3.1%"),
        (0.00256, "0.26%"),
        (0.03, "3%"),
    ],
)
def test_shares_have_two_digits(share: float, text: str) -> None:
    assert percent(share) == text


def test_shares_have_the_digits_asked_for() -> None:
    assert [percent(share, digits=3) for share in (0.12345, 0.0005, 1 / 3, 1.0)] == [
        "12.3%",
        "0.05%",
        "33.3%",
        "100%",
    ]


@given(st.floats(1e-4, 1e6))
def test_durations_are_in_the_largest_unit_of_which_there_are_two(seconds: float) -> None:
    shown, unit = duration(seconds).split(" ")
    assert float(shown) * UNITS[unit] == pytest.approx(seconds, rel=5.01e-3)
    expected = "h" if seconds >= 7200 else "min" if seconds >= 120 else "s" if seconds >= 1 else "ms"
    assert unit == expected


def test_spans_and_lists() -> None:
    assert span(1, 2) == "1 s to 2 s"
    assert span(90, math.inf) == "at least 90 s"
    assert [listed(list("abcd")[:n]) for n in (1, 2, 3, 4)] == ["a", "a and b", "a, b and c", "a, b, c and d"]


def test_curves_are_called_by_what_is_not_the_default() -> None:
    assert curve(("sgd", "full", "shuffle", 1)) == "SGD"
    assert (
        curve(("adamw", "random:0.5", "infobatch", 4))
        == "AdamW, policy infobatch, subset random:0.5, 4 workers"
    )


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_stored_numbers_have_six_digits(value: float) -> None:
    found = rounded({"a": [value, (value, "x")], "b": value})
    expected = float(f"{value:.6g}") if math.isfinite(value) else None
    assert found == {"a": [expected, [expected, "x"]], "b": expected}
