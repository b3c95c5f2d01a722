"""`headrace compare` in worlds of many kinds: wrong verdicts, power, counts, detectable differences."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.calibration._claims import Row, share
from headrace.analysis.comparison import compare
from headrace.analysis.moderation import Tested, unpaired
from headrace.analysis.power import detectable_difference, detectable_interval

WORLDS = ("normal", "skewed", "heavy tails", "scatters differ", "a third scatters x3")
SIZES = ((1, 5, 5), (5, 5, 5), (13, 5, 5), (22, 3, 3), (22, 3, 30), (22, 10, 30), (22, 30, 5))
"""Groups beside the baseline, seeds of each, seeds of the baseline."""


def draw(rng: np.random.Generator, world: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Metrics of equal mean [experiments groups seeds]; a seed's standard deviation is 1 in the middle."""
    if world == "heavy tails":
        return rng.standard_t(3, shape) / math.sqrt(3)
    values = rng.normal(0, 1, shape)
    if world == "skewed":
        grown = np.exp(values / 2)
        return (grown - math.exp(1 / 8)) / math.sqrt((math.exp(1 / 4) - 1) * math.exp(1 / 4))
    if world == "scatters differ":
        values = values * np.exp(0.4 * rng.normal(0, 1, (*shape[:2], 1)))
    if world == "a third scatters x3":
        values[:, ::3] *= 3
    return values


def tested(groups: np.ndarray, base: np.ndarray) -> Tested:
    """As `compare` tests unpaired groups: [experiments groups seeds] against [experiments seeds]."""
    means = np.concatenate([base.mean(axis=1, keepdims=True), groups.mean(axis=2)], axis=1)
    variances = np.concatenate([base.var(axis=1, ddof=1, keepdims=True), groups.var(axis=2, ddof=1)], axis=1)
    sizes = np.array([base.shape[1], *[groups.shape[2]] * groups.shape[1]], dtype=np.float64)
    return unpaired(means, variances, sizes)


def rejected(found: Tested, alpha: float = 0.05) -> np.ndarray:
    """Holm's rejections [experiments groups]."""
    from scipy.special import stdtr

    p = 2 * stdtr(found.freedom, -np.abs(found.difference / found.standard_error))
    groups = p.shape[1]
    ordered = np.sort(p, axis=1) <= alpha / (groups - np.arange(groups))
    count = np.cumprod(ordered, axis=1).sum(axis=1)
    return p.argsort(axis=1).argsort(axis=1) < count[:, None]


def _worlds(rng: np.random.Generator, repeats: int, world: str, size: tuple[int, int, int]) -> tuple:
    groups, seeds, base = size
    return draw(rng, world, (repeats, groups, seeds)), draw(rng, world, (repeats, 1, base))[:, 0] / (
        3 if world == "a third scatters x3" else 1
    )


def error_rates(rng: np.random.Generator, repeats: int) -> list[Row]:
    """Any verdict where no group differs, nominal 5%."""
    rows: list[Row] = []
    for size in SIZES:
        for world in WORLDS:
            wrong = rejected(tested(*_worlds(rng, 4 * repeats, world, size))).any(axis=1)
            found, error = share(wrong)
            named = f"{size[0]} groups, {size[1]} seeds against {size[2]}; {world}"
            rows.append(
                Row(claim="compare: any wrong verdict", world=named, found=found, error=error, most=0.07)
            )
    return rows


def power(rng: np.random.Generator, repeats: int) -> list[Row]:
    """A group two standard deviations away is shown, next to what Welch's test alone would show."""
    rows: list[Row] = []
    for size, least in (((13, 5, 5), 0.5), ((22, 5, 5), None), ((22, 10, 30), 0.9), ((13, 3, 3), None)):
        groups, base = _worlds(rng, 4 * repeats, "normal", size)
        groups[:, 1] += 2
        found, error = share(rejected(tested(groups, base))[:, 1])
        alone = float(rejected(_welch(groups, base))[:, 1].mean())
        rows.append(
            Row(
                claim="compare: 2 standard deviations are shown",
                world=f"{size[0]} groups, {size[1]} seeds against {size[2]}; normal",
                found=found,
                error=error,
                least=least,
                detail=f"Welch alone {alone:.2f}",
            )
        )
    return rows


