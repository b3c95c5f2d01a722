"""What the figures of S(B) share: their table, and each curve in words for those who do not see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from headrace.report.canvas import (
    Layout,
)
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.numbers import short, whole
from headrace.report.tables import Table
from headrace.report.values import Curve, Point

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NONE_REACHED = "No trial reached the goal by training at any batch size, so there are no steps to show."


def curve_figure(
    name: str,
    words: Words,
    curves: Sequence[Curve],
    draw: Callable[[Sequence[Curve], Layout], Figure],
    *,
    unit: str | None = None,
    values: Callable[[Point], float | None],
) -> Picture | Absent:
    """A figure of curves; left out where no trial reached the goal.

    Args:
        name: Its name.
        words: Its words.
        curves: What is drawn.
        draw: Draws them.
        unit: What is counted, in the description; None: examples, or tokens if these are the unit.
        values: So many, of a point.
    """
    if not any(curve.reached for curve in curves):
        return Absent(name=name, words=words, reason=_NONE_REACHED)
    worth = curves[0].worth if unit is None else 1.0
    unit = curves[0].unit if unit is None else unit
    return Picture(
        name=name,
        words=words,
        description=f"{words.title}. {_in_words(curves, unit, values, worth)}",
        table=scaling_table(curves),
        draw=partial(draw, curves),
    )


def in_unit(words: Words, curves: Sequence[Curve]) -> Words:
    """The words of a figure of costs: those of examples, or of tokens if these are the unit."""
    unit = curves[0].unit if curves else "examples"
    caption = tuple(text.replace("examples", unit) for text in words.caption)
    return replace(words, title=words.title.replace("examples", unit), caption=caption)


def _in_words(
    curves: Sequence[Curve], unit: str, values: Callable[[Point], float | None], worth: float = 1.0
) -> str:
    """`SGD: 4,096 steps at batch size 8, ..`, the first and the last of each curve."""
    parts: list[str] = []
    for curve in curves:
        counted = [whole(_times(values(point), worth)) for point in curve.reached]
        if counted:
            ends = sorted({0, len(counted) - 1})
            said = " and ".join(
                f"{counted[i]} {unit} at batch size {short(curve.reached[i].batch_size)}" for i in ends
            )
            parts.append(f"{curve.label}: {said}.")
    return " ".join(parts)


def scaling_table(curves: Sequence[Curve]) -> Table:
    """Every point with what the figures draw next to it: perfect scaling, fit, normalised forms, examples."""
    columns = (
        "curve", "batch_size", "steps", "low", "high", "steps_perfect_scaling", "steps_fitted",
        "steps_relative_to_first", "steps_relative_to_fitted_minimum", "examples",
        "examples_low", "examples_high", "examples_forwarded", "forwarded_low", "forwarded_high",
    )  # fmt: skip
    return Table(columns=columns, rows=tuple(_scaling_row(c, p) for c in curves for p in c.points))


def _scaling_row(curve: Curve, point: Point) -> tuple[str | float | None, ...]:
    fitted = curve.fit.steps(point.batch_size) if curve.fit else None
    first = curve.reached[0].steps if curve.reached else None
    return (
        curve.label, point.batch_size, point.steps, point.low, point.high,
        curve.perfect(point.batch_size), fitted,
        ratio(point.steps, first), ratio(point.steps, curve.fit.steps_min if curve.fit else None),
        point.examples, _times(point.low, point.batch_size), _times(point.high, point.batch_size),
        point.forwarded, point.forwarded_low, point.forwarded_high,
    )  # fmt: skip


def ratio(value: float | None, by: float | None) -> float | None:
    """`value / by`, None where one of them is missing."""
    return None if value is None or not by else value / by


def _times(value: float | None, by: float) -> float | None:
    return None if value is None else value * by
