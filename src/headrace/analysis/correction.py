"""Holm's correction: the probability of any wrong rejection among many tests, however they depend."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values: the i-th smallest of m is (m-i+1) p, never falling."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, i in enumerate(_ascending(p_values)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _ascending(p_values: Sequence[float]) -> list[int]:
    return sorted(range(len(p_values)), key=lambda i: (p_values[i], i))


def holm_levels(p_values: Sequence[float], alpha: float) -> list[float]:
    """The level at which Holm tests each: alpha/m, alpha/(m-1), .., and the first that fails ends it."""
    levels, failed = [0.0] * len(p_values), False
    share = alpha
    for place, i in enumerate(_ascending(p_values)):
        share = share if failed else alpha / (len(p_values) - place)
        failed = failed or p_values[i] > share
        levels[i] = share
    return levels
