"""Searches of a learning rate and a momentum: what acts is lr / (1 - momentum), as long as the run is longer.

A momentum whose memory 1 / (1 - momentum) exceeds a quarter of the run makes it longer. So a valley runs
along equal effective rates, flat in the momentum up to a cliff: no bowl, as the surface has it.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.calibration._claims import Row
from benchmarks.calibration.searches import BATCH_SIZES, RANK, TRIALS, WORLDS, World, rounded_up
from benchmarks.calibration.surfaces import clustered
from headrace.analysis.surface import Surface, fit_surface

LOG_LEFT = math.log(1 - 0.999), math.log(1 - 0.5)
"""The range of log(1 - momentum)."""
NAMES = ("digits-like", "scatter 30%", "heavy tails")


def log_steps(world: World, log_rates: np.ndarray, log_left: np.ndarray) -> np.ndarray:
    """Median log steps at log rates and logs of 1 - momentum, [batch-sizes trials]."""
    short = 4 * np.exp(-log_left) / world.tuned[:, None]
    return world.log_steps(log_rates - log_left) + np.log1p(short**2) / 2


def surface(rng: np.random.Generator, world: World) -> tuple[Surface | None, np.ndarray]:
    """One experiment: the surface of its trials, and the fewest steps of each batch size."""
    from scipy.stats import qmc

    sizes = len(BATCH_SIZES)
    units = np.stack([qmc.Halton(2, rng=rng).random(TRIALS) for _ in range(sizes)])
    (low, high), (least, most) = world.rates, LOG_LEFT
    log_rates, log_left = low + (high - low) * units[..., 0], least + (most - least) * units[..., 1]
    z = rng.normal(size=log_rates.shape)
    if world.heavy:
        z = rng.standard_t(3, log_rates.shape) / math.sqrt(3)
    steps = rounded_up(log_steps(world, log_rates, log_left) + world.scatter[:, None] * z)
    decided = np.sort(steps, axis=1)[:, RANK - 1, None]
    censored = (steps > decided).ravel()
    found = fit_surface(
        np.repeat(BATCH_SIZES, TRIALS),
        np.exp(log_rates.ravel()),
        np.log(np.minimum(steps, decided).ravel()) - np.where(censored, 0, math.log(1.05) / 2),
        censored,
        others=log_left.reshape(-1, 1),
        couplings=[-1.0],
    )
    return found, steps.min(axis=1)


def tuned(rng: np.random.Generator, repeats: int) -> list[Row]:
    """The tuned optimum in its interval, over all batch sizes, and how much the fewest steps are above it."""
    rows: list[Row] = []
    for name in NAMES:
        world = WORLDS[name]
        made = [surface(rng, world) for _ in range(repeats)]
        ends = np.array([found.intervals for found, _ in made if found is not None])
        fewest = np.array([steps for _, steps in made]) / world.tuned
        held, error = clustered((ends[..., 0] <= world.tuned) & (world.tuned <= ends[..., 1]))
        rows.append(
            Row(
                claim="surface: tuned optimum in its interval, learning rate and momentum",
                world=f"16 trials at 9 batch sizes; {name}",
                found=held,
                error=error,
                least=0.92,
                detail=f"width x{np.median(ends[..., 1] / ends[..., 0]):.2f}; "
                f"S(B) is {np.median(fewest):.2f} times the optimum",
            )
        )
    return rows
