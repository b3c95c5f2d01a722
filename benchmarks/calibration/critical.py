"""The critical batch size that an experiment prints, and the ratio of two, from simulated searches."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.calibration._claims import Row, share
from benchmarks.calibration.searches import BATCH_SIZES, WORLDS, World, search
from headrace import scaling


def fits(rng: np.random.Generator, world: World, experiments: int) -> list[scaling.ScalingFit]:
    """What `headrace.analysis.curves` fits: the law through the fewest steps of each study."""
    return [scaling.fit(BATCH_SIZES, steps) for steps in search(rng, world, experiments).fewest]


def critical(rng: np.random.Generator, repeats: int) -> list[Row]:
    """The true critical batch size lies in the printed interval."""
    rows: list[Row] = []
    for name, world in WORLDS.items():
        ends = [fit.interval or (0.0, math.inf) for fit in fits(rng, world, repeats)]
        found, error = share(np.array([low <= world.critical <= high for low, high in ends]))
        width = np.median([high / low if low else math.inf for low, high in ends])
        rows.append(
            Row(
                claim="experiment: critical batch size in its interval",
                world=f"16 trials at 9 batch sizes; {name}",
                found=found,
                error=error,
                least=0.92,
                most=0.97,
                detail=f"width x{width:.1f}",
            )
        )
    return rows


def ratio(rng: np.random.Generator, repeats: int) -> list[Row]:
    """A larger critical batch size is shown: never by mistake, a doubling more often than not."""
    base = fits(rng, World(), repeats)
    rows: list[Row] = []
    for factor, least, most in ((1, None, 0.08), (2, 0.6, None), (3, 0.9, None)):
        others = fits(rng, World(critical=60.0 * factor), repeats)
        found = [scaling.critical_ratio(other, one) for other, one in zip(others, base, strict=True)]
        ends = [(0.0, math.inf) if pair is None else pair[1] for pair in found]
        shown, error = share(np.array([low > 1 or (factor == 1 and high < 1) for low, high in ends]))
        rows.append(
            Row(
                claim="experiment: critical batch sizes differ is shown",
                world=f"true ratio {factor}",
                found=shown,
                error=error,
                least=least,
                most=most,
                detail=f"width x{np.median([high / low if low else math.inf for low, high in ends]):.1f}",
            )
        )
    return rows
