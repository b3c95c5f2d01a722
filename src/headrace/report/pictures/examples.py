"""What the goal costs in examples: against batch size, and against the steps it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.report.canvas import (
    Box,
    Layout,
    batch_axis,
    binary_axis,
    decimal_axis,
    heading,
    legend_height,
    panel_grid,
)
from headrace.report.numbers import short
from headrace.report.pictures import _common as common
from headrace.report.style import mark
from headrace.report.values import Curve, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BOX = Box(left=74)


def draw(curves: Sequence[Curve], layout: Layout) -> Figure:
    """Examples to result, B S(B), against B, with the fit Emin (1 + B/Bcrit)."""
    handles = [*common.curve_handles(curves), *_fit_handle(curves, "fitted curve")]
    handles += [common.missing_handle()] if common.any_missing(curves) else []
    head = legend_height(handles, layout.width)
    canvas, (axes,) = panel_grid(layout, 1, columns=1, height=250, box=_BOX, head=head)
    batch_axis(axes, common.sizes(curves))
    decimal_axis(
        axes,
        common.finite(
            p.batch_size * v for c in curves for p in c.reached for v in (p.steps, *p.interval) if v
        ),
    )
    heading(axes, "examples to reach the goal", left=_BOX.left)
    for place, curve in enumerate(curves):
        common.not_reached(axes, curve, place, len(curves))
        if curve.reached:
            _against_batch_size(axes, curve, place, len(curves))
    canvas.legend(handles)
    return canvas.figure


def _against_batch_size(axes: Axes, curve: Curve, place: int, count: int) -> None:
    points = [(common.dodged(p.batch_size, place, count), p.examples or 0.0) for p in curve.reached]
    spans = [(p.batch_size * p.interval[0], p.batch_size * p.interval[1]) for p in curve.reached]
    common.draw_points(axes, points, spans, place)
    _fit_line(axes, curve, place, against_steps=False)


def draw_forwarded(curves: Sequence[Curve], layout: Layout) -> Figure:
    """Examples forwarded to the result against B, with the range over the trials within the interval."""
    handles = common.curve_handles(curves)
    handles += [common.missing_handle()] if common.any_missing(curves) else []
    canvas, (axes,) = panel_grid(
        layout, 1, columns=1, height=250, box=_BOX, head=legend_height(handles, layout.width)
    )
    batch_axis(axes, common.sizes(curves))
    reached = [point for curve in curves for point in curve.reached]
    decimal_axis(axes, common.finite(v for p in reached for v in (p.forwarded, *_forwarded_span(p))))
    heading(axes, "examples forwarded to reach the goal", left=_BOX.left)
    for place, curve in enumerate(curves):
        common.not_reached(axes, curve, place, len(curves))
        known = [point for point in curve.reached if point.forwarded is not None]
        points = [(common.dodged(p.batch_size, place, len(curves)), p.forwarded or 0.0) for p in known]
        if points:
            common.draw_points(axes, points, [_forwarded_span(p) for p in known], place)
            common.joined(axes, [x for x, _ in points], [y for _, y in points], place, linestyle=":")
    canvas.legend(handles)
    return canvas.figure


def _forwarded_span(point: Point) -> tuple[float, float]:
    low = point.forwarded_low if point.forwarded_low is not None else point.forwarded
    return (
        math.nan if low is None else low,
        math.inf if point.forwarded_high is None else point.forwarded_high,
    )


def draw_trade_off(curves: Sequence[Curve], layout: Layout) -> Figure:
    """Steps against examples: each point a batch size, the line (S/Smin - 1)(E/Emin - 1) = 1."""
    handles = [*common.curve_handles(curves), *_fit_handle(curves, "fitted trade-off")]
    head = legend_height(handles, layout.width)
    canvas, (axes,) = panel_grid(layout, 1, columns=1, height=280, box=Box(), head=head)
    reached = [point for curve in curves for point in curve.reached]
    decimal_axis(axes, common.finite(p.examples for p in reached), which="x", pad=1.6)
    binary_axis(axes, common.finite(p.steps for p in reached), pad=1.6)
    axes.set_xlabel("examples to reach the goal (cost)")
    heading(axes, "steps to reach the goal (time)", left=Box().left)
    for place, curve in enumerate(curves):
        points = [(p.examples or 0.0, p.steps or 0.0) for p in curve.reached]
        common.draw_points(axes, points, [(y, y) for _, y in points], place)
        _fit_line(axes, curve, place, against_steps=True)
        _name_points(axes, curve, place, every=2 if layout.panels > 1 else 4)
    canvas.legend(handles)
    return canvas.figure


def _name_points(axes: Axes, curve: Curve, place: int, *, every: int) -> None:
    """Write the batch size at some points, below left for one curve and above right for the next."""
    side = -1 if place % 2 == 0 else 1
    for point in curve.reached[place * every // 2 % every :: every]:
        axes.annotate(
            short(point.batch_size),
            xy=(point.examples or 0.0, point.steps or 0.0),
            xytext=(5 * side, 5 * side),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="bottom" if side > 0 else "top",
            color=mark(place).colour,
        )


def _fit_line(axes: Axes, curve: Curve, place: int, *, against_steps: bool) -> None:
    if not curve.reached or curve.fit is None or curve.fit.steps(1) is None:
        return
    sizes = common.dense(curve.reached[0].batch_size, curve.reached[-1].batch_size)
    steps = [curve.fit.steps(size) or math.nan for size in sizes]
    examples = [size * count for size, count in zip(sizes, steps, strict=True)]
    common.joined(axes, examples if against_steps else sizes, steps if against_steps else examples, place)


def _fit_handle(curves: Sequence[Curve], label: str) -> list[Any]:
    has_fit = any(curve.fit and curve.fit.steps(1) is not None for curve in curves)
    return [common.line_handle(label)] if has_fit else []
