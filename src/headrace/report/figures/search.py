"""Every trial of each search of one curve, a small panel for each batch size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace.report.canvas import (
    Box,
    Layout,
    binary_axis,
    decimal_axis,
    heading,
    legend_height,
    panel_grid,
)
from headrace.report.figures import _common as common
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.figures._trials import by_study
from headrace.report.numbers import short
from headrace.report.tables import Table
from headrace.report.values import Curve, Row, curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.results import Analysis

_SEARCH = (
    "A panel for each batch size B, each mark one trial; the title says how many reached the goal. The star "
    "is the trial with the fewest steps. A star at the edge of the cloud means that the search space should "
    "be wider there. Trials that were stopped early could no longer have changed the result."
)


def search_words(curve: str, *, momentum: bool) -> Words:
    """The words of one curve's scatter."""
    axes = (
        "Across: the learning rate; up: the momentum, on an axis in which 0.9, 0.99 and 0.999 are equally "
        "far apart."
        if momentum
        else (
            "Across: the learning rate; up: the steps to the goal, or the steps trained if it was not "
            "reached."
        )
    )
    return Words(title=f"Every trial of the search: {curve}", caption=(axes, _SEARCH))


class Ending(StrEnum):
    """How a trial ended, as the scatter of a search shows it."""

    REACHED = "reached the goal"
    NOT_REACHED = "did not reach it"
    STOPPED = "stopped early"
    INFEASIBLE = "diverged"
    FAILED = "failed with an error"


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One trial of a search; `steps` is where it reached the goal, or how far it was trained."""

    trial: int
    learning_rate: float
    momentum: float | None
    steps: int
    ending: Ending
    best: bool


@dataclass(frozen=True, kw_only=True)
class Search:
    """All trials of one study."""

    batch_size: int
    dots: tuple[Dot, ...]

    @property
    def reached(self) -> int:
        """How many reached the goal."""
        return sum(dot.ending is Ending.REACHED for dot in self.dots)


@dataclass(frozen=True, kw_only=True)
class Searches:
    """The searches of one curve; `momentum` says whether momentum was tuned in them."""

    curve: str
    searches: tuple[Search, ...]
    momentum: bool

    @property
    def dots(self) -> tuple[Dot, ...]:
        """All trials of all searches."""
        return tuple(dot for search in self.searches for dot in search.dots)


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """A figure for each curve."""
    return [_figure(place, curve, searches(analysis, curve)) for place, curve in enumerate(curves(analysis))]


def _figure(place: int, curve: Curve, found: Searches | None) -> Picture | Absent:
    name = f"search-{place + 1}-{re.sub(r'[^a-z0-9]+', '-', curve.label.lower()).strip('-')}".rstrip("-")[:60]
    if found is None:
        said = search_words(curve.label, momentum=False)
        return Absent(name=name, words=said, reason="The learning rate was the same in all trials.")
    said = search_words(curve.label, momentum=found.momentum)
    counts = ", ".join(
        f"{search.reached} of {len(search.dots)} at {short(search.batch_size)}" for search in found.searches
    )
    return Picture(
        name=name,
        words=said,
        description=f"{said.title}. Trials that reached the goal by batch size: {counts}.",
        table=search_table(found),
        draw=partial(draw, found),
    )


def searches(analysis: Analysis, curve: Curve) -> Searches | None:
    """The searches of one curve, None where the learning rate was the same in all trials."""
    rows = by_study(analysis)
    some = tuple(
        Search(
            batch_size=point.batch_size,
            dots=tuple(_dot(row) for row in rows.get(point.study, []) if _has_rate(row)),
        )
        for point in curve.points
    )
    dots = [dot for search in some for dot in search.dots]
    if len({dot.learning_rate for dot in dots}) < 2:
        return None
    tuned = len({dot.momentum for dot in dots}) > 1
    return Searches(curve=curve.label, searches=some, momentum=tuned)


def _has_rate(row: Row) -> bool:
    rate, momentum = row.get("learning_rate"), row.get("momentum")
    return rate is not None and rate > 0 and (momentum is None or momentum < 1)


def _dot(row: Row) -> Dot:
    return Dot(
        trial=row["trial"],
        learning_rate=row["learning_rate"],
        momentum=row.get("momentum"),
        steps=row["trained"] if row["reached"] is None else row["reached"],
        ending=ending(str(row["status"]), reached=row["reached"] is not None),
        best=bool(row["best"]),
    )


def ending(status: str, *, reached: bool) -> Ending:
    """What a status of `experiments.records.Status` means to the reader of a scatter."""
    if status == "COMPLETE":
        return Ending.REACHED if reached else Ending.NOT_REACHED
    return {"STOPPED": Ending.STOPPED, "INFEASIBLE": Ending.INFEASIBLE}.get(status, Ending.FAILED)


def search_table(searches: Searches) -> Table:
    """Every trial of a curve's searches."""
    columns = ("curve", "batch_size", "trial", "learning_rate", "momentum", "steps", "ending", "best")
    rows = tuple(
        (
            searches.curve,
            search.batch_size,
            d.trial,
            d.learning_rate,
            d.momentum,
            d.steps,
            d.ending.value,
            d.best,
        )
        for search in searches.searches
        for d in search.dots
    )
    return Table(columns=columns, rows=rows)


