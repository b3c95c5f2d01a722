"""What carrying a setting by each rule costs against full tuning, at each batch size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace.analysis import words
from headrace.analysis.regimes import TOLERANCE
from headrace.analysis.rule_words import say_rules
from headrace.report.canvas import Box, Layout, batch_axis, binary_axis, heading, legend_height, panel_grid
from headrace.report.figures import _common as common
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.style import mark
from headrace.report.tables import Cell, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.results import Analysis
    from headrace.analysis.rules import Carried

TITLE = "What rules across batch sizes would have cost"
_COLUMNS = (
    "curve", "rule", "from", "batch_size", "factor", "low", "high", "at_least", "outside", "verdict",
)  # fmt: skip
_BOX = Box(left=52, top=42)


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis; none without rules."""
    found, unit = analysis.alternatives.rules, analysis.alternatives.unit
    if not found:
        return []
    caption = (
        f"The best setting of one batch size, carried to the others by a rule: how many times the {unit} of "
        "full tuning it takes there, by the surface of all trials of the curve. 1 is as good as tuning; the "
        f"dashed line is {TOLERANCE:.0%} more. A bar that leaves the frame has no upper end: the setting is "
        "outside of what was searched, or costs ten times as much or more, so that what was seen is a lower "
        "bound.",
    )
    said = say_rules(found, unit)
    shown = [one for one in found if one.worst is not None]
    if not shown:
        return [Absent(name="rules", words=Words(title=TITLE, caption=caption), reason=" ".join(said))]
    return [
        Picture(
            name="rules",
            words=Words(title=TITLE, caption=caption),
            description=f"{TITLE}. {' '.join(said)}",
            table=Table(columns=_COLUMNS, rows=tuple(row for one in shown for row in _rows(one))),
            draw=partial(draw, shown, analysis.alternatives.tokens),
        )
    ]


def _rows(one: Carried) -> list[tuple[Cell, ...]]:
    curve = words.curve(one.curve)
    return [
        (
            curve, one.rule, one.start, cost.batch_size, cost.factor,
            *(map(_finite, cost.interval or (math.inf, math.inf))),
            cost.at_least, ", ".join(cost.outside), one.verdict,
        )
        for cost in one.at
    ]  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def draw(found: Sequence[Carried], tokens: float | None, layout: Layout) -> Figure:
    """A panel for each curve, a line for each rule."""
    curves = list(dict.fromkeys(one.curve for one in found))
    rules = list(dict.fromkeys(one.rule for one in found))
    handles = [*(_handle(rule, place) for place, rule in enumerate(rules)), _limit_handle()]
    head = legend_height(handles, layout.width)
    columns = min(layout.panels, len(curves))
    canvas, frames = panel_grid(layout, len(curves), columns=columns, height=270, box=_BOX, head=head)
    sizes = [float(cost.batch_size) for one in found for cost in one.at]
    values = [1.0, *(cost.factor or 1.0 for one in found for cost in one.at)]
    for axes, curve in zip(frames, curves, strict=True):
        binary_axis(axes, values)
        heading(axes, f"times the cost of tuning\n{words.curve(curve)}", left=_BOX.left)
        axes.axhline(1 + TOLERANCE, color="#6b6b6b", linewidth=1.2, linestyle=(0, (4, 3)))
        for one in found:
            if one.curve == curve:
                _line(axes, one, rules.index(one.rule), len(rules))
        batch_axis(axes, sizes, tokens=tokens)
    canvas.legend(handles)
    return canvas.figure


def _line(axes: Axes, one: Carried, place: int, count: int) -> None:
    known = [cost for cost in one.at if cost.factor is not None]
    points = [(common.dodged(cost.batch_size, place, count), cost.factor or 1.0) for cost in known]
    common.joined(axes, [x for x, _ in points], [y for _, y in points], place)
    common.draw_points(axes, points, [cost.interval or (1.0, 1.0) for cost in known], place)


def _handle(rule: str, place: int) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=rule, linewidth=1.4, **mark(place).style())


def _limit_handle() -> Any:
    return common.line_handle(f"{TOLERANCE:.0%} more than tuning", linestyle=(0, (4, 3)))
