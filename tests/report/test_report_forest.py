"""The forest plot of a comparison: in order of merit, each group with its interval and its verdict's mark."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.analysis.comparison import Comparison, compare
from headrace.errors import InputError
from headrace.report.forest import MARKS, draw, forest, write_forest
from headrace.report.style import TEXT, styled

SHIFTS = {"base": 0.0, "same": 0.1, "high": 9.0, "low": -9.0}


def compared(higher_is_better: bool) -> Comparison:
    rows = [(name, f"{name}-{seed}", shift + seed % 4) for name, shift in SHIFTS.items() for seed in range(8)]
    return compare(*zip(*rows, strict=True), baseline="base", higher_is_better=higher_is_better)


@pytest.mark.parametrize("higher_is_better", [False, True])
def test_the_best_is_on_top(higher_is_better: bool) -> None:
    value = forest(compared(higher_is_better), "test_error")
    assert [group.verdict for group in value.groups] == ["better", "no difference shown", "worse"]
    assert value.groups[0].group == ("high" if higher_is_better else "low")


def test_every_group_is_drawn_with_its_interval_and_mark() -> None:
    value = forest(compared(False), "test_error")
    with styled("test"):
        (axes,) = draw(value).axes
        bars, points = axes.lines[1::2], axes.lines[2::2]
    assert axes.lines[0].get_xdata() == [0, 0]
    for place, group in enumerate(value.groups):
        assert tuple(bars[place].get_xdata()) == group.interval
        assert list(points[place].get_xdata()) == [group.difference]
        assert list(bars[place].get_ydata()) == [place, place]
        assert points[place].get_color() == MARKS[group.verdict].colour
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [group.group for group in value.groups]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first is on top"
    assert axes.get_xlabel().startswith("test error: difference from base (")
    assert min(label.get_size() for label in [*axes.get_yticklabels(), axes.xaxis.label]) >= TEXT


def test_the_file_has_the_form_of_its_name(tmp_path: Path) -> None:
    write_forest(tmp_path / "a.svg", compared(False), "steps")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    with pytest.raises(InputError, match=r"ends in \.svg, \.pdf, \.png"):
        write_forest(tmp_path / "a.jpg", compared(False), "steps")
    with pytest.raises(InputError, match="folder does not exist"):
        write_forest(tmp_path / "none" / "a.png", compared(False), "steps")
