"""Time to the goal and its cost against batch size, a curve for each number of workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace.analysis import words
from headrace.analysis.advice import Advice
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
from headrace.report.numbers import plain, short, whole
from headrace.report.style import INK, mark
from headrace.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.recommendation import Interval, Option
    from headrace.analysis.results import Analysis

AIMS = {"fastest": "fastest", "cheapest": "cheapest", "knee": "best compromise"}
"""Aim -> how it is named for a reader."""

WORDS = Words(
    title="Time to the goal and its cost, by batch size and workers",
    caption=(
        "Steps to the goal times the measured seconds of a step. First: how long it takes. Second: what it "
        "costs, the time of all workers together. The bar through a point is its 95% interval. The ring is "
        "about the fastest option in the first panel and about the cheapest in the second, the square about "
        "the best compromise: the least product of relative time and relative cost.",
        "If the lines of one and of several workers coincide in the first panel, more workers buy no "
        "time; as far as they part in the second, they cost more. Times are those of the machine on which "
        "headrace throughput was run, with shuffled batches and without evaluations.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One option: a batch size on some workers.

    Attributes:
        curve: The optimizer, and what else is not the default, with the number of workers.
        batch_size: Examples per step, over all workers.
        workers: How many.
        steps: Steps to the goal.
        seconds: Time to the goal.
        interval: Its interval; infinite where it may not be reached.
        seconds_per_step: The step time.
        measured: Whether that was measured.
        frontier: Whether no other option is as good in time and in cost and better in one.
        best_as: The aims for which it is the best.
    """

    curve: str
    batch_size: int
    workers: int
    steps: float
    seconds: float
    interval: tuple[float, float]
    seconds_per_step: float
    measured: bool
    frontier: bool
    best_as: tuple[str, ...]


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis; none where no step times were measured."""
    if analysis.advice is None:
        return []
    if not isinstance(analysis.advice, Advice):
        return [Absent(name="recommendation", words=WORDS, reason=analysis.advice)]
    return [_figure(choices(analysis.advice), analysis.advice.tokens)]


def _figure(choices: Sequence[Choice], tokens: float | None) -> Picture:
    ends = "; ".join(_told(choice) for choice in choices if choice.best_as)
    return Picture(
        name="recommendation",
        words=WORDS,
        description=f"{WORDS.title}. {ends}.",
        table=choice_table(choices),
        draw=partial(draw, choices, tokens),
    )


def choices(advice: Advice) -> tuple[Choice, ...]:
    """All options, curve by curve in rising batch size."""
    found = advice.found
    on = {id(option) for option in found.frontier}
    options = [
        _choice(
            option,
            interval,
            frontier=id(option) in on,
            best_as=tuple(name for aim, name in AIMS.items() if found.picks[aim].option is option),
        )
        for option, interval in zip(found.options, found.intervals, strict=True)
    ]
    order = {name: place for place, name in enumerate(dict.fromkeys(choice.curve for choice in options))}
    return tuple(sorted(options, key=lambda c: (order[c.curve], c.batch_size)))


def _choice(option: Option, interval: Interval, *, frontier: bool, best_as: tuple[str, ...]) -> Choice:
    name = words.curve((option.optimizer, option.subset, option.policy, 1))
    workers = "1 worker" if option.workers == 1 else f"{option.workers} workers"
    return Choice(
        curve=f"{name}, {workers}",
        batch_size=option.batch_size,
        workers=option.workers,
        steps=option.steps,
        seconds=option.seconds,
        interval=interval,
        seconds_per_step=option.seconds_per_step,
        measured=option.measured,
        frontier=frontier,
        best_as=best_as,
    )


def choice_table(choices: Sequence[Choice]) -> Table:
    """The values of the figure."""
    columns = (
        "curve", "batch_size", "workers", "steps", "seconds_per_step", "measured", "seconds", "low", "high",
        "device_seconds", "device_low", "device_high", "frontier", "best_as",
    )  # fmt: skip
    return Table(columns=columns, rows=tuple(_cells(choice) for choice in choices))


def _cells(choice: Choice) -> tuple[str | int | float | bool | None, ...]:
    low, high = choice.interval
    return (
        choice.curve, choice.batch_size, choice.workers, choice.steps, choice.seconds_per_step,
        choice.measured, choice.seconds, low, high, choice.workers * choice.seconds,
        choice.workers * low, choice.workers * high, choice.frontier, ", ".join(choice.best_as) or None,
    )  # fmt: skip


def _told(choice: Choice) -> str:
    return (
        f"{', '.join(choice.best_as)}: {choice.curve}, batch size {short(choice.batch_size)}, "
        f"{words.duration(choice.seconds)} at a cost of {words.duration(choice.workers * choice.seconds)}"
    )


def frontier_rows(advice: Advice) -> list[dict[str, str]]:
    """The options that no other beats, the fastest first, as the page writes them."""
    return [_row(choice) for choice in sorted(choices(advice), key=lambda c: c.seconds) if choice.frontier]


def _row(choice: Choice) -> dict[str, str]:
    low, high = choice.interval
    return {
        "option": choice.curve,
        "batch_size": whole(choice.batch_size),
        "best_as": ", ".join(choice.best_as),
        "time": words.duration(choice.seconds),
        "interval": words.span(low, high),
        "cost": words.duration(choice.workers * choice.seconds),
        "steps": whole(choice.steps),
        "step": f"{plain(1000 * choice.seconds_per_step)} ms"
        + ("" if choice.measured else " (extrapolated)"),
    }


_BOX = Box(left=58, top=42)

_RING: dict[str, Any] = {"marker": "o", "markersize": 13, "markerfacecolor": "none", "markeredgewidth": 1.6}

_FRAME: dict[str, Any] = _RING | {"marker": "s", "markersize": 17}

_TOP = 10
"""The highest interval end that widens an axis, over the highest point."""


def draw(choices: Sequence[Choice], tokens: float | None, layout: Layout) -> Figure:
    """A panel for time and one for cost; the best options are ringed."""
    curves = list(dict.fromkeys(choice.curve for choice in choices))
    handles = [
        *(_handle(name, place) for place, name in enumerate(curves)),
        common.line_handle("the fastest, the cheapest", color=INK, linestyle="", **_RING),
        common.line_handle("the best compromise", color=INK, linestyle="", **_FRAME),
    ]
    head = legend_height(handles, layout.width)
    canvas, frames = panel_grid(layout, 2, columns=layout.panels, height=290, box=_BOX, head=head)
    panels: list[tuple[str, Callable[[Choice], int], str]] = [
        ("time to the goal (s)", lambda _: 1, "fastest"),
        ("cost (device seconds)", lambda choice: choice.workers, "cheapest"),
    ]
    for axes, (title, times, best) in zip(frames, panels, strict=True):
        _panel(axes, choices, times, tokens)
        heading(axes, title, left=_BOX.left)
        for choice in choices:
            for aim, style in ((best, _RING), ("best compromise", _FRAME)):
                if aim in choice.best_as:
                    x = common.dodged(choice.batch_size, curves.index(choice.curve), len(curves))
                    axes.plot([x], [times(choice) * choice.seconds], color=INK, zorder=5, **style)
    canvas.legend(handles)
    return canvas.figure


def _handle(name: str, place: int) -> object:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=name, linewidth=1.4, **mark(place).style())


def _panel(
    axes: Axes, choices: Sequence[Choice], times: Callable[[Choice], int], tokens: float | None
) -> None:
    curves = list(dict.fromkeys(choice.curve for choice in choices))
    batch_axis(axes, [choice.batch_size for choice in choices], tokens=tokens)
    points = [times(choice) * choice.seconds for choice in choices]
    ends = [times(choice) * end for choice in choices for end in choice.interval]
    decimal_axis(axes, [*points, *(end for end in common.finite(ends) if end < _TOP * max(points))])
    for place, name in enumerate(curves):
        some = [choice for choice in choices if choice.curve == name]
        xs = [common.dodged(choice.batch_size, place, len(curves)) for choice in some]
        ys = [times(choice) * choice.seconds for choice in some]
        spans = [(times(choice) * choice.interval[0], times(choice) * choice.interval[1]) for choice in some]
        common.joined(axes, xs, ys, place)
        common.draw_points(axes, list(zip(xs, ys, strict=True)), spans, place)
