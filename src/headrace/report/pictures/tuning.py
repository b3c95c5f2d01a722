"""The best learning rate, momentum and effective learning rate against batch size, with two rules."""

from __future__ import annotations

from collections.abc import Sequence
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
from headrace.report.pictures import _common as common
from headrace.report.tuning import Trend
from headrace.report.values import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    batch_axis(axes, common.sizes(curves))
    values = [_shown(v, momentum) for t in trends for v in (*t.values, *t.lows, *t.highs)]
    decimal_axis(axes, common.finite(values), pad=2, complement=momentum)
    if momentum:
        axes.invert_yaxis()
    heading(axes, _TITLES[name], left=_BOX.left)
    for trend in trends:
        _trend(axes, trend, len(curves), momentum=momentum)


def _trend(axes: Axes, trend: Trend, count: int, *, momentum: bool) -> None:
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
