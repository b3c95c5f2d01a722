"""The tuned optimum by the pooled surface, from simulated searches."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.calibration import quadratic
from benchmarks.calibration._claims import Row, share
from benchmarks.calibration.searches import BATCH_SIZES, WORLDS, Searched, Searches, World, search
from headrace.analysis.surface import Surface, fit_surface
from headrace.analysis.widths import interval_width

EVERY: dict[str, Searched] = {**WORLDS, **quadratic.WORLDS}
NOT_MADE_FOR = frozenset(quadratic.WORLDS)
"""Worlds that no surface of ours follows: what is found there is reported."""


def surface(drawn: Searches, experiment: int) -> Surface:
    """As `headrace.analysis.tuned` fits it: a goal was reached between two evaluations, 5% apart."""
    censored = drawn.censored[experiment].reshape(-1)
    found = fit_surface(
        np.repeat(BATCH_SIZES, drawn.log_rates.shape[2]),
        np.exp(drawn.log_rates[experiment].reshape(-1)),
        np.log(drawn.steps[experiment].reshape(-1)) - np.where(censored, 0, math.log(1.05) / 2),
        censored,
    )
    assert found is not None
    return found


def clustered(held: np.ndarray) -> tuple[float, float]:
    """The share of [experiments batch-sizes], and its error: the sizes of one experiment go together."""
    return float(held.mean()), float((held.mean(axis=1).std() + 0.01) / math.sqrt(len(held)))


def tuned(rng: np.random.Generator, repeats: int) -> list[Row]:
    """The tuned optimum in its interval, over all batch sizes; next to it, the interval of S(B)."""
    rows: list[Row] = []
    for name, world in EVERY.items():
        drawn = search(rng, world, repeats)
        ends = np.array([surface(drawn, i).intervals for i in range(repeats)])
        low, high = drawn.fewest, np.where(drawn.censored, 0, drawn.steps).max(axis=2)
        printed = ((low <= world.tuned) & (world.tuned <= high)).mean()
        found, error = clustered((ends[..., 0] <= world.tuned) & (world.tuned <= ends[..., 1]))
        rows.append(
            Row(
                claim="surface: tuned optimum in its interval",
                world=f"16 trials at 9 batch sizes; {name}",
                found=found,
                error=error,
                least=None if name in NOT_MADE_FOR else 0.92,
                detail=f"width x{np.median(ends[..., 1] / ends[..., 0]):.2f}; S(B): {printed:.2f}, "
                f"width x{np.median(high / low):.2f}",
            )
        )
    return rows


def critical(rng: np.random.Generator, repeats: int) -> list[Row]:
    """The critical batch size of the surface in its interval."""
    rows: list[Row] = []
    for name, world in WORLDS.items():
        drawn = search(rng, world, repeats)
        ends = np.array([surface(drawn, i).critical_interval for i in range(repeats)])
        found, error = share((ends[:, 0] <= world.critical) & (world.critical <= ends[:, 1]))
        rows.append(
            Row(
                claim="surface: critical batch size in its interval",
                world=f"16 trials at 9 batch sizes; {name}",
                found=found,
                error=error,
                least=0.92,
                most=0.98,
                detail=f"width x{np.median(ends[:, 1] / ends[:, 0]):.1f}",
            )
        )
    return rows


def widths(rng: np.random.Generator, repeats: int) -> list[Row]:
    """The width of the tuned optimum's interval, against what a plan says of other numbers of trials."""
    rows: list[Row] = []
    for trials in (8, 16, 32, 64):
        drawn = search(rng, World(), repeats, trials=trials)
        ends = np.array([surface(drawn, i).intervals for i in range(repeats)])
        each = np.median(ends[..., 1] / ends[..., 0], axis=1)
        said = interval_width(trials, len(BATCH_SIZES))
        rows.append(
            Row(
                claim="surface: width of the tuned optimum's interval over what a plan says",
                world=f"{trials} trials at 9 batch sizes; digits-like",
                found=float(np.median(each)) / said,
                error=float(each.std() / said / math.sqrt(repeats)),
                least=0.93,
                most=1.07,
                detail=f"width x{np.median(each):.2f}, said x{said:.2f}",
            )
        )
    return rows
