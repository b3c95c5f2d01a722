r"""Steps against batch size with free slope and free sharpness: what can be said if no law is believed.

The family is S = Smin (1 + (2^k - 1) (Btwice/B)^(a k))^(1/k) [D]: far below Btwice steps fall as B^-a, far
above it they do not fall, k says how sharply the one turns into the other, and S(Btwice) = 2 Smin for all of
them. a = k = 1 is S = Smin (1 + Bcrit/B). Weak priors hold slope and sharpness together: log a ~ N(0, 0.2),
log k ~ N(0, 0.4). With the scatter unknown the criterion is D = n log RSS + (log a/0.2)^2 + (log k/0.4)^2,
at its least over Smin, and an interval is the extent of {D - min D <= n log(1 + t^2/(n-2))}.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Points = Float[np.ndarray, " points"]
Values = Float[np.ndarray, " values"]
Curves = Float[np.ndarray, "curves 3"]

SLOPE_PRIOR, SHARPNESS_PRIOR = 0.2, 0.4
_MARGIN = 10.0
_COARSE, _FINE = 61, 41
_SIDE, _ROUNDS, _SHRINK = 5, 9, 0.6
_HALF_WIDTHS = 0.8, 1.4
_MOST_POINTS = 100


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """The curves of the family that a table allows.

    Attributes:
        log_twice: log Btwice at the least D.
        interval: Of log Btwice; infinite if the table does not bound it.
        curves: Curves within the interval's threshold, that of the least D first: log Btwice, log a, log k.
    """

    log_twice: float
    interval: tuple[float, float]
    curves: Curves


def shape(curves: np.ndarray, log_batch: Points) -> np.ndarray:
    """Shapes log S - log Smin of curves (log Btwice, log a, log k in the last axis) at each point."""
    twice, slope, sharpness = curves[..., 0, None], curves[..., 1, None], np.exp(curves[..., 2, None])
    start = np.log(np.expm1(sharpness * math.log(2)))
    return np.logaddexp(0.0, start + np.exp(slope) * sharpness * (twice - log_batch)) / sharpness


def allowed(log_batch: Points, log_steps: Points, *, t: float, least_variance: float) -> Allowed:
    """Every curve of the family that the table allows.

    Args:
        log_batch: log B of at least three rows.
        log_steps: log S.
        t: The quantile of Student's t for the level of the interval, with n - 2 degrees of freedom.
        least_variance: The least variance of log S; that of rounding, for whole numbers of steps.
    """
    n = len(log_batch)
    criterion = _criterion(log_batch, log_steps, max(least_variance, 1e-12))
    values = np.linspace(log_batch.min() - _MARGIN, log_batch.max() + _MARGIN, _COARSE)
    allowance = n * math.log1p(t**2 / (n - 2))
    profile = _zoom(criterion, values)[1].min(axis=1)
    inside = np.flatnonzero(profile <= profile.min() + allowance)
    # The same again between the coarse values just outside: a table of many rows allows very little.
    first, last = max(int(inside[0]) - 1, 0), min(int(inside[-1]) + 1, len(values) - 1)
    ends = values[0], values[-1]
    values = np.linspace(values[first], values[last], _FINE)
    tried, found = _zoom(criterion, values)
    threshold = float(found.min()) + allowance
    curves = tried[found <= threshold][np.argsort(found[found <= threshold], kind="stable")]
    low, high = _extent(values, found.min(axis=1), threshold)
    return Allowed(
        log_twice=float(curves[0, 0]),
        interval=(-math.inf if low <= ends[0] else low, math.inf if high >= ends[1] else high),
        curves=curves,
    )


def _criterion(
    log_batch: Points, log_steps: Points, least_variance: float
) -> Callable[[np.ndarray], np.ndarray]:
    """D as a function of curves. Rows of one batch size enter by their mean and the scatter within."""
    x, y, weights, within = pooled(log_batch, log_steps)
    n = len(log_batch)
    rest = within + n * least_variance

    def criterion(curves: np.ndarray) -> np.ndarray:
        off = y - shape(curves, x)
        mean = (off * weights).sum(axis=-1, keepdims=True) / n
        squares = (weights * (off - mean) ** 2).sum(axis=-1)
        prior = (curves[..., 1] / SLOPE_PRIOR) ** 2 + (curves[..., 2] / SHARPNESS_PRIOR) ** 2
        return n * np.log(squares + rest) + prior

    return criterion


def pooled(log_batch: Points, log_steps: Points) -> tuple[Points, Points, Points, float]:
    """Mean log B, mean log S and number of rows of each batch size, and the sum of squares within.

    Of neighbours together, if there are very many batch sizes.
    """
    distinct, place = np.unique(log_batch, return_inverse=True)
    if len(distinct) > _MOST_POINTS:
        share = (log_batch - distinct[0]) / (distinct[-1] - distinct[0])
        _, place = np.unique((share * _MOST_POINTS).astype(np.int64), return_inverse=True)
    weights = np.bincount(place).astype(np.float64)
    x, y = (np.bincount(place, values) / weights for values in (log_batch, log_steps))
    return x, y, weights, float(((log_steps - y[place]) ** 2).sum())


def _zoom(
    criterion: Callable[[np.ndarray], np.ndarray], values: Values
) -> tuple[np.ndarray, Float[np.ndarray, "values tried"]]:
    """Slope and sharpness at their best for each log Btwice, by grids that close in; all that was tried."""
    steps = np.linspace(-1, 1, _SIDE)
    offsets = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    centre, width = np.zeros((len(values), 2)), np.array(_HALF_WIDTHS)
    every, found = list[np.ndarray](), list[np.ndarray]()
    for _ in range(_ROUNDS):
        pairs = centre[:, None] + offsets * width
        twice = np.broadcast_to(values[:, None, None], (*pairs.shape[:2], 1))
        every.append(np.concatenate([twice, pairs], axis=-1))
        found.append(criterion(every[-1]))
        centre = pairs[np.arange(len(values)), found[-1].argmin(axis=1)]
        width = width * _SHRINK
    return np.concatenate(every, axis=1), np.concatenate(found, axis=1)


def _extent(values: Values, profile: Values, threshold: float) -> tuple[float, float]:
    inside = np.flatnonzero(profile <= threshold)
    first, last = int(inside[0]), int(inside[-1])

    def between(within: int, beyond: int) -> float:
        if not 0 <= beyond < len(values):
            return float(values[within])
        share = (threshold - profile[within]) / (profile[beyond] - profile[within])
        return float(values[within] + share * (values[beyond] - values[within]))

    return between(first, first - 1), between(last, last + 1)


def limit_intervals(
    curves: Curves, batch_sizes: Points, tolerance: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The least and the greatest perfect-scaling limit and largest useful batch size of the curves.

    Args:
        curves: From `allowed`.
        batch_sizes: The tested ones, rising.
        tolerance: As in `headrace.analysis.regimes.limits`, whose two rules these are.
    """
    log_batch = np.log(batch_sizes)
    steps = shape(curves, log_batch)
    room = math.log1p(tolerance) + 1e-12
    linear = steps + log_batch
    kept = np.logical_and.accumulate(linear <= linear[:, :1] + room, axis=1).sum(axis=1) - 1
    enough = (steps <= steps.min(axis=1, keepdims=True) + room).argmax(axis=1)
    perfect, useful = batch_sizes[kept], batch_sizes[enough]
    return (float(perfect.min()), float(perfect.max())), (float(useful.min()), float(useful.max()))
