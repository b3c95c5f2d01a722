"""Time against cost: the steps to the goal against the examples that they take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

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
from headrace.report.figures._curves import curve_figure, in_unit
from headrace.report.numbers import short
from headrace.report.style import mark
from headrace.report.values import Curve, curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.results import Analysis

WORDS = Words(
    title="Time against cost",
    caption=(
        "Each point is a batch size (the small numbers): across, the examples processed until the goal "
        "(cost); up, the steps one after the other (time). Down and to the left is better. The best "
        "compromise is at the bend: at the critical batch size both are twice their minimum.",
    ),
)


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis."""
    found = curves(analysis)
    return [
        curve_figure("trade-off", in_unit(WORDS, found), found, draw, values=lambda point: point.examples)
    ]


def draw(curves: Sequence[Curve], layout: Layout) -> Figure:
    """Steps against examples: each point a batch size, the line (S/Smin - 1)(E/Emin - 1) = 1."""
    handles = [*common.curve_handles(curves), *common.fit_handle(curves, "fitted trade-off")]
    head = legend_height(handles, layout.width)
    canvas, (axes,) = panel_grid(layout, 1, columns=1, height=280, box=Box(), head=head)
    reached = [point for curve in curves for point in curve.reached]
    decimal_axis(
        axes,
        common.finite((p.examples or math.nan) * c.worth for c in curves for p in c.reached),
        which="x",
        pad=1.6,
    )
    binary_axis(axes, common.finite(p.steps for p in reached), pad=1.6)
    axes.set_xlabel(f"{curves[0].unit} to reach the goal (cost)")
    heading(axes, "steps to reach the goal (time)", left=Box().left)
    for place, curve in enumerate(curves):
        points = [((p.examples or 0.0) * curve.worth, p.steps or 0.0) for p in curve.reached]
        common.draw_points(axes, points, [(y, y) for _, y in points], place)
        common.fit_line(axes, curve, place, against_steps=True)
        _name_points(axes, curve, place, every=2 if layout.panels > 1 else 4)
    canvas.legend(handles)
    return canvas.figure


def _name_points(axes: Axes, curve: Curve, place: int, *, every: int) -> None:
    """Write the batch size at some points, below left for one curve and above right for the next."""
    side = -1 if place % 2 == 0 else 1
    for point in curve.reached[place * every // 2 % every :: every]:
        axes.annotate(
            short(round(point.batch_size * curve.worth)),
            xy=((point.examples or 0.0) * curve.worth, point.steps or 0.0),
            xytext=(5 * side, 5 * side),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="bottom" if side > 0 else "top",
            color=mark(place).colour,
        )
