"""The recommendation as the report shows it: options with their intervals, the frontier, the words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.analysis import words
from headrace.errors import DamagedError, InputError
from headrace.report.choices import Choice
from headrace.report.figures import Absent, Picture
from headrace.report.numbers import plain, short, whole
from headrace.report.pictures import recommended as picture
from headrace.report.tables import Table
from headrace.report.words import Words

if TYPE_CHECKING:
    from headrace.analysis.advice import Advice
    from headrace.analysis.recommendation import Interval, Option

AIMS = {"fastest": "fastest", "cheapest": "cheapest", "knee": "best compromise"}
"""Aim -> how it is named for a reader."""

WORDS = Words(
    title="Time to the goal and its cost, by batch size and workers",
    caption=(
        "Steps to the goal times the measured seconds of a step. First: how long it takes. Second: what it "
        "costs, the time of all workers together. The bar through a point is its 95 % interval. The ring is "
        "about the fastest option in the first panel and about the cheapest in the second, the square about "
        "the best compromise: the least product of relative time and relative cost.",
        "Where the lines of one and of several workers lie together in the first panel, more workers buy no "
        "time; as far as they part in the second, they cost more. Times are those of the machine on which "
        "headrace throughput was run, with shuffled batches and without evaluations.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Recommended:
    """What the page shows of a recommendation.

    Attributes:
        paragraph: In plain words.
        choices: All options.
    """

    paragraph: str
    choices: tuple[Choice, ...]

    @property
    def rows(self) -> list[dict[str, str]]:
        """The frontier, the fastest first, as it is written."""
        return [_row(choice) for choice in sorted(self.choices, key=lambda c: c.seconds) if choice.frontier]

    @property
    def figure(self) -> Picture:
        """Time and cost against batch size."""
        ends = "; ".join(_told(choice) for choice in self.choices if choice.best_as)
        return Picture(
            name="recommendation",
            words=WORDS,
            description=f"{WORDS.title}. {ends}.",
            table=recommended_table(self.choices),
            draw=partial(picture.draw, self.choices),
        )


def recommended(directory: Path) -> Recommended | Absent | None:
    """The recommendation of a run, why there is none, or None where no step times were measured."""
    from headrace.analysis.advice import advise
    from headrace.store.experiments import load
    from headrace.store.throughput import THROUGHPUT, read

    if not (directory / THROUGHPUT).exists():
        return None
    try:
        return shown(advise(load(directory), read(directory)))
    except DamagedError:
        raise
    except InputError as error:
        # No study reached the goal, or the times are of something else: the rest of the report stands.
        return Absent(name="recommendation", words=WORDS, reason=f"{error}")


def shown(advice: Advice) -> Recommended:
    """What the page shows of this advice."""
    found = advice.found
    on = {id(option) for option in found.frontier}
    choices = [
        _choice(
            option,
            interval,
            frontier=id(option) in on,
            best_as=tuple(name for aim, name in AIMS.items() if found.picks[aim].option is option),
        )
        for option, interval in zip(found.options, found.intervals, strict=True)
    ]
    order = {name: place for place, name in enumerate(dict.fromkeys(choice.curve for choice in choices))}
    return Recommended(
        paragraph=advice.paragraph,
        choices=tuple(sorted(choices, key=lambda c: (order[c.curve], c.batch_size))),
    )


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


def recommended_table(choices: Sequence[Choice]) -> Table:
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
