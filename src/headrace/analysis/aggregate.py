"""Several data sets, one verdict: the mean relative difference and the mean probability of improvement.

What is said is about these data sets, and not about data sets in general: their number is small and they were
not chosen at random. So data sets are strata: every one counts the same, regardless of its number of seeds,
and only the seeds are a source of chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.analysis.comparison import Comparison, GroupResult, Verdict
from headrace.analysis.correction import holm
from headrace.errors import InputError

_Row = tuple[str, float, GroupResult]
"""A data set, its baseline's mean, and the group's result there."""


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """A group against the baseline over all data sets that have it.

    Attributes:
        group: The group's name.
        strata: The data sets.
        relative_difference: The mean over data sets of the difference divided by the baseline's mean:
            -0.05 is 5% less than the baseline.
        interval: Its interval, at Bonferroni's level.
        p: The two-sided p-value.
        p_adjusted: Holm's, over the groups.
        probability_of_improvement: The mean over data sets.
        verdict: "better", "worse" or "no difference shown".
    """

    group: str
    strata: tuple[str, ...]
    relative_difference: float
    interval: tuple[float, float]
    p: float
    p_adjusted: float
    probability_of_improvement: float
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return vars(self) | {"interval": list(self.interval), "strata": list(self.strata)}


def aggregate(comparisons: Mapping[str, Comparison]) -> tuple[Aggregate, ...]:
    """Every group over the data sets in which it was tested.

    Args:
        comparisons: Data set -> its comparison, all with one baseline, direction and level.

    Raises:
        InputError: A baseline's mean is 0, so that nothing is relative to it.
    """
    for name, one in comparisons.items():
        if one.baseline_mean == 0:
            raise InputError(
                "the baseline's mean is 0, so no difference is relative to it",
                where=name,
                fix="Compare this data set apart.",
            )
    tested = {
        name: [
            (stratum, one.baseline_mean, group)
            for stratum, one in comparisons.items()
            for group in one.groups
            if group.group == name and group.tested
        ]
        for name in dict.fromkeys(group.group for one in comparisons.values() for group in one.groups)
    }
    found = {name: _mean(rows) for name, rows in tested.items() if rows}
    adjusted = holm([one.p for one in found.values()])
    first = next(iter(comparisons.values()))
    bonferroni = (1 - first.tested_level) / max(1, len(found))
    return tuple(
        Aggregate(
            group=name,
            strata=tuple(stratum for stratum, _, _ in tested[name]),
            relative_difference=one.mean,
            interval=one.interval(bonferroni),
            p=one.p,
            p_adjusted=p_adjusted,
            probability_of_improvement=_share(tested[name]),
            verdict=_verdict(one, p_adjusted, first),
        )
        for (name, one), p_adjusted in zip(found.items(), adjusted, strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class _Mean:
    """A mean relative difference with its standard error and degrees of freedom."""

    mean: float
    error: float
    freedom: float

    @property
    def p(self) -> float:
        from scipy.special import stdtr

        return 1.0 if self.mean == 0 else float(2 * stdtr(self.freedom, -abs(self.mean) / self.error))

    def interval(self, alpha: float) -> tuple[float, float]:
        from scipy.special import stdtrit

        half = float(stdtrit(self.freedom, 1 - alpha / 2)) * self.error
        return self.mean - half, self.mean + half


def _mean(rows: Sequence[_Row]) -> _Mean:
    shares = [(group.standard_error / abs(base)) ** 2 for _, base, group in rows]
    below = sum(share**2 / group.freedom for share, (_, _, group) in zip(shares, rows, strict=True))
    return _Mean(
        mean=math.fsum(group.difference / abs(base) for _, base, group in rows) / len(rows),
        error=math.sqrt(sum(shares)) / len(rows),
        freedom=sum(shares) ** 2 / below,
    )


def _share(rows: Sequence[_Row]) -> float:
    return math.fsum(group.probability_of_improvement for _, _, group in rows) / len(rows)


def _verdict(one: _Mean, p_adjusted: float, comparison: Comparison) -> Verdict:
    if p_adjusted > 1 - comparison.tested_level:
        return "no difference shown"
    return "better" if (one.mean > 0) == comparison.higher_is_better else "worse"
