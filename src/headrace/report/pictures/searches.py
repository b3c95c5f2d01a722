"""The metric against the size of the subset, and the classes that were taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.report.canvas import (
    Box,
    Layout,
    heading,
    legend_height,
    linear_axis,
    panel_grid,
    size_axis,
)
from headrace.report.pictures import _common as common
from headrace.report.searches import ClassShares, Line
from headrace.report.style import FAINT, mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _MARK = 12, 9
"""Pixels of one class, and of each mark in it."""


def draw_lines(lines: Sequence[Line], metric: str, whole: int, layout: Layout) -> Figure:
    """A line for each group with the intervals of its means; everything as a band across.

    Args:
        lines: The groups; that named "full" is the band.
        metric: What is measured.
        whole: The size of the training set.
        layout: The width.
    """
    shown = [line for line in lines if line.group != "full"]
    full = next((line for line in lines if line.group == "full"), None)
    handles = [common.line_handle(line.group, **mark(place).style()) for place, line in enumerate(shown)]
    handles += [common.line_handle("full: all examples", color=FAINT, linestyle="--")] if full else []
    box = Box(left=62, right=16, top=34, bottom=50)
    canvas, (axes,) = panel_grid(
        layout, 1, columns=1, height=300, box=box, head=legend_height(handles, layout.width)
    )
    size_axis(axes, [size for line in shown for size in line.sizes], whole)
    ends = [end for line in lines for span in line.spans for end in span]
    pad = 0.06 * (max(ends) - min(ends)) or 0.01
    linear_axis(axes, max(0.0, min(ends) - pad), max(ends) + pad)
    heading(axes, f"{metric}, lower is better", left=box.left)
    if full:
        axes.axhspan(*full.spans[0], color="#efefef", zorder=0)
        axes.axhline(full.means[0], color=FAINT, linestyle="--", linewidth=1.3, zorder=1)
    for place, line in enumerate(shown):
        _draw_line(axes, line, place, len(shown))
    canvas.legend(handles)
    return canvas.figure


def _draw_line(axes: Axes, line: Line, place: int, count: int) -> None:
    xs = [common.dodged(size, place, count) for size in line.sizes]
    common.joined(axes, xs, line.means, place)
    common.draw_points(axes, list(zip(xs, line.means, strict=True)), line.spans, place)


def draw_classes(shares: ClassShares, layout: Layout) -> Figure:
    """A row for each class: how often each method took it over how often it occurs, with the seeds' range."""
    handles = [
        common.line_handle(group, linestyle="", **mark(place).style())
        for place, group in enumerate(shares.groups)
    ]
    left = 30 + min(150, 7 * max(len(name) for name in shares.classes))
    rows = len(shares.classes)
    canvas, (axes,) = panel_grid(
        layout,
        1,
        columns=1,
        height=(_ROW + _MARK * len(shares.groups)) * rows + 8,
        box=Box(left=left, right=16, top=12, bottom=48),
        head=legend_height(handles, layout.width),
    )
    ends = [value for some in shares.groups.values() for values in some for value in values]
    linear_axis(axes, max(0.0, min(*ends, 1.0) - 0.1), max(*ends, 1.0) + 0.1, which="x")
    axes.set_xlabel("share of the subset / share of the training set")
    axes.axvline(1.0, color=FAINT, linestyle="--", linewidth=1.3, zorder=1)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks(range(rows), [_cut(name) for name in shares.classes])
    for place, some in enumerate(shares.groups.values()):
        _dots(axes, some, place, len(shares.groups))
    canvas.legend(handles)
    return canvas.figure


def _dots(axes: Axes, some: Sequence[tuple[float, float, float]], place: int, count: int) -> None:
    shift = (place - (count - 1) / 2) * _MARK / (_ROW + _MARK * count)
    style: dict[str, Any] = mark(place).style(5.5)
    for row, (mean, low, high) in enumerate(some):
        axes.plot([low, high], [row + shift] * 2, color=mark(place).colour, linewidth=1.4, zorder=2)
        axes.plot([mean], [row + shift], linestyle="", zorder=3, **style)


def _cut(name: str) -> str:
    return name if len(name) <= 20 else name[:19] + "…"
