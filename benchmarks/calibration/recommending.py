"""What is recommended after simulated searches: the pick, the time promised, and how sure it says it is.

A step takes 1 ms and 20 us per example of a worker; several workers exchange gradients in a ring of 2 ms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.calibration._claims import Row
from benchmarks.calibration.searches import BATCH_SIZES, Searched, search
from benchmarks.calibration.surfaces import EVERY, clustered, surface
from headrace.analysis.recommendation import GOALS, Option, Recommendation, recommend, winners
from headrace.analysis.surface import Expected

WORKERS = (1, 2, 4, 8)
WITHIN = 1.1


def seconds(batch_size: float, workers: int) -> float:
    """Of a step."""
    return 1e-3 + 20e-6 * math.ceil(batch_size / workers) + 2e-3 * (workers - 1) / workers


def options(ahead: Expected, workers: Sequence[int]) -> list[Option]:
    """Every batch size on every number of workers, at known step times."""
    return [
        Option(
            optimizer="sgd", subset="full", policy="shuffle", batch_size=int(size), workers=count,
            steps=float(ahead.steps[place]), seconds_per_step=(t := seconds(size, count)), measured=True,
            time_draws=ahead.draws[:, place] * t, basis="surface",
        )
        for place, size in enumerate(BATCH_SIZES)
        for count in workers
        if count <= size
    ]  # fmt: skip


class Seen:
    """What came out of every simulated experiment of one world.

    Attributes:
        within: Whether the pick takes at most 1.1 times what the best option takes, [experiments aims].
        promised: Whether the expected run at the recommended rate is in its interval, [experiments sizes].
        width: Of that interval, high over low.
        shares: The share of draws that agree with the pick, [experiments aims].
        best: Whether the pick is the best option.
        ratio: The expected run over the time promised, [experiments sizes].
    """

    within: list[list[bool]]
    promised: list[np.ndarray]
    width: list[np.ndarray]
    shares: list[list[float]]
    best: list[list[bool]]
    ratio: list[np.ndarray]

    def __init__(self, rng: np.random.Generator, world: Searched, repeats: int, workers: Sequence[int]):
        drawn = search(rng, world, repeats)
        self.within, self.promised, self.width = [], [], []
        self.shares, self.best, self.ratio = [], [], []
        for experiment in range(repeats):
            ahead = surface(drawn, experiment).expected(1000, rng)
            found = recommend(options(ahead, workers))
            self._promise(world, ahead, found)
            self._pick(world, found)

    def _promise(self, world: Searched, ahead: Expected, found: Recommendation) -> None:
        at = world.log_steps(np.log(ahead.learning_rates)[:, None])[:, 0] + world.scatter**2 / 2
        one = [place for place, option in enumerate(found.options) if option.workers == 1]
        run = np.exp(at) * [seconds(size, 1) for size in BATCH_SIZES]
        ends = np.array([found.intervals[place] for place in one])
        self.promised.append((ends[:, 0] <= run) & (run <= ends[:, 1]))
        self.width.append(ends[:, 1] / ends[:, 0])
        self.ratio.append(run / [found.options[place].seconds for place in one])

    def _pick(self, world: Searched, found: Recommendation) -> None:
        tuned = dict(zip(BATCH_SIZES, world.tuned * np.exp(world.scatter**2 / 2), strict=True))
        truth = np.array([[tuned[o.batch_size] * seconds(o.batch_size, o.workers) for o in found.options]])
        counts = np.array([option.workers for option in found.options], np.float64)
        value = {"fastest": truth[0], "cheapest": truth[0] * counts, "knee": truth[0] ** 2 * counts}
        place = {id(option): i for i, option in enumerate(found.options)}
        picks = {aim: place[id(found.picks[aim].option)] for aim in GOALS}
        # The knee's value is a product of two: each within 10%.
        room = {aim: WITHIN ** (2 if aim == "knee" else 1) for aim in GOALS}
        self.within.append([bool(value[aim][picks[aim]] <= room[aim] * value[aim].min()) for aim in GOALS])
        self.shares.append([found.picks[aim].share for aim in GOALS])
        self.best.append([int(winners(truth, counts, aim)[0]) == picks[aim] for aim in GOALS])


def recommended(rng: np.random.Generator, repeats: int) -> list[Row]:
    """The pick is within 10% of the best; the time promised is in its interval; the share is calibrated."""
    rows: list[Row] = []
    for name, world in EVERY.items():
        for workers in ((1,), WORKERS):
            seen = Seen(rng, world, repeats, workers)
            named = f"{name}; {'1 worker' if len(workers) == 1 else '1 to 8 workers'}"
            rows += claims(seen, named)
    return rows


def claims(seen: Seen, world: str) -> list[Row]:
    """The rows of one world."""
    within, within_error = clustered(np.array(seen.within))
    promised, error = clustered(np.array(seen.promised))
    shares, best = np.array(seen.shares), np.array(seen.best)
    agree, agree_error = clustered(best)
    return [
        Row(claim="recommend: the pick is within 10% of the best", world=world,
            found=within, error=within_error, least=0.95),
        Row(claim="recommend: the expected run is in the interval promised", world=world,
            found=promised, error=error, least=0.92,
            detail=f"width x{np.median(seen.width):.2f}; run / promised {np.median(seen.ratio):.2f}"),
        Row(claim="recommend: the pick is the best as often as draws agree", world=world,
            found=agree, error=agree_error, detail=f"draws that agree {shares.mean():.2f}"),
    ]  # fmt: skip
