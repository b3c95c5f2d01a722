"""Does a table of steps fit the law at all? Two tests, as functions of arrays.

*Lack of fit*: against the law S = Smin (1 + Bcrit/B). With replicates throughout, the classical F test of
the scatter between batch sizes against that within; else an F test of the residuals on the two directions
in which a free slope and a free sharpness would move the fitted curve (`headrace.analysis._law_free`).

*No falling curve*: against every curve whose steps never rise with the batch size and never fall faster than
in proportion to it, which holds for steps to a goal by any law. A straight line or a parabola in log-log
must beat the best such curve.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from headrace.analysis import _law_free, _profile

Points = Float[np.ndarray, " points"]

_STEP = 1e-4
_REPLICATED = 2


def lack_of_fit(
    fitted: _profile.Fitted, log_batch: Points, log_steps: Points, *, least_variance: float
) -> float | None:
    """The p-value of the law; None for fewer than five rows, or for too few batch sizes to test it.

    Args:
        fitted: The least-squares fit of the law.
        log_batch: log B.
        log_steps: log S.
        least_variance: The least variance of log S.
    """
    n, sizes = len(log_batch), len(np.unique(log_batch))
    if sizes < 3:
        return None
    if n >= _REPLICATED * sizes:
        *_, within = _law_free.pooled(log_batch, log_steps)
        return _f_test(fitted.residual - within, sizes - 2, within, n - sizes, least_variance)
    directions = _directions(fitted, log_batch)
    off = log_steps - directions.pop()
    law, free = _residual(off, directions[:2]), _residual(off, directions)
    return _f_test(law - free, 2, free, n - 4, least_variance) if n > 4 else None


def no_falling_curve(log_batch: Points, log_steps: Points, *, least_variance: float) -> float | None:
    """The p-value of "steps never rise, nor fall faster than in proportion"; None for two rows.

    At most: a curve of that kind is free at every batch size, so that it follows part of the scatter too.
    """
    n, sizes = len(log_batch), len(np.unique(log_batch))
    if n < 3 or sizes < 2:
        return None
    falling = _falling_residual(log_batch, log_steps)
    x = (log_batch - log_batch.mean()) / np.ptp(log_batch)
    found = list[float]()
    for degree in (1, 2):
        if n > degree + 1 and sizes > degree:
            free = _residual(log_steps, [x**power for power in range(degree + 1)])
            found.append(_f_test(falling - free, 1, free, n - degree - 1, least_variance))
    return min(1.0, len(found) * min(found))


def _f_test(gained: float, directions: int, rest: float, freedom: int, least_variance: float) -> float:
    from scipy.special import fdtrc

    scatter = max(rest / freedom, least_variance, 1e-14)
    return float(fdtrc(directions, freedom, max(gained, 0.0) / directions / scatter))


def _directions(fitted: _profile.Fitted, log_batch: Points) -> list[Points]:
    """How the curve moves with log Smin, log Bcrit, slope and sharpness; last, the curve itself."""
    low, high = log_batch.min() - 8.0, log_batch.max() + 8.0
    at = np.array([min(max(fitted.log_critical, low), high), 0.0, 0.0])
    moved = [
        (_law_free.shape(at + step, log_batch) - _law_free.shape(at - step, log_batch)) / (2 * _STEP)
        for step in _STEP * np.eye(3)
    ]
    return [np.ones(len(log_batch)), *moved, _law_free.shape(at, log_batch)]


def _residual(values: Points, directions: list[Points]) -> float:
    """The sum of squares that a regression on `directions` leaves; those that say nothing are left out."""
    basis, sizes, _ = np.linalg.svd(np.stack(directions, axis=1), full_matrices=False)
    kept = basis[:, sizes > 1e-7 * sizes[0]]
    return float(((values - kept @ (kept.T @ values)) ** 2).sum())


def _falling_residual(log_batch: Points, log_steps: Points) -> float:
    """The sum of squares about the best curve whose log-log slope is between -1 and 0 everywhere."""
    from scipy.optimize import lsq_linear

    x, y, weights, within = _law_free.pooled(log_batch, log_steps)
    gaps = np.diff(x)
    # y_j = y_0 - sum of falls before j; each fall is between 0 and the gap in log B.
    matrix = np.column_stack([np.ones(len(x)), -np.tril(np.ones((len(x), len(gaps))), -1)])
    root = np.sqrt(weights)
    centre = float(y.mean())
    found = lsq_linear(
        matrix * root[:, None],
        (y - centre) * root,
        bounds=(np.r_[-np.inf, np.zeros(len(gaps))], np.r_[np.inf, gaps]),
        method="bvls" if len(x) <= 30 else "trf",
    )
    return 2 * float(found.cost) + within
