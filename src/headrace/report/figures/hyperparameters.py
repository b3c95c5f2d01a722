"""The best learning rate, momentum and effective learning rate against batch size, with two rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
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
from headrace.report.figures import _common as common
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.figures._trials import by_study, is_within
from headrace.report.numbers import plain
from headrace.report.tables import Table
from headrace.report.values import Curve, Row, curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.results import Analysis

WORDS = Words(
    title="The best hyperparameters at each batch size",
    caption=(
        "The values of the trial with the fewest steps. The bar spans the values of all trials that reached "
        "the goal within the interval of the fewest steps: a long bar means that the value hardly matters.",
        "The lines carry the best value of the smallest batch size to the others by two common rules: "
        "multiply it by the factor of the batch size (linear), or by its square root. Where the points "
        "leave a line, that rule would have given a worse learning rate than the search found. The "
        "effective learning rate is the learning rate divided by (1 − momentum): how far the weights move "
        "in all for one gradient.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Trend:
    """One best hyperparameter of one curve against batch size.

    Attributes:
        curve: The curve's label.
        place: The curve's place, which decides its mark.
        sizes: Batch sizes, ascending.
        values: The best trial's value at each.
        lows: The smallest value among the trials that reached the goal within the interval of S(B).
        highs: The largest.
    """

    curve: str
    place: int
    sizes: tuple[int, ...]
    values: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]

    def linear(self, batch_size: float) -> float:
        """The linear rule from the smallest batch size: value(B0) B/B0."""
        return self.values[0] * batch_size / self.sizes[0]

    def square_root(self, batch_size: float) -> float:
        """The square-root rule from the smallest batch size: value(B0) sqrt(B/B0)."""
        return self.values[0] * math.sqrt(batch_size / self.sizes[0])


TUNED = ("learning_rate", "momentum", "effective_learning_rate")
"""The hyperparameters shown against batch size."""


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis."""
    found = curves(analysis)
    return [_figure(trends(analysis, found), found)]


def _figure(trends: dict[str, tuple[Trend, ...]], curves: Sequence[Curve]) -> Picture | Absent:
    if not trends:
        reason = "No trial reached the goal with a learning rate on record."
        return Absent(name="hyperparameters", words=WORDS, reason=reason)
    said = "; ".join(
        f"{name.replace('_', ' ')} of {t.curve}: {plain(t.values[0])} at the smallest and "
        f"{plain(t.values[-1])} at the"
        "largest batch size"
        for name, some in trends.items()
        for t in some
    )
    return Picture(
        name="hyperparameters",
        words=WORDS,
        description=f"{WORDS.title}. Best {said}.",
        table=trend_table(trends),
        draw=partial(draw, trends, curves),
    )


def trends(analysis: Analysis, curves: Sequence[Curve]) -> dict[str, tuple[Trend, ...]]:
    """Per hyperparameter of `TUNED` the trends of the curves that have it; names without any are left out."""
    rows = by_study(analysis)
    found = {
        name: tuple(
            trend
            for place, curve in enumerate(curves)
            if (trend := _trend(name, curve, place, rows)) is not None
        )
        for name in TUNED
    }
    return {name: some for name, some in found.items() if some}


def _trend(name: str, curve: Curve, place: int, studies: dict[str, list[Row]]) -> Trend | None:
    rows: list[tuple[int, float, float, float]] = []
    for point in curve.reached:
        near = [row for row in studies.get(point.study, []) if is_within(row, point.interval[1])]
        best = [row[name] for row in near if row["best"] and row.get(name) is not None]
        values = [row[name] for row in near if row.get(name) is not None]
        if best:
            rows.append((point.batch_size, best[0], min(values), max(values)))
    if not rows:
        return None
    sizes, values, lows, highs = zip(*rows, strict=True)
    return Trend(curve=curve.label, place=place, sizes=sizes, values=values, lows=lows, highs=highs)


def trend_table(trends: dict[str, tuple[Trend, ...]]) -> Table:
    """The best values with their ranges, and what the two rules would have given."""
    columns = (
        "curve", "hyperparameter", "batch_size", "best", "lowest_within_interval", "highest_within_interval",
        "linear_rule", "square_root_rule",
    )  # fmt: skip
    rows = [
        (t.curve, name, size, value, low, high, *_rules(name, t, size))
        for name, some in trends.items()
        for t in some
        for size, value, low, high in zip(t.sizes, t.values, t.lows, t.highs, strict=True)
    ]
    return Table(columns=columns, rows=tuple(rows))


def _rules(name: str, trend: Trend, size: int) -> tuple[float | None, float | None]:
    return (None, None) if name == "momentum" else (trend.linear(size), trend.square_root(size))


_TITLES = {
    "learning_rate": "best learning rate",
    "momentum": "best momentum",
    "effective_learning_rate": "best effective learning rate\nlearning rate / (1 − momentum)",
}

_BOX = Box(left=58, top=54)

_LINEAR, _ROOT = (0, (5, 3)), (0, (1, 2))


def draw(trends: dict[str, tuple[Trend, ...]], curves: Sequence[Curve], layout: Layout) -> Figure:
    """A panel for each hyperparameter that has a trend."""
    handles = _handles(curves, rules=any(name != "momentum" for name in trends))
    head = legend_height(handles, layout.width)
    columns = min(layout.panels, len(trends))
    canvas, frames = panel_grid(layout, len(trends), columns=columns, height=220, box=_BOX, head=head)
    for axes, (name, some) in zip(frames, trends.items(), strict=True):
        _panel(axes, name, some, curves)
    canvas.legend(handles)
    return canvas.figure


def _handles(curves: Sequence[Curve], *, rules: bool) -> list[Any]:
    handles = common.curve_handles(curves)
    if rules:
        handles.append(common.line_handle("linear rule", linestyle=_LINEAR))
        handles.append(common.line_handle("square-root rule", linestyle=_ROOT, linewidth=1.8))
    return handles


def _panel(axes: Axes, name: str, trends: Sequence[Trend], curves: Sequence[Curve]) -> None:
    momentum = name == "momentum"
    batch_axis(axes, common.sizes(curves), tokens=common.tokens(curves))
    values = [_shown(v, momentum) for t in trends for v in (*t.values, *t.lows, *t.highs)]
    decimal_axis(axes, common.finite(values), pad=2, complement=momentum)
    if momentum:
        axes.invert_yaxis()
    heading(axes, _TITLES[name], left=_BOX.left)
    for trend in trends:
        _line(axes, trend, len(curves), momentum=momentum)


def _line(axes: Axes, trend: Trend, count: int, *, momentum: bool) -> None:
    xs = [common.dodged(size, trend.place, count) for size in trend.sizes]
    points = [(x, _shown(value, momentum)) for x, value in zip(xs, trend.values, strict=True)]
    spans = [
        (_shown(low, momentum), _shown(high, momentum))
        for low, high in zip(trend.lows, trend.highs, strict=True)
    ]
    common.draw_points(axes, points, spans, trend.place)
    common.joined(axes, xs, [y for _, y in points], trend.place, alpha=0.5, linewidth=1)
    if not momentum:
        ends = [trend.sizes[0], trend.sizes[-1] * 1.5]
        common.joined(axes, ends, [trend.linear(b) for b in ends], trend.place, linestyle=_LINEAR)
        roots = [trend.square_root(b) for b in ends]
        common.joined(axes, ends, roots, trend.place, linestyle=_ROOT, linewidth=1.8)


def _shown(value: float, momentum: bool) -> float:
    """Momentum is drawn as 1 - momentum, on a logarithmic axis turned round."""
    return 1 - value if momentum else value
