"""How much each configuration loses against the best one, for each aim: a table of shaded cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from headrace.analysis.verdict import AIMS, losses, name
from headrace.report.canvas import Canvas, Layout
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.numbers import plain, short
from headrace.report.style import INK
from headrace.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.grid import Grid
    from headrace.analysis.results import Analysis

WORDS = Words(
    title="How much each configuration loses against the best",
    caption=(
        "Each cell is a configuration at its own best batch size (the small number): how many times the cost "
        "of the best cell it needs, in steps (fastest), in examples (cheapest), or in both (balanced: the "
        "square root of their product). 1 is the best. By the model of all studies; which of them are shown "
        "to differ is said in the verdict.",
    ),
)
_ROW, _NAME, _TOP, _GAP = 44, 22, 46, 10
_PALE, _DARK = (1.0, 1.0, 1.0), (0.0, 0.447, 0.698)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A configuration for one aim: its row and column, its loss as a factor, and its best batch size."""

    aim: str
    row: str
    column: str
    loss: float
    batch_size: float


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis; none without replicates of a grid."""
    if analysis.grid is None:
        return []
    found = cells(analysis.grid)
    best = "; ".join(
        f"{aim}: {best.row}, {best.column} at {short(int(best.batch_size))}"
        for aim in AIMS
        if (best := min((cell for cell in found if cell.aim == aim), key=lambda cell: cell.loss))
    )
    columns = ("aim", "row", "column", "loss", "batch_size")
    rows = tuple((cell.aim, cell.row, cell.column, cell.loss, cell.batch_size) for cell in found)
    return [
        Picture(
            name="choices",
            words=WORDS,
            description=f"{WORDS.title}. The best: {best}.",
            table=Table(columns=columns, rows=rows),
            draw=partial(draw, found),
        )
    ]


def cells(grid: Grid) -> list[Cell]:
    """Every configuration for every aim; a row per level of one axis."""
    rows_axis = next(axis for axis in ("policy", "optimizer", "subset", "workers") if axis in grid.baselines)
    found = list[Cell]()
    for aim in AIMS:
        values = losses(grid.joint, grid.choices, aim)
        best: dict[tuple[str, str], Cell] = {}
        for choice, value in zip(grid.choices, values, strict=True):
            rest = {axis: level for axis, level in choice.levels.items() if axis != rows_axis}
            row, column = name(choice.levels[rows_axis]), ", ".join(_level(*item) for item in rest.items())
            cell = Cell(aim=aim, row=row, column=column, loss=math.exp(value), batch_size=choice.batch_size)
            if (row, column) not in best or cell.loss < best[row, column].loss:
                best[row, column] = cell
        found += best.values()
    return found


def _level(axis: str, level: str) -> str:
    return f"{level} workers" if axis == "workers" else name(level)


def draw(found: Sequence[Cell], layout: Layout) -> Figure:
    """One table of cells an aim, below each other; rows are named at their left, if narrow above them."""
    rows = list(dict.fromkeys(cell.row for cell in found))
    columns = list(dict.fromkeys(cell.column for cell in found))
    beside = layout.panels > 1
    names = 8 + max(len(_short(row)) for row in rows) * 7 if beside else 0
    row_height = _ROW if beside else _ROW + _NAME
    one = _TOP + len(rows) * row_height + 2 * _GAP
    canvas = Canvas(layout.width, len(AIMS) * one)
    for place, aim in enumerate(AIMS):
        axes = canvas.axes(names, _TOP + place * one, layout.width - names - _GAP, len(rows) * row_height)
        top = 0.0 if beside else _NAME / row_height
        _heads(axes, aim, rows, columns)
        for cell in found:
            if cell.aim == aim:
                _cell(axes, cell, rows.index(cell.row), columns.index(cell.column), top)
        for i, row in enumerate(rows):
            if beside:
                axes.annotate(
                    _short(row), (0, i + 0.5), (-6, 0), textcoords="offset points", ha="right", va="center"
                )
            else:
                axes.text(0.03, i + top * 0.95, row, ha="left", va="bottom")
    return canvas.figure


def _short(text: str) -> str:
    return text if len(text) <= 32 else f"{text[:31]}…"


def _heads(axes: Axes, aim: str, rows: Sequence[str], columns: Sequence[str]) -> None:
    """The axes of one aim, with its name and those of its columns."""
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(rows), 0)
    axes.set_axis_off()
    width = axes.get_window_extent().width / len(columns)
    axes.annotate(aim, (0, 0), (0, 24), textcoords="offset points", ha="left", va="bottom", fontweight="bold")
    for j, column in enumerate(columns):
        text = column if len(column) * 7 <= width else f"{column[: max(3, int(width / 7) - 1)]}…"
        axes.annotate(text, (j + 0.5, 0), (0, 4), textcoords="offset points", ha="center", va="bottom")


def _cell(axes: Axes, cell: Cell, row: int, column: int, top: float) -> None:
    """One cell: the darker, the more it loses, to twice the best; `top` of its row is left for the name."""
    from matplotlib.patches import Rectangle

    share = min(math.log2(cell.loss), 1.0)
    colour = tuple(pale + share * 0.8 * (dark - pale) for pale, dark in zip(_PALE, _DARK, strict=True))
    ink, height = "white" if share > 0.6 else INK, 1 - top
    place = (column + 0.02, row + top + 0.04 * height)
    axes.add_patch(Rectangle(place, 0.96, 0.92 * height, facecolor=colour, edgecolor="#c8c8c8"))
    lines = ((0.32, plain(cell.loss)), (0.72, f"at {short(int(cell.batch_size))}"))
    for share_down, text in lines:
        axes.text(column + 0.5, row + top + share_down * height, text, ha="center", va="center", color=ink)
