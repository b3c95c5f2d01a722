"""Steps to result against batch size, with the regimes below on the same axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.report.canvas import (
    Canvas,
    Layout,
    batch_axis,
    binary_axis,
    heading,
    legend_height,
)
from headrace.report.figures import _common as common
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.figures._curves import curve_figure
from headrace.report.style import mark
from headrace.report.values import Curve, curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.results import Analysis

WORDS = Words(
    title="How many steps each batch size needs",
    caption=(
        "Each point is the fewest training steps in which any trial at that batch size reached the goal, "
        "with the hyperparameters searched afresh for every batch size. Lower is faster, if a larger batch "
        "can be processed in the same time. Both axes double at every grid line. The bar through a point is "
        "its 95% interval: how much the fewest steps would vary had the search tried other "
        "hyperparameters.",
        "The dashed line is perfect scaling: twice the batch, half the steps. While the points follow it, a "
        "larger batch costs nothing. The line through the points is the fitted law, steps = fewest steps × "
        "(1 + critical batch size / batch size). The rows below show where perfect scaling ends, from where "
        "on a larger batch saves no more steps, and the critical batch size with its interval.",
    ),
)

_LEFT, _RIGHT, _ROW = 56, 14, 26


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis."""
    found = curves(analysis)
    return [curve_figure("scaling", WORDS, found, draw, unit="steps", values=lambda point: point.steps)]


def draw(curves: Sequence[Curve], layout: Layout) -> Figure:
    """S(B) of every curve: points with intervals, the fit, perfect scaling; below, where each regime ends."""
    handles, regimes = _handles(curves), _regime_handles()
    height = 330 if layout.panels > 1 else 280
    width = layout.width - _LEFT - _RIGHT
    top = legend_height(handles, layout.width) + 26
    strip_top = top + height + 22
    key_top = strip_top + _ROW * len(curves) + 50
    total = key_top + legend_height(regimes, layout.width) - 8
    canvas = Canvas(layout.width, total)
    axes = canvas.axes(_LEFT, top, width, height)
    _curves(axes, curves)
    batch_axis(axes, common.sizes(curves), label="", tokens=common.tokens(curves))
    axes.tick_params(labelbottom=False)
    strip = canvas.axes(_LEFT, strip_top, width, _ROW * len(curves))
    _regimes(strip, curves)
    batch_axis(strip, common.sizes(curves), tokens=common.tokens(curves))
    canvas.legend(handles)
    canvas.legend(regimes, key_top)
    return canvas.figure


def _curves(axes: Axes, curves: Sequence[Curve]) -> None:
    binary_axis(axes, common.bounds(point for curve in curves for point in curve.reached))
    heading(axes, "steps to reach the goal", left=_LEFT)
    for place, curve in enumerate(curves):
        common.not_reached(axes, curve, place, len(curves))
        if curve.reached:
            _curve(axes, curve, place, len(curves))


def _curve(axes: Axes, curve: Curve, place: int, count: int) -> None:
    points = [(common.dodged(p.batch_size, place, count), p.steps or 0.0) for p in curve.reached]
    common.draw_points(axes, points, [p.interval for p in curve.reached], place)
    first, last = curve.reached[0].batch_size, curve.points[-1].batch_size
    ends = [first, last * 1.5]
    common.joined(axes, ends, [curve.perfect(size) or 0.0 for size in ends], place, linestyle=(0, (4, 3)))
    dense = common.dense(first, curve.reached[-1].batch_size)
    fitted = [curve.fit.steps(size) if curve.fit else None for size in dense]
    if all(steps is not None for steps in fitted):
        common.joined(axes, dense, common.finite(fitted), place)
    else:
        common.joined(axes, [x for x, _ in points], [y for _, y in points], place, linestyle=":")


def _handles(curves: Sequence[Curve]) -> list[Any]:
    handles = common.curve_handles(curves)
    if any(curve.fit and curve.fit.steps(1) is not None for curve in curves):
        handles.append(common.line_handle("fitted curve"))
    handles.append(common.line_handle("perfect scaling", linestyle=(0, (4, 3))))
    handles.append(
        common.line_handle("95% interval", linestyle="", marker="|", markersize=13, markeredgewidth=1.5)
    )
    return [*handles, common.missing_handle()] if common.any_missing(curves) else handles


def _regime_handles() -> list[Any]:
    return [
        common.line_handle("perfect scaling", linewidth=8, solid_capstyle="butt"),
        common.line_handle("diminishing returns", linewidth=3),
        common.line_handle("no further gain", linestyle=(0, (1, 2)), linewidth=2),
        common.line_handle(
            "critical batch size", marker="d", markersize=9, markerfacecolor="white", linewidth=1.2
        ),
    ]


def _regimes(axes: Axes, curves: Sequence[Curve]) -> None:
    axes.set_ylim(len(curves), 0)
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    for place, curve in enumerate(curves):
        if curve.reached:
            _regime(axes, curve, place)


def _regime(axes: Axes, curve: Curve, place: int) -> None:
    """One row: thick to the end of perfect scaling, thin to the largest useful batch, dotted beyond."""
    fit, colour, y = curve.fit, mark(place).colour, place + 0.32
    if fit is None:
        return
    first, last = curve.reached[0].batch_size, curve.points[-1].batch_size
    perfect = max(first, fit.perfect_scaling_limit or first)
    useful = max(perfect, fit.max_useful_batch_size or perfect)
    axes.plot([first / 1.06, perfect], [y, y], color=colour, linewidth=8, solid_capstyle="butt")
    axes.plot([perfect, useful], [y, y], color=colour, linewidth=3, solid_capstyle="butt")
    axes.plot([useful, last], [y, y], color=colour, linewidth=2, linestyle=(0, (1, 2)))
    _critical(axes, curve, colour, place + 0.74)


def _critical(axes: Axes, curve: Curve, colour: str, y: float) -> None:
    fit = curve.fit
    if fit is None or fit.critical_batch_size is None or not common.finite([fit.critical_batch_size]):
        return
    ends = common.finite([fit.low, fit.high])
    # An end at 0 or at infinity continues beyond the frame.
    left = 2.0**-60 if fit.low == 0 else min([fit.critical_batch_size, *ends])
    right = (
        2.0**60 if fit.high is not None and math.isinf(fit.high) else max([fit.critical_batch_size, *ends])
    )
    axes.plot([left, right], [y, y], color=colour, linewidth=1.2)
    diamond: dict[str, Any] = {
        "marker": "d",
        "markersize": 9,
        "markerfacecolor": "white",
        "markeredgewidth": 1.4,
    }
    axes.plot([fit.critical_batch_size], [y], color=colour, **diamond)
