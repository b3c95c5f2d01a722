"""The noisy quadratic: its S(B) is known in closed form and follows neither law nor valley of ours.

Thirty curvatures over nearly three decades, plain SGD. The expected loss decides when the goal is reached; a
seed multiplies the steps, as elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from benchmarks.calibration.searches import BATCH_SIZES
from headrace.analysis.noisy_quadratic import Quadratic, expected_loss

_CURVATURE = np.geomspace(0.002, 1, 30)
MODEL = Quadratic(
    curvature=tuple(_CURVATURE), noise=tuple(10 * _CURVATURE), start=tuple(1 / np.sqrt(_CURVATURE))
)
GOAL = 2.0
LOG_RATES = math.log(1e-3), math.log(10.0)
_GRID = np.linspace(*LOG_RATES, 300)
_STEPS = np.unique(np.geomspace(1, 60_000, 1200).round())


@lru_cache(maxsize=1)
def table() -> np.ndarray:
    """Log steps to the goal, [batch-sizes rates]; infinite where it is not reached."""
    found = np.full((len(BATCH_SIZES), len(_GRID)), math.inf)
    for row, size in enumerate(BATCH_SIZES):
        for column, rate in enumerate(np.exp(_GRID)):
            loss = expected_loss(_STEPS.tolist(), model=MODEL, learning_rate=rate, batch_size=int(size))
            below = np.flatnonzero(loss < GOAL)
            if len(below):
                found[row, column] = _crossing(loss, int(below[0]))
    return found


def _crossing(loss: np.ndarray, first: int) -> float:
    """Where the loss passes the goal between two looked-at steps, in logs."""
    if first == 0:
        return 0.0
    ends = np.log(_STEPS[first - 1 : first + 1])
    share = (loss[first - 1] - GOAL) / (loss[first - 1] - loss[first])
    return float(ends[0] + share * (ends[1] - ends[0]))


@dataclass(frozen=True, kw_only=True)
class QuadraticWorld:
    """The noisy quadratic, with seeds that scatter by `sigma` in log steps."""

    sigma: float = 0.19
    heavy: bool = False
    rates = LOG_RATES

    @property
    def tuned(self) -> np.ndarray:
        """Steps at the best learning rate, the median over seeds."""
        return np.exp(table().min(axis=1))

    @property
    def scatter(self) -> np.ndarray:
        """The standard deviation of log steps between seeds at each batch size."""
        return np.full(len(BATCH_SIZES), self.sigma)

    def log_steps(self, log_rates: np.ndarray) -> np.ndarray:
        """Median log steps at log rates [.. batch-sizes trials]; infinite where the goal is never reached."""
        return np.stack(
            [np.interp(log_rates[..., i, :], _GRID, row) for i, row in enumerate(table())], axis=-2
        )


WORLDS = {
    "noisy quadratic": QuadraticWorld(),
    "noisy quadratic, scatter 5%": QuadraticWorld(sigma=0.05),
}
