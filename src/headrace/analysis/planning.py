"""How many seeds a comparison needs, from the scatter of the seeds that were run."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.analysis.moderation import interval_of_scatter
from headrace.analysis.pairing import variance
from headrace.analysis.power import MOST_SEEDS, seeds_needed
from headrace.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SeedPlan:
    """What it takes to show a difference.

    Attributes:
        difference: The true difference to be shown, in the metric's unit.
        groups: Groups in addition to the baseline.
        level: Of the comparison.
        power: The probability with which each group's difference is shown.
        scatter: The standard deviation of one seed's metric, over all groups together.
        scatter_interval: Its 95% interval.
        seeds: Seeds needed, of every group and of the baseline.
        seeds_interval: The same at the ends of the scatter's interval.
        seeds_is_at_least: Whether even `MOST_SEEDS` are too few.
    """

    difference: float
    groups: int
    level: float
    power: float
    scatter: float
    scatter_interval: tuple[float, float]
    seeds: int
    seeds_interval: tuple[int, int]
    seeds_is_at_least: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return vars(self)


def plan_seeds(
    groups: Sequence[str],
    metric: Sequence[float],
    *,
    difference: float,
    level: float = 0.95,
    power: float = 0.8,
) -> SeedPlan:
    """The seeds needed per group, unpaired, at Bonferroni's level for as many groups as the table has.

    Args:
        groups: The group of each row; the baseline is one of them.
        metric: The metric of each row; rows that are not finite say nothing about the scatter.
        difference: To be shown, positive.
        level: Of the comparison.
        power: The probability with which a true difference of that size is shown.

    Raises:
        InputError: A difference that is not positive, or no group with two finite rows.
    """
    if not (math.isfinite(difference) and difference > 0):
        raise InputError("must be a positive finite number", where="difference", got=difference)
    scatter, freedom = _pooled(groups, metric)
    others = max(1, len(set(groups)) - 1)
    alpha = (1 - level) / others
    low, high = interval_of_scatter(scatter, freedom)
    needed = [seeds_needed(value, difference, alpha, others, power) for value in (low, scatter, high)]
    return SeedPlan(
        difference=difference,
        groups=others,
        level=level,
        power=power,
        scatter=scatter,
        scatter_interval=(low, high),
        seeds=needed[1],
        seeds_interval=(needed[0], needed[2]),
        seeds_is_at_least=needed[1] >= MOST_SEEDS,
    )


def _pooled(groups: Sequence[str], metric: Sequence[float]) -> tuple[float, int]:
    """The standard deviation within groups, and its degrees of freedom."""
    rows: dict[Hashable, list[float]] = {}
    for group, value in zip(groups, metric, strict=True):
        if math.isfinite(value):
            rows.setdefault(group, []).append(value)
    several = [values for values in rows.values() if len(values) >= 2]
    if not several:
        raise InputError(
            "no group has two seeds, so nothing shows how much seeds scatter",
            where="groups",
            got=len(rows),
            fix="Run at least two seeds of one group.",
        )
    freedom = sum(len(values) - 1 for values in several)
    squares = math.fsum(variance(values) * (len(values) - 1) for values in several)
    return math.sqrt(squares / freedom), freedom
