"""Time to the goal and its cost against batch size, a curve for each number of workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from headrace.report.canvas import (
    Box,
    Layout,
    batch_axis,
    decimal_axis,
    heading,
    legend_height,
    panel_grid,
)
from headrace.report.pictures import _common as common
from headrace.report.style import INK, mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.report.choices import Choice

_BOX = Box(left=58, top=42)
_RING: dict[str, Any] = {"marker": "o", "markersize": 13, "markerfacecolor": "none", "markeredgewidth": 1.6}
_FRAME: dict[str, Any] = _RING | {"marker": "s", "markersize": 17}
_TOP = 10
"""The highest interval end that widens an axis, over the highest point."""


def draw(choices: Sequence[Choice], layout: Layout) -> Figure:
    """A panel for time and one for cost; the best options are ringed."""
    curves = list(dict.fromkeys(choice.curve for choice in choices))
    handles = [
        *(_handle(name, place) for place, name in enumerate(curves)),
        common.line_handle("the fastest, the cheapest", color=INK, linestyle="", **_RING),
        common.line_handle("the best compromise", color=INK, linestyle="", **_FRAME),
    ]
    head = legend_height(handles, layout.width)
    canvas, frames = panel_grid(layout, 2, columns=layout.panels, height=290, box=_BOX, head=head)
    panels: list[tuple[str, Callable[[Choice], int], str]] = [
        ("time to the goal (s)", lambda _: 1, "fastest"),
        ("cost (device seconds)", lambda choice: choice.workers, "cheapest"),
    ]
    for axes, (title, times, best) in zip(frames, panels, strict=True):
        _panel(axes, choices, curves, times)
        heading(axes, title, left=_BOX.left)
        for choice in choices:
            for aim, style in ((best, _RING), ("best compromise", _FRAME)):
                if aim in choice.best_as:
                    x = common.dodged(choice.batch_size, curves.index(choice.curve), len(curves))
                    axes.plot([x], [times(choice) * choice.seconds], color=INK, zorder=5, **style)
    canvas.legend(handles)
    return canvas.figure


def _handle(name: str, place: int) -> object:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=name, linewidth=1.4, **mark(place).style())


def _panel(
    axes: Axes, choices: Sequence[Choice], curves: Sequence[str], times: Callable[[Choice], int]
) -> None:
    batch_axis(axes, [choice.batch_size for choice in choices])
    points = [times(choice) * choice.seconds for choice in choices]
    ends = [times(choice) * end for choice in choices for end in choice.interval]
    decimal_axis(axes, [*points, *(end for end in common.finite(ends) if end < _TOP * max(points))])
    for place, name in enumerate(curves):
        some = [choice for choice in choices if choice.curve == name]
        xs = [common.dodged(choice.batch_size, place, len(curves)) for choice in some]
        ys = [times(choice) * choice.seconds for choice in some]
        spans = [(times(choice) * choice.interval[0], times(choice) * choice.interval[1]) for choice in some]
        common.joined(axes, xs, ys, place)
        common.draw_points(axes, list(zip(xs, ys, strict=True)), spans, place)