def _welch(groups: np.ndarray, base: np.ndarray) -> Tested:
    shares = groups.var(axis=2, ddof=1) / groups.shape[2], base.var(axis=1, ddof=1)[:, None] / base.shape[1]
    below = shares[0] ** 2 / (groups.shape[2] - 1) + shares[1] ** 2 / (base.shape[1] - 1)
    return Tested(
        difference=groups.mean(axis=2) - base.mean(axis=1, keepdims=True),
        standard_error=np.sqrt(shares[0] + shares[1]),
        freedom=(shares[0] + shares[1]) ** 2 / below,
    )


def counts(rng: np.random.Generator, repeats: int) -> list[Row]:
    """Errors counted over test examples, 22 equal groups, `compare` itself: ties are no certainty."""
    rows: list[Row] = []
    for seeds in (2, 3, 5):
        for examples, most in ((300, 0.0 if seeds == 2 else 0.07), (10_000, 0.0 if seeds == 2 else 0.07)):
            wrong = np.array([_counted(rng, 22, seeds, examples) for _ in range(max(1, repeats // 4))])
            found, error = share(wrong)
            named = f"22 groups, {seeds} seeds, errors of {examples:,} test examples"
            rows.append(
                Row(claim="compare: any wrong verdict", world=named, found=found, error=error, most=most)
            )
    return rows


def _counted(rng: np.random.Generator, groups: int, seeds: int, examples: int) -> bool:
    """Whether there is any verdict; 10% of errors that scatter by 1%."""
    spread = max(0.01 * math.sqrt(0.1 * 0.9 * 300), 1) * math.sqrt(examples / 300) * 1.8
    errors = np.round(rng.normal(0.1 * examples, spread, (groups + 1, seeds))) / examples
    names = [f"g{i}" for i in range(groups + 1) for _ in range(seeds)]
    found = compare(names, list(range(seeds)) * (groups + 1), errors.reshape(-1).tolist(), baseline="g0")
    return any(group.verdict != "no difference shown" for group in found.groups)


def detectable(rng: np.random.Generator, repeats: int) -> list[Row]:
    """The power at the printed detectable difference, averaged over experiments; promised is 80%."""
    rows: list[Row] = []
    for groups in (1, 5, 22):
        for seeds in (3, 5, 10):
            first = tested(*_worlds(rng, min(repeats, 300), "normal", (groups, seeds, seeds)))
            printed = [
                detectable_difference(error, freedom, 0.05 / groups, estimated=True)
                for error, freedom in zip(first.standard_error[:, 0], first.freedom[:, 0], strict=True)
            ]
            sample, base = _worlds(rng, max(500, 4 * repeats // groups), "normal", (groups, seeds, seeds))
            grid = np.linspace(0, 14, 29)
            shown = [rejected(tested(_moved(sample, shift), base))[:, 0].mean() for shift in grid]
            reached = np.interp(printed, grid, shown)
            rows.append(
                Row(
                    claim="compare: the detectable difference is shown",
                    world=f"{groups} groups, {seeds} seeds; normal",
                    found=float(reached.mean()),
                    error=float(reached.std() / math.sqrt(len(reached))),
                    least=0.75,
                    most=0.85,
                )
            )
            # The difference that is shown four times in five, as simulated.
            truth = float(np.interp(0.8, shown, grid))
            ends = [
                detectable_interval(error, freedom, 0.05 / groups)
                for error, freedom in zip(first.standard_error[:, 0], first.freedom[:, 0], strict=True)
            ]
            found, error = share(np.array([low <= truth <= high for low, high in ends]))
            rows.append(
                Row(
                    claim="compare: the true detectable difference is in its interval",
                    world=f"{groups} groups, {seeds} seeds; normal",
                    found=found,
                    error=error,
                    least=0.92,
                    detail=f"width x{np.median([high / low for low, high in ends]):.1f}",
                )
            )
    return rows


def _moved(groups: np.ndarray, shift: float) -> np.ndarray:
    moved = groups.copy()
    moved[:, 0] += shift
    return moved
