"""How numbers are written, and where the ticks of logarithmic axes stand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.report.numbers import binary_ticks, decimal_ticks, plain, short, whole


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5, "1,234"), (0.01249, "0.0125"), (0.1, "0.1"), (100.0, "100"), (0.0, "0"), (9.999, "10"),
        (None, "–"), (math.nan, "–"), (math.inf, "∞"), (-0.5, "-0.5"),
    ],
)  # fmt: skip
def test_a_number_is_written_without_exponents(value: float | None, text: str) -> None:
    assert plain(value) == text


def test_counts_keep_all_their_digits() -> None:
    assert whole(1234567.4) == "1,234,567"
    assert whole(None) == "–"
    assert whole(math.inf) == "∞"


@pytest.mark.parametrize(
    ("size", "text"), [(512, "512"), (1000, "1000"), (1024, "1k"), (55000, "55000"), (65536, "64k")]
)
def test_only_multiples_of_1024_are_shortened(size: int, text: str) -> None:
    assert short(size) == text


def test_binary_ticks_by_hand() -> None:
    assert binary_ticks(8, 64, 10) == [8, 16, 32, 64]
    assert binary_ticks(8, 64, 2) == [8, 32]
    assert binary_ticks(5.3, 24000, 4) == [8, 64, 512, 4096]


def test_decimal_ticks_by_hand() -> None:
    assert decimal_ticks(0.9, 11, 10) == [1, 2, 5, 10]
    assert decimal_ticks(0.9, 11, 3) == [1, 3, 10]
    assert decimal_ticks(0.001, 10, 5) == [0.001, 0.01, 0.1, 1, 10]
    assert decimal_ticks(0.001, 10, 3) == [0.01, 1]


@given(low=st.floats(1e-4, 1e5), factor=st.floats(1.5, 1e7), most=st.integers(2, 12))
def test_ticks_lie_within_the_axis_and_have_room(low: float, factor: float, most: int) -> None:
    high = low * factor
    for ticks in (binary_ticks(low, high, most), decimal_ticks(low, high, most)):
        assert ticks == sorted(set(ticks))
        assert len(ticks) <= most
        assert all(low * 0.999 <= tick <= high * 1.001 for tick in ticks)
