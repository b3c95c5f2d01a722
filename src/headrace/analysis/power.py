"""What a comparison could have shown, and how many seeds would show a difference."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from headrace.analysis.moderation import interval_of_scatter

POWER = 0.8
MOST_SEEDS = 10_000
_QUANTILES = 512
_ESTIMATES = 24
_FEWER = 64


def detectable_difference(
    standard_error: float,
    freedom: float,
    alpha: float,
    power: float = POWER,
    *,
    estimated: bool = False,
) -> float:
    """The smallest true difference that a two-sided t test at `alpha` shows with probability `power`.

    Args:
        standard_error: Of the difference.
        freedom: Degrees of freedom.
        alpha: The test's level.
        power: The probability.
        estimated: Whether `standard_error` is itself an estimate with `freedom` degrees of freedom. A scatter
            that came out too small by luck promises too much more often than one too large promises too
            little; the difference is then the one that is shown with probability `power` on average over
            such estimates. Without it the standard error is taken as the true one.

    Returns:
        The difference, in the metric's unit: delta x standard_error, with P(|T'| > t) = power for the
        noncentral t distribution of noncentrality delta.
    """
    # Rounded, so that a table's many degrees of freedom share their numbers; 1% of them is nothing here.
    return standard_error * _shift(float(f"{freedom:.3g}"), alpha, power, estimated)


def detectable_interval(
    standard_error: float, freedom: float, alpha: float, level: float = 0.95, power: float = POWER
) -> tuple[float, float]:
    """The interval of the detectable difference, from that of a scatter estimated with `freedom`.

    Args:
        standard_error: Of the difference, estimated.
        freedom: Degrees of freedom.
        alpha: The test's level.
        level: Of the interval.
        power: The probability with which the test shows the difference.
    """
    low, high = interval_of_scatter(standard_error, freedom, level)
    return detectable_difference(low, freedom, alpha, power), detectable_difference(
        high, freedom, alpha, power
    )


@lru_cache(maxsize=1024)
def _shift(freedom: float, alpha: float, power: float, estimated: bool) -> float:
    """The noncentrality at which a two-sided t test at `alpha` has `power`."""
    from scipy.optimize import brentq
    from scipy.special import ndtr, stdtrit

    # T' = (Z + delta) / s with s^2 chi-square over its degrees of freedom, integrated over the quantiles
    # of s: scipy's own noncentral t is NaN in far tails.
    scatters = _scatters(freedom, _FEWER if estimated else _QUANTILES)
    limit = float(stdtrit(freedom, 1 - alpha / 2)) * scatters
    promised = _scatters(freedom, _ESTIMATES)[:, None] if estimated else np.ones((1, 1))

    def lacking(shift: float) -> float:
        reached = shift * promised
        return float(np.mean(ndtr(reached - limit) + ndtr(-reached - limit))) - power

    high = 1.0
    while lacking(high) < 0:
        high *= 2
    shift: Any = brentq(lacking, 0.0, high, xtol=1e-6)
    return float(shift)


def _scatters(freedom: float, count: int) -> np.ndarray:
    """Quantiles of an estimated standard deviation over the true one, equally probable."""
    from scipy.special import gammaincinv

    middles = (np.arange(count) + 0.5) / count
    return np.sqrt(gammaincinv(freedom / 2, middles) * 2 / freedom)


def seeds_needed(scatter: float, difference: float, alpha: float, groups: int, power: float = POWER) -> int:
    """Seeds per group at which a true `difference` is shown with probability `power`.

    Args:
        scatter: The standard deviation of one seed's metric, the same for all groups.
        difference: In the metric's unit, positive.
        alpha: The level at which each group is tested, for example 0.05 / groups.
        groups: Groups in addition to the baseline; their scatter is estimated together.
        power: The probability.

    Returns:
        At least 3, below which there is no verdict, and at most `MOST_SEEDS`.
    """

    def enough(seeds: int) -> bool:
        error, freedom = scatter * (2 / seeds) ** 0.5, (groups + 1) * (seeds - 1) / 2
        return detectable_difference(error, max(2.0 * (seeds - 1), freedom), alpha, power) <= difference

    low, high = 2, 3
    while high < MOST_SEEDS and not enough(high):
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
