"""What the goal costs in forward passes, against batch size."""

from __future__ import annotations

import math
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
from headrace.report.values import Curve, Point, curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from headrace.analysis.results import Analysis

WORDS = Words(
    title="What the goal costs in forward passes",
    caption=(
        "All examples that went through the network until the goal: those trained on, and those that a "
        "policy only looked at to choose among them or to prepare itself. A policy that needs few steps and "
        "looks at many examples for each is low in the figure of steps and high in this one. The bar "
        "spans the trials within the interval of the fewest steps. A backward pass costs about twice a "
        "forward pass.",
    ),
)

_BOX = Box(left=74)


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis; none where nothing more goes forward than is trained on."""
    found = curves(analysis)
    if not any(point.selects for curve in found for point in curve.reached):
        return []
    return [
        curve_figure(
            "forwarded", WORDS, found, draw, unit="examples forwarded", values=lambda point: point.forwarded
        )
    ]


def draw(curves: Sequence[Curve], layout: Layout) -> Figure:
    """Examples forwarded to the result against B, with the range over the trials within the interval."""
    handles = common.curve_handles(curves)
    handles += [common.missing_handle()] if common.any_missing(curves) else []
    canvas, (axes,) = panel_grid(
        layout, 1, columns=1, height=250, box=_BOX, head=legend_height(handles, layout.width)
    )
    batch_axis(axes, common.sizes(curves), tokens=common.tokens(curves))
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
