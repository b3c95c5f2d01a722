"""What the goal costs in examples, against batch size."""

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
from headrace.report.figures._curves import curve_figure, in_unit
from headrace.report.values import Curve, curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.results import Analysis

WORDS = Words(
    title="What the goal costs in examples",
    caption=(
        "Batch size × steps: the number of examples processed until the goal, which is close to the "
        "computing cost. Flat means that a larger batch is free: the same work, done in fewer steps. Where "
        "the points climb, each step saved is paid for with more examples.",
    ),
)

_BOX = Box(left=74)


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis."""
    found = curves(analysis)
    return [curve_figure("examples", in_unit(WORDS, found), found, draw, values=lambda point: point.examples)]


def draw(curves: Sequence[Curve], layout: Layout) -> Figure:
    """Examples to result, B S(B), against B, with the fit Emin (1 + B/Bcrit)."""
    handles = [*common.curve_handles(curves), *common.fit_handle(curves, "fitted curve")]
    handles += [common.missing_handle()] if common.any_missing(curves) else []
    head = legend_height(handles, layout.width)
    canvas, (axes,) = panel_grid(layout, 1, columns=1, height=250, box=_BOX, head=head)
    batch_axis(axes, common.sizes(curves), tokens=common.tokens(curves))
    decimal_axis(
        axes,
        common.finite(
            p.batch_size * v * c.worth for c in curves for p in c.reached for v in (p.steps, *p.interval) if v
        ),
    )
    heading(axes, f"{curves[0].unit} to reach the goal", left=_BOX.left)
    for place, curve in enumerate(curves):
        common.not_reached(axes, curve, place, len(curves))
        if curve.reached:
            _against_batch_size(axes, curve, place, len(curves))
    canvas.legend(handles)
    return canvas.figure


def _against_batch_size(axes: Axes, curve: Curve, place: int, count: int) -> None:
    worth = curve.worth
    points = [(common.dodged(p.batch_size, place, count), (p.examples or 0.0) * worth) for p in curve.reached]
    spans = [
        (p.batch_size * p.interval[0] * worth, p.batch_size * p.interval[1] * worth) for p in curve.reached
    ]
    common.draw_points(axes, points, spans, place)
    common.fit_line(axes, curve, place, against_steps=False)
