"""Many fits of S = Smin (1 + Bcrit/B) at once: one for each draw of the steps."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from headrace.analysis import _profile

Draws = Float[np.ndarray, "draws points"]
Each = Float[np.ndarray, " draws"]


def intervals(
    log_batch: _profile.Points, draws: Draws, level: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The central `level` of log Bcrit and of log Smin; draws with fewer than two points bound neither."""
    usable = draws[np.isfinite(draws).sum(axis=1) >= 2]
    critical, least = fit_each(log_batch, usable)
    open_ = len(draws) - len(usable)
    return _central(critical, open_, level), _central(least, open_, level)


def fit_each(log_batch: _profile.Points, draws: Draws) -> tuple[Each, Each]:
    """Logarithms of Bcrit and Smin of each draw, to the grid's precision of about 1%; infinite at its ends.

    Args:
        log_batch: log B of the points.
        draws: Steps, infinite where a draw has no point.
    """
    weights = np.isfinite(draws).astype(np.float64)
    log_steps = np.log(np.where(weights > 0, draws, 1.0))
    values = _profile.grid(log_batch, 2048)
    shape = _profile.curve(values, log_batch)
    count = weights.sum(axis=1, keepdims=True)
    # sum w (y - F)^2 - (sum w (y - F))^2 / sum w, as products of matrices; y about its
    # own mean, against rounding.
    centre = (weights * log_steps).sum(axis=1, keepdims=True) / count
    off = weights * (log_steps - centre)
    total = off.sum(axis=1, keepdims=True) - _product(weights, shape)
    squares = (off**2).sum(axis=1, keepdims=True) - 2 * _product(off, shape) + _product(weights, shape**2)
    best = (squares - total**2 / count).argmin(axis=1)
    critical = values[best]
    least = (centre + total[np.arange(len(draws)), best][:, None] / count)[:, 0]
    perfect, flat = best == len(values) - 1, best == 0
    critical = np.where(perfect, math.inf, np.where(flat, -math.inf, critical))
    return critical, np.where(perfect, -math.inf, least)


def _product(rows: Draws, shape: np.ndarray) -> np.ndarray:
    """`rows` times the transpose of `shape`, without BLAS: its sums depend on the number of threads."""
    return np.einsum("dp,gp->dg", rows, shape, optimize=False)


def _central(values: Each, open_: int, level: float) -> tuple[float, float]:
    """The quantiles (1-level)/2 and (1+level)/2, as values that occur: infinite ones stay so.

    Of `open_` more draws nothing is known: they count as the lowest below and as the highest above.
    """
    ordered, unknown = np.sort(values), np.full(open_, math.inf)
    place = math.floor((1 - level) / 2 * (len(ordered) + open_ - 1))
    rising, falling = np.concatenate([-unknown, ordered]), np.concatenate([-unknown, -ordered[::-1]])
    return float(rising[place]), -float(falling[place])
