"""The noise scale against steps, with the measured critical batch size as a level band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace.analysis.noise_course import WARNING, Comparison
from headrace.report.canvas import (
    Box,
    Layout,
    binary_axis,
    heading,
    legend_height,
    panel_grid,
)
from headrace.report.figures import _common as common
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.style import mark
from headrace.report.tables import Cell, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.results import Analysis

TITLE = "The gradient noise scale over training"

CAPTION = (
    "The noise scale is the batch size at which the noise of a step's gradient equals its signal: a larger "
    "batch mostly averages what is already known. Each line is one trial, trained again up to the goal; a "
    "bar that leaves the frame says that the signal cannot be distinguished from zero. The level band is the "
    "measured critical batch size of the same optimizer with its interval."
)


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis; none where no noise scale was measured."""
    return [noise_figure(analysis.noise)] if analysis.noise else []


def noise_figure(found: Sequence[Comparison]) -> Picture:
    """The figure of these trials."""
    sentences = " ".join(comparison.words for comparison in found)
    return Picture(
        name="noise-scale",
        words=Words(title=TITLE, caption=(CAPTION, sentences, WARNING)),
        description=f"{TITLE}. {sentences}",
        table=noise_table(found),
        draw=partial(draw, found),
    )


def noise_table(found: Sequence[Comparison]) -> Table:
    """The values of the figure."""
    columns = (
        "curve", "batch_size", "step", "noise_scale", "low", "high", "predicted_critical_batch_size",
        "predicted_low", "predicted_high", "measured_critical_batch_size", "measured_low", "measured_high",
    )  # fmt: skip
    return Table(
        columns=columns, rows=tuple(_row(one, place) for one in found for place in range(len(one.scales)))
    )


def _row(one: Comparison, place: int) -> tuple[Cell, ...]:
    scale = one.scales[place]
    return (
        one.curve, one.batch_size, scale.step, _finite(scale.noise_scale), scale.low, _finite(scale.high),
        one.predicted, *map(_finite, one.predicted_interval),
        one.measured, *map(_finite, one.measured_interval),
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


_BOX = Box(left=58, top=42)

_BAND = 0.13


def draw(found: Sequence[Comparison], layout: Layout) -> Figure:
    """A panel for each optimizer and policy: its trials' lines, its critical batch size as a band."""
    curves = list(dict.fromkeys(one.curve for one in found))
    sizes = sorted({one.batch_size for one in found})
    handles = [*(_handle(size, place) for place, size in enumerate(sizes)), _band_handle()]
    head = legend_height(handles, layout.width)
    columns = min(layout.panels, len(curves))
    canvas, frames = panel_grid(layout, len(curves), columns=columns, height=270, box=_BOX, head=head)
    values = [value for one in found for value in _shown(one)]
    steps = [float(scale.step + 1) for one in found for scale in one.scales]
    for axes, curve in zip(frames, curves, strict=True):
        binary_axis(axes, [1.0, *steps], which="x", pad=1.15)
        binary_axis(axes, values)
        axes.set_xlabel("steps + 1")
        heading(axes, f"noise scale (examples)\n{curve}", left=_BOX.left)
        some = [one for one in found if one.curve == curve]
        _measured(axes, some[0])
        for one in some:
            _course(axes, one, sizes.index(one.batch_size))
    canvas.legend(handles)
    return canvas.figure


def _shown(one: Comparison) -> list[float]:
    """What the vertical axis must hold; ends of intervals far above the rest may leave the frame."""
    points = common.finite(scale.noise_scale for scale in one.scales)
    lows = common.finite(scale.low for scale in one.scales)
    return [*points, *lows, *common.finite([one.measured, *one.measured_interval])]


def _course(axes: Axes, one: Comparison, place: int) -> None:
    xs = [float(scale.step + 1) for scale in one.scales]
    reached = [(x, scale.noise_scale) for x, scale in zip(xs, one.scales, strict=True)]
    known = [(x, y) for x, y in reached if math.isfinite(y)]
    common.joined(axes, [x for x, _ in known], [y for _, y in known], place)
    # An infinite end goes past the frame's upper edge.
    top = 4 * axes.get_ylim()[1]
    for x, scale in zip(xs, one.scales, strict=True):
        axes.plot(
            [x, x],
            [max(scale.low, 1e-9), min(scale.high, top)],
            color=mark(place).colour,
            linewidth=1.4,
            alpha=0.6,
        )
    axes.plot(
        [x for x, _ in known], [y for _, y in known], linestyle="", zorder=3, **mark(place).style(size=5.5)
    )


def _measured(axes: Axes, one: Comparison) -> None:
    if one.measured is None:
        return
    low, high = one.measured_interval
    bottom, top = axes.get_ylim()
    axes.axhspan(max(low, bottom), min(high, top), color="#000000", alpha=_BAND, linewidth=0)
    axes.axhline(one.measured, color="#000000", linewidth=1.2, linestyle=(0, (4, 3)))


def _handle(size: int, place: int) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=f"batch size {size:,}", linewidth=1.4, **mark(place).style())


def _band_handle() -> Any:
    return common.line_handle("measured critical batch size", linestyle=(0, (4, 3)), color="#000000")
