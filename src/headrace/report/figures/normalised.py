"""The same curves with their scales divided out: relative to the smallest batch, and to the fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace.report.canvas import (
    Box,
    Layout,
    batch_axis,
    decimal_axis,
    heading,
    legend_height,
    panel_grid,
)
from headrace.report.figures import _common as common
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.figures._curves import curve_figure
from headrace.report.style import FAINT
from headrace.report.values import Curve, curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.results import Analysis

WORDS = Words(
    title="The same curves with their scales divided out",
    caption=(
        "First: steps divided by those of the same curve's smallest batch size. Curves that start together "
        "and part later differ in how far they scale, not in how fast they start.",
        "Second: both axes divided by the fit. If the law holds, all points fall on the one grey line. To "
        "its left steps halve as batches double; at 1 the steps are twice the minimum; to its right there "
        "is little to gain.",
    ),
)

_BOX = Box(top=54)

_DASHES = (0, (4, 3))


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis."""
    found = curves(analysis)
    return [curve_figure("normalised", WORDS, found, draw, unit="steps", values=lambda point: point.steps)]


def draw(curves: Sequence[Curve], layout: Layout) -> Figure:
    """S(B)/S(B0) against B; where there are fits, S/Smin against B/Bcrit with the one curve 1 + 1/x."""
    # A fit that puts the critical batch size at 0 (every batch size is too large) has no scale to divide by.
    fitted = any(c.fit and c.fit.steps(1) is not None and c.fit.critical_batch_size for c in curves)
    handles = [*common.curve_handles(curves), common.line_handle("perfect scaling", linestyle=_DASHES)]
    handles += [common.line_handle("the fitted law")] if fitted else []
    head = legend_height(handles, layout.width)
    count = 2 if fitted else 1
    canvas, frames = panel_grid(
        layout, count, columns=min(layout.panels, count), height=270, box=_BOX, head=head
    )
    _relative_to_first(frames[0], curves)
    if fitted:
        _relative_to_fit(frames[1], curves)
    canvas.legend(handles)
    return canvas.figure


def _relative_to_first(axes: Axes, curves: Sequence[Curve]) -> None:
    firsts = [(curve, curve.reached[0].steps or 1.0) for curve in curves if curve.reached]
    values = [value / first for curve, first in firsts for value in common.bounds(curve.reached)]
    batch_axis(axes, common.sizes(curves), tokens=common.tokens(curves))
    decimal_axis(axes, values)
    heading(axes, "steps relative to the\nsmallest batch size", left=_BOX.left)
    for place, curve in enumerate(curves):
        if not curve.reached:
            continue
        first = curve.reached[0].steps or 1.0
        points = [
            (common.dodged(p.batch_size, place, len(curves)), (p.steps or 0) / first) for p in curve.reached
        ]
        spans = [(low / first, high / first) for low, high in (p.interval for p in curve.reached)]
        common.draw_points(axes, points, spans, place)
        common.joined(axes, [x for x, _ in points], [y for _, y in points], place, alpha=0.6)
        ends = [curve.reached[0].batch_size, curve.points[-1].batch_size * 1.5]
        common.joined(
            axes, ends, [(curve.perfect(size) or 0) / first for size in ends], place, linestyle=_DASHES
        )


def _relative_to_fit(axes: Axes, curves: Sequence[Curve]) -> None:
    shown: list[tuple[int, list[tuple[float, float]], list[tuple[float, float]]]] = []
    for place, curve in enumerate(curves):
        fit = curve.fit
        if fit is None or not fit.steps_min or not fit.critical_batch_size:
            continue
        least, critical = fit.steps_min, fit.critical_batch_size
        points = [(p.batch_size / critical, (p.steps or 0) / least) for p in curve.reached]
        spans = [(low / least, high / least) for low, high in (p.interval for p in curve.reached)]
        shown.append((place, points, spans))
    xs = [x for _, points, _ in shown for x, _ in points]
    ys = common.finite(
        y for _, points, spans in shown for y in (*(y for _, y in points), *(y for s in spans for y in s))
    )
    decimal_axis(axes, xs, which="x")
    decimal_axis(axes, [*ys, 0.9])
    axes.set_xlabel("batch size / critical batch size")
    heading(axes, "steps relative to the\nfitted minimum", left=_BOX.left)
    line = common.dense(min(xs), max(xs))
    axes.plot(line, [1 + 1 / x for x in line], color=FAINT, linewidth=1.4)
    for place, points, spans in shown:
        common.draw_points(axes, points, spans, place)
