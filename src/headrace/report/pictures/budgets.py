"""The best validation metric against batch size at step budgets and at epoch budgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace.report.budgets import Budget
from headrace.report.canvas import (
    Box,
    Layout,
    batch_axis,
    decimal_axis,
    heading,
    legend_height,
    panel_grid,
)
from headrace.report.numbers import plain
from headrace.report.pictures import _common as common
from headrace.report.style import mark
from headrace.report.values import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BOX = Box(left=58, top=54, right=58)
_NAME_HEIGHT = 15
"""Pixels that a name needs; where two lines end closer, the first is named."""


def draw(budgets: Sequence[Budget], curves: Sequence[Curve], metric: str, layout: Layout) -> Figure:
    """A panel for step budgets and one for epoch budgets; a line is named by its budget at its right end."""
    kinds = [kind for kind in ("steps", "epochs") if any(b.kind == kind for b in budgets)]
    handles = common.curve_handles(curves)
    head = legend_height(handles, layout.width)
    columns = min(layout.panels, len(kinds))
    canvas, frames = panel_grid(layout, len(kinds), columns=columns, height=260, box=_BOX, head=head)
    for axes, kind in zip(frames, kinds, strict=True):
        _panel(axes, [b for b in budgets if b.kind == kind], curves, metric)
    canvas.legend(handles)
    return canvas.figure


def _panel(axes: Axes, budgets: Sequence[Budget], curves: Sequence[Curve], metric: str) -> None:
    batch_axis(axes, common.sizes(curves))
    decimal_axis(axes, common.finite(value for b in budgets for value in b.validation), pad=1.2)
    heading(axes, f"best validation {metric}\nat a budget of {budgets[0].kind}", left=_BOX.left)
    named: list[float] = []
    for budget in budgets:
        axes.plot(budget.sizes, budget.validation, linewidth=1.2, **mark(budget.place).style(size=5))
        height = float(axes.transData.transform((1.0, budget.validation[-1]))[1])
        if all(abs(height - other) > _NAME_HEIGHT for other in named):
            named.append(height)
            _name(axes, budget)


def _name(axes: Axes, budget: Budget) -> None:
    axes.annotate(
        plain(budget.budget),
        xy=(budget.sizes[-1], budget.validation[-1]),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        color=mark(budget.place).colour,
        annotation_clip=False,
    )
