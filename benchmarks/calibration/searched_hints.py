"""What two searches hint at, trial by trial at the same learning rates: steps that are fewer, or equal."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.calibration._claims import Row, share
from benchmarks.calibration.searches import BATCH_SIZES, TRIALS, WORLDS, Searches, World, search
from benchmarks.calibration.surfaces import surface
from headrace.analysis.ordered_pairs import Ordered
from headrace.analysis.surface import ratio_of

POLICIES = ("digits-like", "heavy tails", "scatter 30%")


def pairs(mine: Searches, theirs: Searches, sizes: slice = slice(None)) -> list[Ordered]:
    """Of each experiment, as `headrace.analysis.ordered_pairs` orders trials of equal number."""
    a, b = mine.steps[:, sizes], theirs.steps[:, sizes]
    # Both have steps: those to the goal, or those at which the trial was stopped without it.
    fewer = ~mine.censored[:, sizes] & ((a < b) | ((a <= b) & theirs.censored[:, sizes]))
    more = ~theirs.censored[:, sizes] & ((b < a) | ((b <= a) & mine.censored[:, sizes]))
    counts = zip(fewer.sum(axis=(1, 2)), more.sum(axis=(1, 2)), strict=True)
    return [Ordered(fewer=int(one), more=int(other)) for one, other in counts]


def hinted(rng: np.random.Generator, repeats: int) -> list[Row]:
    """A hint between equals at most in 5%; at 20% fewer steps in 90%."""
    rows: list[Row] = []
    for name in POLICIES:
        world: World = WORLDS[name]
        base = search(rng, world, 10 * repeats)
        for factor, least, most in ((1.0, None, 0.05), (0.9, None, None), (0.8, 0.9, None)):
            other = search(rng, world, 10 * repeats, log_rates=base.log_rates, factor=factor)
            for sizes, where in ((slice(None), "9 batch sizes"), (slice(4, 5), "1 batch size")):
                found, error = share(np.array([one.p <= 0.05 for one in pairs(other, base, sizes)]))
                asked = where.startswith("9") and not (name == "scatter 30%" and factor < 1)
                rows.append(
                    Row(
                        claim="experiment: a hint at a difference in steps",
                        world=f"{name}; {factor:g} times the steps; {TRIALS} trials at {where}",
                        found=found,
                        error=error,
                        least=least if asked else None,
                        most=most,
                    )
                )
    return rows


def ratios(rng: np.random.Generator, repeats: int) -> list[Row]:
    """The ratio of tuned steps of two searches is in its interval."""
    rows: list[Row] = []
    for name in POLICIES[:2]:
        base = search(rng, WORLDS[name], repeats)
        other = search(rng, WORLDS[name], repeats, log_rates=base.log_rates, factor=0.8)
        ends = np.array(
            [ratio_of(surface(other, i), surface(base, i), BATCH_SIZES.tolist())[1] for i in range(repeats)]
        )
        found, error = share((ends[:, 0] <= 0.8) & (ends[:, 1] >= 0.8))
        rows.append(
            Row(
                claim="experiment: ratio of tuned steps in its interval",
                world=f"16 trials at 9 batch sizes; {name}; 0.8 times the steps",
                found=found,
                error=error,
                least=0.92,
                detail=f"width x{math.exp(float(np.median(np.log(ends[:, 1] / ends[:, 0])))):.2f}",
            )
        )
    return rows
