"""Is any group better than the baseline? Paired or Welch tests, Holm's correction, and the power there was.

"The best of many groups" is never held against one baseline uncorrected: under no difference at all,
twenty groups tested at 5 % would give a "winner" in two experiments of three.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from headrace.csv_cells import LARGEST, SMALLEST
from headrace.errors import InputError

Verdict = Literal["better", "worse", "no difference shown"]
POWER = 0.8
_QUANTILES = 512


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One group against the baseline, before any correction.

    Attributes:
        group: The group's name.
        test: "paired" (Student's t of the differences at equal seeds) or "welch".
        mean: The group's mean, over the seeds that were used.
        difference: The group's mean less the baseline's.
        standard_error: Of the difference.
        freedom: Degrees of freedom; Welch and Satterthwaite's for "welch".
        seeds: The group's seeds that were used; for "paired" the pairs.
        p: The two-sided p-value.
    """

    group: str
    test: Literal["paired", "welch"]
    mean: float
    difference: float
    standard_error: float
    freedom: float
    seeds: int
    p: float


@dataclass(frozen=True, kw_only=True)
class GroupResult(Contrast):
    """One group's contrast, corrected for the number of groups, and its verdict.

    Attributes:
        p_adjusted: Holm's adjusted p-value.
        interval: Of the difference, at the level at which Holm's procedure tests this group: it leaves out
            0 exactly where there is a verdict, and covers at least at the comparison's level one by one.
        detectable_difference: The smallest true difference that these seeds, with this scatter, would have
            shown with a probability of 80 %, whatever the other groups are like (at Bonferroni's level).
        verdict: "better", "worse" or "no difference shown".
    """

    p_adjusted: float
    interval: tuple[float, float]
    detectable_difference: float
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every group against the baseline.

    Attributes:
        baseline: The baseline's name.
        baseline_mean: Its mean over all its seeds.
        baseline_seeds: Their number.
        higher_is_better: The direction of the metric.
        level: 1 less the probability that any verdict at all is given where no group differs.
        groups: In the order of their first row.
    """

    baseline: str
    baseline_mean: float
    baseline_seeds: int
    higher_is_better: bool
    level: float
    groups: tuple[GroupResult, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; intervals are lists."""
        groups = [vars(group) | {"interval": list(group.interval)} for group in self.groups]
        return vars(self) | {"groups": groups}


