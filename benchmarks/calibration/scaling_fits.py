"""`headrace.scaling.fit` on tables of four laws: what its intervals hold, and what its tests reject."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.calibration._claims import Row, share
from headrace import scaling
from headrace.analysis.regimes import limits

LAWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "1 + u": lambda u: 1 + u,
    "1 + u^0.8": lambda u: 1 + u**0.8,
    "sqrt(1 + 3u)": lambda u: np.sqrt(1 + 3 * u),
    "sqrt(1 + 3u^2)": lambda u: np.sqrt(1 + 3 * u**2),
}
"""Steps over the fewest, of u = Bcrit/B; each is 2 at u = 1. The first is the fit's own law."""

BATCH_SIZES = np.round(8 * 2.0 ** (10 * np.arange(9) / 8))
CRITICAL, FEWEST = 300.0, 60.0
SCATTERS = (0.1, 0.3)


def _tables(
    rng: np.random.Generator, repeats: int, replicates: int = 1
) -> Iterator[tuple[str, float, np.ndarray, list[scaling.ScalingFit]]]:
    """Law, scatter, true steps, and the fits of simulated tables."""
    sizes = np.tile(BATCH_SIZES, replicates)
    for scatter in SCATTERS:
        for name, law in LAWS.items():
            steps = FEWEST * law(CRITICAL / BATCH_SIZES)
            noise = np.exp(scatter * rng.normal(size=(repeats, len(sizes))))
            yield (
                name,
                scatter,
                steps,
                [scaling.fit(sizes, np.tile(steps, replicates) * row) for row in noise],
            )


def _width(ends: list[tuple[float, float] | None]) -> str:
    found = [math.inf if end is None or end[0] == 0 else end[1] / end[0] for end in ends]
    return f"width x{np.median(found):.1f}"


def _holds(ends: tuple[float, float] | None, truth: float) -> bool:
    return ends is not None and ends[0] <= truth <= ends[1]


def law(rng: np.random.Generator, repeats: int) -> list[Row]:
    """The interval of Bcrit, nominal 95%; under other laws it is only reported."""
    rows: list[Row] = []
    for name, scatter, _, fits in _tables(rng, repeats):
        ends = [fit.interval for fit in fits]
        found, error = share(np.array([_holds(end, CRITICAL) for end in ends]))
        own = name == "1 + u"
        rows.append(
            Row(
                claim="fit: critical batch size in its interval",
                world=f"{name}, scatter {scatter:.0%}",
                found=found,
                error=error,
                least=0.92 if own else None,
                most=0.98 if own else None,
                detail=_width(ends),
            )
        )
    return rows


def law_free(rng: np.random.Generator, repeats: int) -> list[Row]:
    """Where twice the fewest steps are needed lies in the law-free interval."""
    rows: list[Row] = []
    for name, scatter, _, fits in _tables(rng, repeats):
        ends = [fit.law_free_interval for fit in fits]
        found, error = share(np.array([_holds(end, CRITICAL) for end in ends]))
        rows.append(
            Row(
                claim="fit: twice the fewest steps in the law-free interval",
                world=f"{name}, scatter {scatter:.0%}",
                found=found,
                error=error,
                least=0.90,
                detail=_width(ends),
            )
        )
    return rows


def fit_limits(rng: np.random.Generator, repeats: int) -> list[Row]:
    """The limits of the true curve, at the tested batch sizes, lie in their intervals."""
    rows: list[Row] = []
    for name, scatter, steps, fits in _tables(rng, repeats):
        truth = limits(BATCH_SIZES.tolist(), steps.tolist())
        for what, key, value in (
            ("perfect-scaling limit", "perfect_scaling_limit", truth.perfect_scaling),
            ("largest useful batch size", "max_useful_batch_size", truth.max_useful),
        ):
            ends = [getattr(fit, f"{key}_interval") for fit in fits]
            exact = np.mean([getattr(fit, key) == value for fit in fits])
            found, error = share(np.array([_holds(end, value) for end in ends]))
            rows.append(
                Row(
                    claim=f"fit: {what} in its interval",
                    world=f"{name}, scatter {scatter:.0%}",
                    found=found,
                    error=error,
                    least=0.92,
                    detail=f"{_width(ends)}; estimate exact in {exact:.2f}",
                )
            )
    return rows


def lack_of_fit(rng: np.random.Generator, repeats: int) -> list[Row]:
    """The law rejected at 5%: as a false alarm under the law, as power under another."""
    rows: list[Row] = []
    for replicates in (1, 2):
        for name, scatter, _, fits in _tables(rng, repeats, replicates):
            found, error = share(np.array([(fit.lack_of_fit or 0.0) <= scaling.LACK_OF_FIT for fit in fits]))
            rows.append(
                Row(
                    claim="fit: law rejected",
                    world=f"{name}, scatter {scatter:.0%}, {replicates} rows per batch size",
                    found=found,
                    error=error,
                    most=0.06 if name == "1 + u" else None,
                )
            )
            wrong, error = share(np.array([(fit.not_falling or 0.0) <= scaling.NOT_FALLING for fit in fits]))
            rows.append(
                Row(
                    claim='fit: said "not steps to a goal"',
                    world=f"{name}, scatter {scatter:.0%}, {replicates} rows per batch size",
                    found=wrong,
                    error=error,
                    most=0.01,
                )
            )
    return rows + _other_tables(rng, repeats)


def _other_tables(rng: np.random.Generator, repeats: int) -> list[Row]:
    """Losses after equally many examples: flat, then rising by 5% per doubling beyond 64, scatter 1%."""
    losses = 3 * np.maximum(BATCH_SIZES / 64, 1) ** math.log2(1.05)
    noise = np.exp(0.01 * rng.normal(size=(repeats, len(losses))))
    said = np.array([scaling.fit(BATCH_SIZES, losses * row).not_falling or 0.0 for row in noise])
    found, error = share(said <= scaling.NOT_FALLING)
    return [
        Row(
            claim='fit: said "not steps to a goal"',
            world="losses after equally many examples, scatter 1%",
            found=found,
            error=error,
            least=0.9,
        )
    ]
