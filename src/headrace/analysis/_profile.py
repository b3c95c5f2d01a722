r"""The least-squares profile of S = Smin (1 + Bcrit/B) in log space, as functions of arrays.

With u = log Bcrit and m = log Smin the model is y = m + F(u), F(u) = log(1 + e^u / B), y = log S.
For a given u the best m is a mean, m(u) = mean(y - F(u)), so that the fit is a search in one
dimension: no start to choose, no Jacobian to be singular, and both degenerate ends are ordinary
limits of the residual sum of squares:

- u -> -inf: S does not depend on B; the residuals are those of y about its mean;
- u -> +inf: perfect scaling, Smin -> 0 with Smin Bcrit fixed; those of y + log B about its mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

Points = Float[np.ndarray, " points"]
Grid = Float[np.ndarray, " grid"]

# Beyond these the model differs from its limits by less than 1e-6, in logs.
_MARGIN = 14.0
_NEGLIGIBLE = 1e-16
_MANY = 4096
"""Points, above which replicates are taken together: there would be no memory for each at each u."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """The least-squares solution; `log_critical` is -inf for a flat table and +inf for perfect scaling."""

    log_critical: float
    log_steps_min: float
    residual: float


def curve(log_critical: Grid | float, log_batch: Points) -> np.ndarray:
    """F(u) = log(1 + e^u / B) without overflow; shape of `log_critical` plus the axis of the points."""
    return np.logaddexp(0.0, np.asarray(log_critical)[..., None] - log_batch)


def grid(log_batch: Points, points: int = 512) -> Grid:
    """Values of u from where the model is flat over all batch sizes to where it is perfect scaling."""
    return np.linspace(log_batch.min() - _MARGIN, log_batch.max() + _MARGIN, points)


def residual(log_critical: Grid | float, log_batch: Points, log_steps: Points) -> np.ndarray:
    """The residual sum of squares at u, minimised over m."""
    if len(log_batch) > _MANY:
        return _residual_of_many(log_critical, log_batch, log_steps)
    off = log_steps - curve(log_critical, log_batch)
    return ((off - off.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)


def log_steps_min(log_critical: Grid | float, log_batch: Points, log_steps: Points) -> np.ndarray:
    """m(u): the best log Smin at u."""
    if len(log_batch) > _MANY:
        sizes, _, count, means = _replicates(log_batch, log_steps)
        return (means - curve(log_critical, sizes)) @ count / len(log_batch)
    return (log_steps - curve(log_critical, log_batch)).mean(axis=-1)


def _replicates(log_batch: Points, log_steps: Points) -> tuple[Points, Points, Points, Points]:
    """The different batch sizes, which one each point has, how many points have it, and their mean."""
    sizes, where, count = np.unique(log_batch, return_inverse=True, return_counts=True)
    return sizes, where, count, np.bincount(where, log_steps) / count


def _residual_of_many(log_critical: Grid | float, log_batch: Points, log_steps: Points) -> np.ndarray:
    """The same from the means of replicates: the scatter within them does not depend on u."""
    sizes, where, count, means = _replicates(log_batch, log_steps)
    off = means - curve(log_critical, sizes)
    centre = off @ count / len(log_batch)
    within = ((log_steps - means[where]) ** 2).sum()
    return within + (off - centre[..., None]) ** 2 @ count


def flat_residual(log_steps: Points) -> float:
    """The residual sum of squares as u -> -inf."""
    return float(((log_steps - log_steps.mean()) ** 2).sum())


def perfect_residual(log_batch: Points, log_steps: Points) -> float:
    """The residual sum of squares as u -> +inf."""
    return flat_residual(log_steps + log_batch)


def least_squares(log_batch: Points, log_steps: Points) -> Fitted:
    """The global minimum: a grid, then a bounded search about its best point, then the two limits."""
    from scipy.optimize import minimize_scalar

    values = grid(log_batch)
    best = int(residual(values, log_batch, log_steps).argmin())
    around = (values[max(best - 1, 0)], values[min(best + 1, len(values) - 1)])
    found: Any = minimize_scalar(
        lambda u: float(residual(u, log_batch, log_steps)),
        bounds=around,
        method="bounded",
        options={"xatol": 1e-12},
    )
    u, least = float(found.x), float(found.fun)
    # A limit that fits as well as the best interior point is what the table says; it is also what rounding
    # turns into an arbitrary large number.
    slack = _NEGLIGIBLE * len(log_batch)
    perfect, flat = perfect_residual(log_batch, log_steps), flat_residual(log_steps)
    if flat <= least + slack:
        return Fitted(log_critical=-math.inf, log_steps_min=float(log_steps.mean()), residual=flat)
    if perfect <= least + slack:
        return Fitted(log_critical=math.inf, log_steps_min=-math.inf, residual=perfect)
    return Fitted(log_critical=u, log_steps_min=float(log_steps_min(u, log_batch, log_steps)), residual=least)


def interval(
    fitted: Fitted, threshold: float, log_batch: Points, log_steps: Points
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The intervals of u and of m: the extent of {(u, m): residual <= threshold}.

    At u the residual is residual(u) + n (m - m(u))^2, so the extent in m follows from the one in u
    without a second search. Ends are infinite if the limit itself is within the threshold.
    """
    values = grid(log_batch, 1024)
    if math.isfinite(fitted.log_critical):
        values = np.sort(np.append(values, fitted.log_critical))
    inside = np.flatnonzero(residual(values, log_batch, log_steps) <= threshold)
    if not len(inside):
        # Only a limit itself is within the threshold: a table without scatter.
        return (fitted.log_critical, fitted.log_critical), (fitted.log_steps_min, fitted.log_steps_min)
    first, last = int(inside[0]), int(inside[-1])
    flat = flat_residual(log_steps) <= threshold
    perfect = perfect_residual(log_batch, log_steps) <= threshold
    low = -math.inf if flat else _crossing(values[first], values[first - 1], threshold, log_batch, log_steps)
    high = math.inf if perfect else _crossing(values[last], values[last + 1], threshold, log_batch, log_steps)
    extent = np.linspace(max(low, values[0]), min(high, values[-1]), 2048)
    centre = log_steps_min(extent, log_batch, log_steps)
    room = np.sqrt(np.maximum(threshold - residual(extent, log_batch, log_steps), 0.0) / len(log_batch))
    smallest = -math.inf if perfect else float((centre - room).min())
    return (low, high), (smallest, float((centre + room).max()))


def _crossing(inside: float, outside: float, threshold: float, log_batch: Points, log_steps: Points) -> float:
    """Where the residual passes the threshold between a value within it and one beyond it."""
    from scipy.optimize import brentq

    def excess(u: float) -> float:
        return float(residual(u, log_batch, log_steps)) - threshold

    if excess(inside) >= 0:
        return inside
    root: Any = brentq(excess, inside, outside, xtol=1e-10)
    return float(root)
