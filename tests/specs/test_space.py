"""Points of the search space: within it, spread evenly, and each a pure function of its name."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.specs.space import SCALES, Choices, Range, borders, draw, unit_points

units = st.floats(0, 1)


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    scale = draw(st.sampled_from(sorted(SCALES)))
    if scale == "one-minus-log":
        high = 1 - 10 ** draw(st.floats(-6, -2))
        return Range(low=high - draw(st.floats(1e-3, 0.9)), high=high, scale=scale)
    low = 10 ** draw(st.floats(-8, 3))
    return Range(low=low, high=low * draw(st.floats(1.01, 1e6)), scale=scale)


@given(ranges(), units)
def test_values_lie_in_the_range_and_map_back(entry: Range, unit: float) -> None:
    value = entry.value(unit)
    assert entry.low <= value <= entry.high
    # Rounding of the value, as a share of the range.
    slack = 1e-9 + 4e-16 / (1 - entry.high if entry.scale == "one-minus-log" else 1)
    assert entry.unit(value) == pytest.approx(unit, abs=max(slack, 1e-6))


@given(ranges(), units, units)
def test_values_rise_with_the_unit(entry: Range, a: float, b: float) -> None:
    assert entry.value(min(a, b)) <= entry.value(max(a, b))


def test_scales_by_hand() -> None:
    assert Range(low=1e-3, high=10.0, scale="log").value(0.5) == pytest.approx(0.1)
    assert Range(low=1.0, high=3.0, scale="linear").value(0.25) == pytest.approx(1.5)
    # 1 - value goes from 0.1 to 0.001: its geometric middle is 0.01.
    assert Range(low=0.9, high=0.999, scale="one-minus-log").value(0.5) == pytest.approx(0.99)
    assert [Choices(choices=(1.0, 2.0, 3.0)).value(u) for u in (0.0, 0.34, 0.99, 1.0)] == [1, 2, 3, 3]


SPACE = {
    "learning_rate": Range(low=1e-3, high=10.0, scale="log"),
    "momentum": Range(low=0.5, high=0.999, scale="one-minus-log"),
    "label_smoothing": Choices(choices=(0.0, 0.1)),
    "warmup_steps": Range(low=0, high=10, scale="linear"),
    "weight_decay": 1e-4,
}


def drawn(trial: int, *, seed: int = 0, study: str = "s", trials: int = 64) -> dict:
    return draw(SPACE, seed=seed, study=study, trial=trial, trials=trials)


def test_a_trial_depends_on_its_name_alone() -> None:
    assert drawn(5) == drawn(5, trials=6)
    others = [drawn(5, seed=1), drawn(5, study="t"), drawn(6)]
    assert all(other["learning_rate"] != drawn(5)["learning_rate"] for other in others)
    assert drawn(5)["weight_decay"] == 1e-4
    assert isinstance(drawn(5)["warmup_steps"], int)


def test_the_same_in_another_process() -> None:
    code = "from headrace.specs.space import unit_points;print(unit_points(7, 'study', 3, 9).tolist())"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert there.strip() == str(unit_points(7, "study", 3, 9).tolist())


def test_points_fill_every_axis_evenly() -> None:
    """The first 6^2 points of bases 2 and 3 put one in each of 36 cells; random ones would leave 13 empty."""
    points = unit_points(0, "s", 2, 36)
    cells = {(int(x * 4), int(y * 9)) for x, y in points}
    assert len(cells) == 36
    assert np.all((points >= 0) & (points < 1))


def test_borders_name_the_side_and_say_what_to_do() -> None:
    found = borders(
        SPACE, {"learning_rate": 9.0, "momentum": 0.501, "weight_decay": 1e-4, "label_smoothing": 0}
    )
    assert [(b.name, b.side, b.limit) for b in found] == [
        ("learning_rate", "high", 10.0),
        ("momentum", "low", 0.5),
    ]
    assert found[0].suggestion == (
        "The best learning_rate (9) is at the high end of its range (10): "
        "move search.space.learning_rate.high outwards in the file and give "
        "`headrace run FILE --out DIR --extend`."
    )
    assert borders(SPACE, {"learning_rate": 0.1, "momentum": 0.9}) == ()
