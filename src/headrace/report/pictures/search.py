"""Every trial of each search of one curve, a small panel for each batch size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.report.canvas import Box, Layout, binary_axis, decimal_axis, heading, legend_height, panel_grid
from headrace.report.numbers import short
from headrace.report.pictures import _common as common
from headrace.report.tuning import Dot, Ending, Search, Searches

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    """1 - momentum, or the steps; a trial that never made a step stands at 1."""
    return 1 - (dot.momentum or 0.0) if searches.momentum else float(max(1, dot.steps))
