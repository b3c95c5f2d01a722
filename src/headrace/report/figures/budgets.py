"""What a fixed budget buys: the best validation metric against batch size, where whole curves exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
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
from headrace.report.numbers import plain
from headrace.report.style import mark
from headrace.report.tables import Table
from headrace.report.values import Curve, Row, curves, key_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.results import Analysis

WORDS = Words(
    title="The best result for a fixed budget",
    caption=(
        "The best validation metric that any trial had within the budget named at the line's right end; "
        "lower is better. With a budget of steps a larger batch sees more examples, so large batches look "
        "good. With a budget of epochs a larger batch takes fewer steps, so small ones do. Which is fair "
        "depends on whether your time or your computing is limited.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """One curve at one budget.

    Attributes:
        curve: The curve's label.
        place: Its place, which decides its mark.
        kind: "steps" or "epochs".
        budget: How many of them.
        sizes: Batch sizes, ascending.
        validation: The best validation metric at each.
        test: The test metric of the same measurement, None where it was not measured.
    """

    curve: str
    place: int
    kind: str
    budget: float
    sizes: tuple[int, ...]
    validation: tuple[float, ...]
    test: tuple[float | None, ...]


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis."""
    found = curves(analysis)
    return [_figure(budgets(analysis, found), found, analysis.metric)]


def _figure(found: Sequence[Budget], curves: Sequence[Curve], metric: str) -> Picture | Absent:
    if not found:
        reason = (
            "Trials were stopped as soon as they could no longer change the steps to the goal, so most "
            "curves are "
            'not whole. Run the experiment with stop = "budget" to have this figure.'
        )
        return Absent(name="budgets", words=WORDS, reason=reason)
    return Picture(
        name="budgets",
        words=WORDS,
        description=f"{WORDS.title}: best validation {metric} of {len(found)} curves and budgets.",
        table=budget_table(found),
        draw=partial(draw, found, curves, metric),
    )


def budgets(analysis: Analysis, curves: Sequence[Curve]) -> tuple[Budget, ...]:
    """The best metric of each curve at each budget; rows of curves that were cut short are left out."""
    rows = [
        row for row in analysis.budgets.to_dicts() if row["whole_curves"] and row["validation"] is not None
    ]
    keys = list(dict.fromkeys(key_of(row) for row in analysis.steps.to_dicts()))
    groups: dict[tuple[int, str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((keys.index(key_of(row)), row["kind"], row["budget"]), []).append(row)
    return tuple(_budget(group, some, curves) for group, some in sorted(groups.items()))


def _budget(group: tuple[int, str, float], rows: Sequence[Row], curves: Sequence[Curve]) -> Budget:
    place, kind, budget = group
    ordered = sorted(rows, key=lambda row: row["batch_size"])
    return Budget(
        curve=curves[place].label,
        place=place,
        kind=kind,
        budget=budget,
        sizes=tuple(row["batch_size"] for row in ordered),
        validation=tuple(row["validation"] for row in ordered),
        test=tuple(row["test"] for row in ordered),
    )


def budget_table(budgets: Sequence[Budget]) -> Table:
    """The values of the figure."""
    rows = tuple(
        (b.curve, b.kind, b.budget, size, validation, test)
        for b in budgets
        for size, validation, test in zip(b.sizes, b.validation, b.test, strict=True)
    )
    return Table(columns=("curve", "kind", "budget", "batch_size", "validation", "test"), rows=rows)


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
    batch_axis(axes, common.sizes(curves), tokens=common.tokens(curves))
    decimal_axis(axes, common.finite(value for b in budgets for value in b.validation), pad=1.2)
    heading(axes, f"best validation {metric}\nat a budget of {budgets[0].kind}", left=_BOX.left)
    named: list[float] = []
    for budget in budgets:
        axes.plot(budget.sizes, budget.validation, linewidth=1.2, **mark(budget.place).style(size=5))
        end = _within(axes, budget.validation[-1])
        height = float(axes.transData.transform((1.0, end))[1])
        if all(abs(height - other) > _NAME_HEIGHT for other in named):
            named.append(height)
            _name(axes, budget, end)


def _within(axes: Axes, value: float) -> float:
    """The value, or the edge beyond which it lies: 0 has no place on the axis, a name has."""
    low, high = axes.get_ylim()
    return min(high, max(low, value))


def _name(axes: Axes, budget: Budget, end: float) -> None:
    axes.annotate(
        plain(budget.budget),
        xy=(budget.sizes[-1], end),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        color=mark(budget.place).colour,
        annotation_clip=False,
    )
