"""What the figures of hyperparameters show: the best values against batch size, and every trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from headrace.report.tables import Table
from headrace.report.values import Curve, Row

if TYPE_CHECKING:
    from headrace.analysis.results import Analysis


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


def trends(analysis: Analysis, curves: Sequence[Curve]) -> dict[str, tuple[Trend, ...]]:
    """Per hyperparameter of `TUNED` the trends of the curves that have it; names without any are left out."""
    by_study = _by_study(analysis)
    found = {
        name: tuple(
            trend
            for place, curve in enumerate(curves)
            if (trend := _trend(name, curve, place, by_study)) is not None
        )
        for name in TUNED
    }
    return {name: some for name, some in found.items() if some}


def _by_study(analysis: Analysis) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in analysis.trials.to_dicts():
        found.setdefault(row["study"], []).append(row)
    return found


def _trend(name: str, curve: Curve, place: int, by_study: dict[str, list[Row]]) -> Trend | None:
    rows: list[tuple[int, float, float, float]] = []
    for point in curve.reached:
        near = [row for row in by_study.get(point.study, []) if _within(row, point.interval[1])]
        best = [row[name] for row in near if row["best"] and row.get(name) is not None]
        values = [row[name] for row in near if row.get(name) is not None]
        if best:
            rows.append((point.batch_size, best[0], min(values), max(values)))
    if not rows:
        return None
    sizes, values, lows, highs = zip(*rows, strict=True)
    return Trend(curve=curve.label, place=place, sizes=sizes, values=values, lows=lows, highs=highs)


def _within(row: Row, high: float) -> bool:
    return bool(row["best"]) or (row["reached"] is not None and row["reached"] <= high)


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


class Ending(StrEnum):
    """How a trial ended, as the scatter of a search tells it."""

    REACHED = "reached the goal"
    NOT_REACHED = "did not reach it"
    STOPPED = "stopped early"
    INFEASIBLE = "diverged"
    FAILED = "failed with an error"


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One trial of a search; `steps` is where it reached the goal, or how far it was trained."""

    trial: int
    learning_rate: float
    momentum: float | None
    steps: int
    ending: Ending
    best: bool


@dataclass(frozen=True, kw_only=True)
class Search:
    """All trials of one study."""

    batch_size: int
    dots: tuple[Dot, ...]

    @property
    def reached(self) -> int:
        """How many reached the goal."""
        return sum(dot.ending is Ending.REACHED for dot in self.dots)


@dataclass(frozen=True, kw_only=True)
class Searches:
    """The searches of one curve; `momentum` says whether momentum was tuned in them."""

    curve: str
    searches: tuple[Search, ...]
    momentum: bool

    @property
    def dots(self) -> tuple[Dot, ...]:
        """All trials of all searches."""
        return tuple(dot for search in self.searches for dot in search.dots)


def searches(analysis: Analysis, curve: Curve) -> Searches | None:
    """The searches of one curve, None where the learning rate was the same in all trials."""
    by_study = _by_study(analysis)
    some = tuple(
        Search(
            batch_size=point.batch_size,
            dots=tuple(_dot(row) for row in by_study.get(point.study, []) if _has_rate(row)),
        )
        for point in curve.points
    )
    dots = [dot for search in some for dot in search.dots]
    if len({dot.learning_rate for dot in dots}) < 2:
        return None
    tuned = len({dot.momentum for dot in dots}) > 1
    return Searches(curve=curve.label, searches=some, momentum=tuned)


def _has_rate(row: Row) -> bool:
    rate, momentum = row.get("learning_rate"), row.get("momentum")
    return rate is not None and rate > 0 and (momentum is None or momentum < 1)


def _dot(row: Row) -> Dot:
    return Dot(
        trial=row["trial"],
        learning_rate=row["learning_rate"],
        momentum=row.get("momentum"),
        steps=row["trained"] if row["reached"] is None else row["reached"],
        ending=ending(str(row["status"]), reached=row["reached"] is not None),
        best=bool(row["best"]),
    )


def ending(status: str, *, reached: bool) -> Ending:
    """What a status of `experiments.records.Status` means to the reader of a scatter."""
    if status == "COMPLETE":
        return Ending.REACHED if reached else Ending.NOT_REACHED
    return {"STOPPED": Ending.STOPPED, "INFEASIBLE": Ending.INFEASIBLE}.get(status, Ending.FAILED)


def search_table(searches: Searches) -> Table:
    """Every trial of a curve's searches."""
    columns = ("curve", "batch_size", "trial", "learning_rate", "momentum", "steps", "ending", "best")
    rows = tuple(
        (
            searches.curve,
            search.batch_size,
            d.trial,
            d.learning_rate,
            d.momentum,
            d.steps,
            d.ending.value,
            d.best,
        )
        for search in searches.searches
        for d in search.dots
    )
    return Table(columns=columns, rows=rows)
