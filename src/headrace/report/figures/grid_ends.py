"""The critical batch size and the fewest steps of every configuration of a grid, as intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from headrace.analysis.verdict import configuration
from headrace.report.canvas import Canvas, Layout, binary_axis
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.numbers import plain
from headrace.report.style import mark
from headrace.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.grid import Grid
    from headrace.analysis.results import Analysis

WORDS = Words(
    title="How far batch size pays, in every configuration",
    caption=(
        "By the model of all studies together, with 95% intervals. First the critical batch size: where "
        "twice the fewest possible steps are needed; further right, larger batches still pay. Then the "
        "fewest possible steps: what no batch size gets below; further left is faster.",
    ),
)
_ROW, _TOP, _BOTTOM, _GAP, _LETTER = 24, 34, 52, 14, 7
_LEAST, _MOST = 2.0**-7, 2.0**7
"""An axis shows this far beyond the estimates; an interval that goes further leaves the frame."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One configuration: its critical batch size and its fewest steps, each with its interval."""

    label: str
    critical: tuple[float, float, float]
    fewest: tuple[float, float, float]


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis; none without replicates of a grid."""
    if analysis.grid is None:
        return []
    found = rows(analysis.grid)
    said = "; ".join(f"{row.label}: {plain(row.critical[0])}, {plain(row.fewest[0])} steps" for row in found)
    columns = (
        "configuration", "critical_batch_size", "critical_low", "critical_high",
        "fewest_steps", "fewest_low", "fewest_high",
    )  # fmt: skip
    return [
        Picture(
            name="ends",
            words=WORDS,
            description=f"{WORDS.title}. {said}.",
            table=Table(
                columns=columns, rows=tuple((row.label, *row.critical, *row.fewest) for row in found)
            ),
            draw=partial(draw, found),
        )
    ]


def rows(grid: Grid) -> list[Row]:
    """Every configuration, the baselines first."""
    from scipy.special import stdtrit

    t = float(stdtrit(grid.joint.freedom, 0.975))

    def ends(value: float, error: float) -> tuple[float, float, float]:
        low, high = (math.exp(min(max(end, -690.0), 690.0)) for end in (value - t * error, value + t * error))
        return math.exp(value), low, high

    found = list[Row]()
    for levels in grid.configurations:
        critical, fewest = (
            grid.joint.estimate(what, [(levels, 1.0, 1.0)]) for what in ("critical", "fewest")
        )
        found.append(
            Row(
                label=configuration(levels),
                critical=ends(critical.value, critical.error),
                fewest=ends(fewest.value, fewest.error),
            )
        )
    return found


def draw(found: Sequence[Row], layout: Layout) -> Figure:
    """Two panels of the same rows: next to each other if there is room, or else one below the other.

    Names are left of the rows if they take less than half of the width, or else above them.
    """
    wide = layout.panels > 1
    labels = [_short(row.label, (layout.width - _GAP) // (_LETTER * layout.panels)) for row in found]
    names = 8 + max(map(len, labels)) * _LETTER
    left = wide and names < layout.width * 0.45
    height = len(found) * _ROW * (1 if left else 2)
    start = names if left else 0
    width = (layout.width - start - 2 * _GAP) / 2 if wide else layout.width - _GAP
    whole = _TOP + height + _BOTTOM
    canvas = Canvas(layout.width, whole if wide else 2 * whole)
    first = canvas.axes(start, _TOP, width, height)
    beside, below = (start + width + 2 * _GAP, _TOP), (0, _TOP + whole)
    second = canvas.axes(*(beside if wide else below), width, height)
    _panel(first, "critical batch size (examples)", [row.critical for row in found], 0)
    _panel(second, "fewest possible steps", [row.fewest for row in found], 1)
    if left:
        first.set_yticklabels(labels)
    else:
        _name_above(first, labels)
        _name_above(second, labels)
    return canvas.figure


def _short(label: str, room: int) -> str:
    """A configuration without the axes' names, in at most `room` letters; the table has all of it."""
    parts = [part.removeprefix("policy ").removeprefix("subset ") for part in label.split(", ")]
    said = ", ".join(parts)
    return said if len(said) <= room else f"{said[: room - 1]}…"


def _name_above(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_ylim(len(labels) - 0.5, -0.8)
    for row, label in enumerate(labels):
        place = axes.get_yaxis_transform()
        axes.text(0, row - 0.28, label, transform=place, ha="left", va="bottom")


def _panel(axes: Axes, label: str, values: Sequence[tuple[float, float, float]], place: int) -> None:
    middle = [value for value, _, _ in values]
    least, most = min(middle) * _LEAST, max(middle) * _MOST
    shown = [min(max(end, least), most) for span in values for end in span]
    binary_axis(axes, shown, which="x")
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_yticks(range(len(values)), labels=[""] * len(values))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(label)
    style = mark(place)
    for row, (value, low, high) in enumerate(values):
        axes.plot([max(low, least / 2), min(high, most * 2)], [row, row], color=style.colour, linewidth=1.6)
        axes.plot([value], [row], linestyle="", **style.style())
