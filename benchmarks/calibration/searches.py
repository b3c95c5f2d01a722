"""Simulated searches: 9 batch sizes of 16 learning rates each, a race that stops at the fourth to the goal.

Calibrated on trials of digits-mlp: one seed is worth 19%, steps grow as a power 0.6 to 0.84 of a rate too
small, and as one of 7 to 20 of a rate too large. In one dimension scrambled Halton points are a grid with a
random shift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from headrace.specs.interval import interval_rank

BATCH_SIZES = 4 * 2.0 ** np.arange(9)
LOG_BATCH = np.log(BATCH_SIZES)
FEWEST = 60.0
TRIALS = 16
RANK = interval_rank(TRIALS)
PLACE = LOG_BATCH - LOG_BATCH.mean()


@dataclass(frozen=True, kw_only=True)
class World:
    """What searches are drawn from.

    Attributes:
        sigma: The standard deviation of log steps between seeds.
        critical: The critical batch size.
        p_slope: How the logarithm of the slope below the best rate changes per log batch size.
        q_slope: Of the slope above it.
        sigma_slope: Of the scatter.
        heavy: Whether seeds have the tails of Student's t with 3 degrees of freedom.
        broad: Whether the optimum is broad on both sides.
    """

    sigma: float = 0.19
    critical: float = 60.0
    p_slope: float = 0.0
    q_slope: float = 0.0
    sigma_slope: float = 0.0
    heavy: bool = False
    broad: bool = False

    rates = math.log(1e-3), math.log(10.0)
    """The range that is searched."""

    @property
    def tuned(self) -> np.ndarray:
        """Steps at the best learning rate, the median over seeds."""
        return FEWEST * (1 + self.critical / BATCH_SIZES)

    @property
    def scatter(self) -> np.ndarray:
        """The standard deviation of log steps between seeds at each batch size."""
        return self.sigma * np.exp(self.sigma_slope * PLACE)

    def log_steps(self, log_rates: np.ndarray) -> np.ndarray:
        """Median log steps at log rates [.. batch-sizes trials]."""
        p = 0.75 * np.exp(self.p_slope * PLACE)
        q = 11 * np.exp(self.q_slope * PLACE)
        if self.broad:
            p = q = np.full(len(PLACE), 0.5)
        best = math.log(0.15) + 0.4 * PLACE - 0.02 * PLACE**2
        d = log_rates - best[:, None]
        left, right = np.log(q)[:, None] - p[:, None] * d, np.log(p)[:, None] + q[:, None] * d
        return np.log(self.tuned)[:, None] + np.logaddexp(left, right) - np.log(p + q)[:, None]


WORLDS = {
    "digits-like": World(),
    "scatter 5%": World(sigma=0.05),
    "scatter 30%": World(sigma=0.30),
    "heavy tails": World(heavy=True),
    "shape changes as measured": World(p_slope=0.12, q_slope=0.2),
    "shape and scatter change more": World(p_slope=0.3, q_slope=-0.3, sigma_slope=0.15),
    "broad optimum": World(broad=True),
}


@dataclass(frozen=True, kw_only=True)
class Searches:
    """Simulated searches, [experiments batch-sizes trials].

    Attributes:
        log_rates: The learning rates.
        steps: Evaluated steps to the goal, or those of the decision.
        censored: Stopped at the decision.
    """

    log_rates: np.ndarray
    steps: np.ndarray
    censored: np.ndarray

    @property
    def fewest(self) -> np.ndarray:
        """S(B), [experiments batch-sizes]."""
        return self.steps.min(axis=2)


class Searched(Protocol):
    """What a world must have for searches to be drawn from it."""

    @property
    def heavy(self) -> bool:
        """Whether seeds have heavy tails."""
        ...

    @property
    def rates(self) -> tuple[float, float]:
        """The logs of the range that is searched."""
        ...

    @property
    def tuned(self) -> np.ndarray:
        """Steps at the best learning rate."""
        ...

    @property
    def scatter(self) -> np.ndarray:
        """Of log steps between seeds."""
        ...

    def log_steps(self, log_rates: np.ndarray) -> np.ndarray:
        """Median log steps."""
        ...


def search(
    rng: np.random.Generator,
    world: Searched,
    experiments: int,
    *,
    log_rates: np.ndarray | None = None,
    factor: float = 1.0,
    trials: int = TRIALS,
) -> Searches:
    """Draw experiments.

    Args:
        rng: Where they are drawn from.
        world: Which world.
        experiments: How many.
        log_rates: Those of other searches, to be tried again; None to draw them.
        factor: Of the steps that the world says.
        trials: At each batch size.
    """
    shape = (experiments, len(BATCH_SIZES), trials)
    low, high = world.rates
    grid = (np.arange(trials) + rng.random((*shape[:2], 1))) / trials
    rates = low + (high - low) * grid if log_rates is None else log_rates
    z = rng.standard_t(3, shape) / math.sqrt(3) if world.heavy else rng.normal(size=shape)
    steps = rounded_up(math.log(factor) + world.log_steps(rates) + world.scatter[:, None] * z)
    decided = np.sort(steps, axis=2)[:, :, interval_rank(trials) - 1, None]
    return Searches(log_rates=rates, steps=np.minimum(steps, decided), censored=steps > decided)


def rounded_up(log_steps: np.ndarray) -> np.ndarray:
    """Steps to the next evaluation: every 5%, and at whole steps."""
    return np.ceil(np.exp(np.ceil(np.minimum(log_steps, 40) / math.log(1.05)) * math.log(1.05)))