_BOX = Box(left=48, right=8, top=34, bottom=26)

_MARKS: dict[Ending, dict[str, Any]] = {
    Ending.STOPPED: {"marker": "_", "color": "#8a8a8a", "markersize": 7, "markeredgewidth": 1.5},
    Ending.NOT_REACHED: {"marker": "o", "color": "#444444", "markersize": 5, "markerfacecolor": "white"},
    Ending.INFEASIBLE: {"marker": "x", "color": "#D55E00", "markersize": 5.5, "markeredgewidth": 1.4},
    Ending.FAILED: {"marker": "+", "color": "#000000", "markersize": 7, "markeredgewidth": 1.4},
    Ending.REACHED: {"marker": "o", "color": "#0072B2", "markersize": 5},
}

_STAR: dict[str, Any] = {
    "marker": "*", "color": "#E69F00", "markersize": 14, "markeredgecolor": "#222222", "markeredgewidth": 0.9,
}  # fmt: skip


def draw(searches: Searches, layout: Layout) -> Figure:
    """Learning rate against momentum, or steps where momentum was not tuned; all panels on equal axes."""
    handles = _handles(searches.dots)
    up = "momentum" if searches.momentum else "steps"
    head = legend_height(handles, layout.width) + 26
    canvas, frames = panel_grid(
        layout, len(searches.searches), columns=layout.small_panels, height=104, box=_BOX, head=head
    )
    canvas.legend(handles)
    canvas.figure.text(0, 1 - (head - 12) / canvas.height, f"↑ {up},  → learning rate", va="bottom")
    for axes, search in zip(frames, searches.searches, strict=True):
        _panel(axes, search, searches)
    return canvas.figure


def _handles(dots: Sequence[Dot]) -> list[Any]:
    present = {dot.ending for dot in dots}
    handles = [common.line_handle("best", linestyle="", **_STAR)] if any(dot.best for dot in dots) else []
    return handles + [
        common.line_handle(ending.value, linestyle="", **_MARKS[ending])
        for ending in Ending
        if ending in present
    ]


def _panel(axes: Axes, search: Search, searches: Searches) -> None:
    decimal_axis(axes, [dot.learning_rate for dot in searches.dots], which="x")
    if searches.momentum:
        decimal_axis(axes, [_height(dot, searches) for dot in searches.dots], complement=True)
        axes.invert_yaxis()
    else:
        binary_axis(axes, [_height(dot, searches) for dot in searches.dots], pad=1.8)
    heading(
        axes, f"B = {short(search.batch_size)}: {search.reached} of {len(search.dots)}", left=_BOX.left - 8
    )
    for ending, style in _MARKS.items():
        _scatter(axes, [dot for dot in search.dots if dot.ending is ending], searches, style)
    _scatter(axes, [dot for dot in search.dots if dot.best], searches, _STAR)


def _scatter(axes: Axes, dots: Sequence[Dot], searches: Searches, style: dict[str, Any]) -> None:
    heights = [_height(dot, searches) for dot in dots]
    axes.plot([dot.learning_rate for dot in dots], heights, linestyle="", **style)


def _height(dot: Dot, searches: Searches) -> float:
    """1 - momentum, or the steps; a trial that never made a step is at 1."""
    return 1 - (dot.momentum or 0.0) if searches.momentum else float(max(1, dot.steps))