def compare(
    groups: Sequence[str],
    seeds: Sequence[Hashable],
    metric: Sequence[float],
    *,
    baseline: str,
    higher_is_better: bool = False,
    level: float = 0.95,
) -> Comparison:
    """Compare every group with the baseline; the family-wise error is at most 1 - level.

    A group is paired with the baseline where all seeds of the smaller of the two occur in the other (the
    other's remaining seeds are then left out); otherwise Welch's test is used. Holm (1979) corrects the
    p-values over the groups.

    Args:
        groups: The group of each row.
        seeds: The seed of each row: rows of two groups with one seed are a pair.
        metric: The metric of each row.
        baseline: The group that all others are compared with.
        higher_is_better: Whether a larger metric is better.
        level: The level.

    Raises:
        InputError: No such baseline, no other group, a group with fewer than two seeds, a seed that occurs
            twice in a group or is missing, a metric that is not finite or too large for arithmetic, or
            columns of different lengths.
    """
    if not 0 < level < 1:
        raise InputError("must be between 0 and 1", where="level", got=level, fix="Write 0.95 for 95%.")
    table = _by_group(groups, seeds, metric)
    _check_baseline(table, baseline)
    contrasts = [_contrast(name, rows, table[baseline]) for name, rows in table.items() if name != baseline]
    base = list(table[baseline].values())
    return Comparison(
        baseline=baseline,
        baseline_mean=_mean(base),
        baseline_seeds=len(base),
        higher_is_better=higher_is_better,
        level=level,
        groups=tuple(_corrected(contrasts, higher_is_better, level)),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values: the i-th smallest of m is (m-i+1) p, never falling."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, i in enumerate(_ascending(p_values)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _ascending(p_values: Sequence[float]) -> list[int]:
    return sorted(range(len(p_values)), key=lambda i: (p_values[i], i))


def _tested_at(p_values: Sequence[float], alpha: float) -> list[float]:
    """The level at which Holm tests each: alpha/m, alpha/(m-1), .., and the first that fails ends it."""
    levels, failed = [0.0] * len(p_values), False
    share = alpha
    for place, i in enumerate(_ascending(p_values)):
        share = share if failed else alpha / (len(p_values) - place)
        failed = failed or p_values[i] > share
        levels[i] = share
    return levels


def _corrected(contrasts: Sequence[Contrast], higher_is_better: bool, level: float) -> list[GroupResult]:
    p_values = [contrast.p for contrast in contrasts]
    alpha = 1 - level
    rows = zip(contrasts, holm(p_values), _tested_at(p_values, alpha), strict=True)
    return [
        GroupResult(
            **vars(contrast),
            p_adjusted=adjusted,
            interval=_interval(contrast, share),
            detectable_difference=detectable_difference(
                contrast.standard_error, contrast.freedom, alpha / len(contrasts)
            ),
            verdict=_verdict(contrast, share, higher_is_better),
        )
        for contrast, adjusted, share in rows
    ]


def _verdict(contrast: Contrast, alpha: float, higher_is_better: bool) -> Verdict:
    if contrast.p > alpha or contrast.difference == 0:
        return "no difference shown"
    return "better" if (contrast.difference > 0) == higher_is_better else "worse"


def _interval(contrast: Contrast, alpha: float) -> tuple[float, float]:
    from scipy.special import stdtrit

    half = float(stdtrit(contrast.freedom, 1 - alpha / 2)) * contrast.standard_error
    return contrast.difference - half, contrast.difference + half


def detectable_difference(standard_error: float, freedom: float, alpha: float, power: float = POWER) -> float:
    """The smallest true difference that a two-sided t test at `alpha` shows with probability `power`.

    Args:
        standard_error: Of the difference.
        freedom: Degrees of freedom.
        alpha: The test's level.
        power: The probability.

    Returns:
        The difference, in the metric's unit: delta x standard_error, with P(|T'| > t) = power for the
        noncentral t distribution of noncentrality delta.
    """
    return standard_error * _shift(freedom, alpha, power)


@lru_cache(maxsize=256)
def _shift(freedom: float, alpha: float, power: float) -> float:
    """The noncentrality at which a two-sided t test at `alpha` has `power`."""
    from scipy.optimize import brentq
    from scipy.special import gammaincinv, ndtr, stdtrit

    # T' = (Z + delta) / s with s^2 chi-square over its degrees of freedom, integrated over the quantiles
    # of s: scipy's own noncentral t is NaN in far tails.
    middles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    limit = float(stdtrit(freedom, 1 - alpha / 2)) * np.sqrt(gammaincinv(freedom / 2, middles) * 2 / freedom)

    def lacking(shift: float) -> float:
        return float(np.mean(ndtr(shift - limit) + ndtr(-shift - limit))) - power

    high = 1.0
    while lacking(high) < 0:
        high *= 2
    shift: Any = brentq(lacking, 0.0, high)
    return float(shift)


def _contrast(name: str, rows: dict[Hashable, float], base: dict[Hashable, float]) -> Contrast:
    common = [seed for seed in rows if seed in base]
    if len(common) == min(len(rows), len(base)):
        return _paired(name, [rows[seed] for seed in common], [base[seed] for seed in common])
    return _welch(name, list(rows.values()), list(base.values()))


def _paired(name: str, values: Sequence[float], base: Sequence[float]) -> Contrast:
    """Student's t test of the differences."""
    differences = [a - b for a, b in zip(values, base, strict=True)]
    error = math.sqrt(_variance(differences) / len(differences))
    difference, freedom = _mean(differences), len(differences) - 1
    return Contrast(
        group=name,
        test="paired",
        mean=_mean(values),
        difference=difference,
        standard_error=error,
        freedom=freedom,
        seeds=len(values),
        p=_p(difference, error, freedom),
    )


def _welch(name: str, values: Sequence[float], base: Sequence[float]) -> Contrast:
    """Welch's t test, degrees of freedom by Welch and Satterthwaite."""
    shares = [_variance(side) / len(side) for side in (values, base)]
    error = math.sqrt(sum(shares))
    sizes = (len(values), len(base))
    below = sum(share**2 / (size - 1) for share, size in zip(shares, sizes, strict=True))
    freedom = sum(shares) ** 2 / below if below > 0 else float(sum(sizes) - 2)
    difference = _mean(values) - _mean(base)
    return Contrast(
        group=name,
        test="welch",
        mean=_mean(values),
        difference=difference,
        standard_error=error,
        freedom=freedom,
        seeds=len(values),
        p=_p(difference, error, freedom),
    )


def _p(difference: float, error: float, freedom: float) -> float:
    from scipy.special import stdtr

    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * stdtr(freedom, -abs(difference) / error))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _variance(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _by_group(
    groups: Sequence[str], seeds: Sequence[Hashable], metric: Sequence[float]
) -> dict[str, dict[Hashable, float]]:
    """Group -> seed -> metric, checked."""
    if not len(groups) == len(seeds) == len(metric):
        raise InputError(
            "groups, seeds and metric must be of one length",
            where="compare",
            got=(len(groups), len(seeds), len(metric)),
        )
    table: dict[str, dict[Hashable, float]] = {}
    for group, seed, value in zip(groups, _seeds(seeds), metric, strict=True):
        rows = table.setdefault(group, {})
        if seed in rows:
            raise InputError("this seed occurs twice in the group", where=f"group {group!r}", got=seed)
        rows[seed] = _metric(value, where=f"group {group!r}, seed {seed!r}")
    return table


def _seeds(seeds: Sequence[Hashable]) -> list[Hashable]:
    """The seeds as plain values: rows are paired by equality, which NaN and tensors do not have."""
    given: Sequence[Any] = seeds
    plain = [seed.item() if hasattr(seed, "item") else seed for seed in given]
    texts = [isinstance(seed, str) for seed in plain]
    if any(texts) and not all(texts):
        raise InputError(
            "seeds must be all texts or all numbers, because 1 and '1' are no pair", where="seeds", got=plain
        )
    for seed in plain:
        if seed is None or seed != seed:  # noqa: PLR0124  (NaN)
            raise InputError("a seed is missing", where="seeds", got=seed)
    return plain


def _metric(value: float, *, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, str) or not math.isfinite(number):
        raise InputError("the metric must be a finite number", where=where, got=value)
    if number != 0 and not SMALLEST <= abs(number) <= LARGEST:
        raise InputError(
            f"the metric must be 0 or from {SMALLEST:g} to {LARGEST:g} in size, where arithmetic is safe",
            where=where,
            got=value,
            fix="Give it in another unit.",
        )
    return number


def _check_baseline(table: dict[str, dict[Hashable, float]], baseline: str) -> None:
    others = [name for name in table if name != baseline]
    if baseline not in table:
        raise InputError(
            "there is no such group",
            where="baseline",
            got=baseline,
            fix=f"The groups are {', '.join(table)}.",
        )
    if not others:
        raise InputError("there is no group beside the baseline", where="baseline", got=baseline)
    for name, rows in table.items():
        if len(rows) < 2:
            raise InputError(
                "a group needs at least two seeds",
                where=f"group {name!r}",
                got=len(rows),
                fix="Without a second seed nothing tells chance from effect.",
            )
