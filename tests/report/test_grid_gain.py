"""The figure of a grid's gains, with what was predicted of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.analysis.test_gain import foretold

from headrace.analysis.grid import Grid
from headrace.report.canvas import WIDE
from headrace.report.figures import grid_gain
from headrace.report.figures._base import Picture

from .made import a_grid, analysis


def _picture(grid: Grid) -> Picture:
    (picture,) = grid_gain.figures(replace(analysis(), grid=grid))
    assert isinstance(picture, Picture)
    return picture


def test_predicted_gains_are_a_dashed_line_and_columns_of_the_table() -> None:
    grid = foretold(0.5, 0.4)
    picture = _picture(grid)
    places = [picture.table.columns.index(f"predicted_{name}") for name in ("low", "ratio", "high")]
    rows = [tuple(row[place] for place in places) for row in picture.table.rows]
    assert rows == [(one.interval[0], one.ratio, one.interval[1]) for one in grid.predicted]
    assert any("dashed line" in text for text in picture.words.caption)
    (axes,) = [axes for axes in picture.draw(WIDE).axes if axes.lines]
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [np.asarray(line.get_ydata()).tolist() for line in dashed] == [[row[1] for row in rows]]


def test_a_grid_without_predictions_has_neither() -> None:
    picture = _picture(a_grid())
    assert "predicted_ratio" not in picture.table.columns
    assert not any("dashed" in text for text in picture.words.caption)
