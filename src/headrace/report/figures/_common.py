"""What drawings share: points with their intervals, fitted lines, handles of a legend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from headrace.report.style import FAINT, mark
from headrace.report.values import Curve, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DODGE = 0.09
"""Octaves between the points of neighbouring curves at one batch size, lest intervals hide each other."""


def dodged(batch_size: float, place: int, count: int) -> float:
    """Where the point of curve `place` of `count` is on the axis of batch sizes."""
    return batch_size * 2 ** (DODGE * (place - (count - 1) / 2))


def dense(low: float, high: float, count: int = 65) -> list[float]:
    """Batch sizes from `low` to `high`, evenly spaced in the logarithm, for a smooth line."""
    return [low * (high / low) ** (step / (count - 1)) for step in range(count)]


def finite(values: Iterable[float | None]) -> list[float]:
    """The values that a logarithmic axis can show."""
    return [value for value in values if value is not None and math.isfinite(value) and value > 0]


def draw_points(
    axes: Axes, points: Sequence[tuple[float, float]], spans: Sequence[tuple[float, float]], place: int
) -> None:
    """Markers at (x, y) with a bar for each interval; one that is open above goes to the top of the frame."""
    style = mark(place)
    top = 10 * max(y for _, y in points) if points else 1.0
    for (x, _), (low, high) in zip(points, spans, strict=True):
        axes.plot([x, x], [low, min(high, top)], color=style.colour, linewidth=1.5, alpha=0.75, zorder=2.5)
    axes.plot([x for x, _ in points], [y for _, y in points], linestyle="", zorder=3, **style.style())


def joined(axes: Axes, xs: Sequence[float], ys: Sequence[float], place: int, **keywords: Any) -> None:
    """A thin line in the colour of curve `place`."""
    style: dict[str, Any] = {"color": mark(place).colour, "linewidth": 1.4, "zorder": 2, **keywords}
    axes.plot(xs, ys, **style)


def not_reached(axes: Axes, curve: Curve, place: int, count: int) -> None:
    """A cross at the top edge for every study of which no trial reached the goal."""
    missing = [dodged(point.batch_size, place, count) for point in curve.points if point.steps is None]
    axes.plot(
        missing,
        [1.0] * len(missing),
        linestyle="",
        marker="x",
        markersize=8,
        markeredgewidth=2,
        color=mark(place).colour,
        transform=axes.get_xaxis_transform(),
        clip_on=False,
        zorder=4,
    )


def curve_handles(curves: Sequence[Curve]) -> list[Any]:
    """A marker on a line for each curve."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], label=curve.label, linewidth=1.4, **mark(place).style())
        for place, curve in enumerate(curves)
    ]


def line_handle(label: str, **keywords: Any) -> Any:
    """A handle in neutral ink for what all curves have."""
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"color": FAINT, "linewidth": 1.4, **keywords}
    return Line2D([], [], label=label, **style)


def missing_handle() -> Any:
    """The handle of `not_reached`."""
    return line_handle("goal not reached", linestyle="", marker="x", markersize=8, markeredgewidth=2)


def any_missing(curves: Sequence[Curve]) -> bool:
    """Whether a study has no point."""
    return any(point.steps is None for curve in curves for point in curve.points)


def sizes(curves: Sequence[Curve]) -> list[float]:
    """All batch sizes of the curves."""
    return [float(point.batch_size) for curve in curves for point in curve.points]


def tokens(curves: Sequence[Curve]) -> float | None:
    """How many tokens an example has, if tokens are the unit; the same for all curves."""
    return curves[0].tokens if curves else None


def bounds(points: Iterable[Point]) -> list[float]:
    """The steps of points that have them and the finite ends of their intervals."""
    return finite(value for point in points for value in (point.steps, *point.interval))


def fit_line(axes: Axes, curve: Curve, place: int, *, against_steps: bool) -> None:
    """The costs of the fitted law, E = Emin (1 + B/Bcrit), against batch size or against its steps."""
    if not curve.reached or curve.fit is None or curve.fit.steps(1) is None:
        return
    sizes = dense(curve.reached[0].batch_size, curve.reached[-1].batch_size)
    steps = [curve.fit.steps(size) or math.nan for size in sizes]
    examples = [size * count * curve.worth for size, count in zip(sizes, steps, strict=True)]
    joined(axes, examples if against_steps else sizes, steps if against_steps else examples, place)


def fit_handle(curves: Sequence[Curve], label: str) -> list[Any]:
    """The handle of `fit_line`, where there is a fit."""
    has_fit = any(curve.fit and curve.fit.steps(1) is not None for curve in curves)
    return [line_handle(label)] if has_fit else []
