"""The step in which a metric is counted: errors of T test examples, or a schedule of evaluations.

Two seeds that make the same number of errors do not have no scatter; they have less than the count can show.
A metric counted in steps of g scatters by rounding alone with variance g^2/12, which is the least that a
comparison may take a group's variance for.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import pairwise

from headrace.analysis.runs import Table

_RELATIVE = 1e-6
"""Values nearer than this share of the largest are one value in other rounding."""
_LEAST_SHARE = 1e-7
"""A step smaller than this share of the largest value is that of its own rounding, and none of counting."""


def rounding_variance(granularity: float) -> float:
    """The variance of a value that was rounded to steps of `granularity`."""
    return granularity**2 / 12


def detect_granularity(table: Table) -> float:
    """The step in which the metric of a table seems to be counted; 0 for a metric that is continuous.

    Where two runs of different seeds agree exactly, the metric is counted, and the smallest gap between
    two values is its step (or a multiple, if the table is too small). Without such a tie it is the
    largest step of which all values are whole multiples away from the least.

    Args:
        table: Group -> seed -> finite metric.
    """
    values = sorted({value for rows in table.values() for value in rows.values()})
    if len(values) < 2:
        return 0.0
    least = max(abs(values[0]), abs(values[-1])) * _RELATIVE
    gaps = [b - a for a, b in pairwise(values) if b - a > least]
    if not gaps:
        return 0.0
    return min(gaps) if _has_ties(table) else _common_step(values)


def _has_ties(table: Table) -> bool:
    """Whether runs of different seeds have one metric; equal seeds may be one run under two names."""
    seen: dict[float, Hashable] = {}
    for rows in table.values():
        for seed, value in rows.items():
            if seen.setdefault(value, seed) != seed:
                return True
    return False


def _common_step(values: list[float]) -> float:
    """The greatest common divisor of the differences, to within rounding; 0 if it is no more than that."""
    largest = max(abs(values[0]), abs(values[-1]))
    tolerance, step = largest * _RELATIVE * 0.1, 0.0
    for value in values[1:]:
        a, b = step, value - values[0]
        while b > tolerance:
            a, b = b, a % b if a else 0.0
            b = 0.0 if a - b < tolerance else b
        step = a if a > tolerance else step
        if step <= largest * _LEAST_SHARE * 10:
            return 0.0
    return step
