"""Replicates from the searches on: 22 policies are tuned beside shuffling, and held against it by fresh runs.

How settings are chosen and verdicts made is the code itself (`headrace.analysis.choice` and
`replicate_verdicts`); only the trials, the pilot runs and the fresh runs are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.calibration._claims import Row, share
from benchmarks.calibration.searches import BATCH_SIZES, Searches, World, rounded_up, search
from headrace.analysis.choice import PILOTS, Pilots, choose, settle
from headrace.analysis.replicate_verdicts import BASELINE, Cell, verdicts
from headrace.analysis.replicates import Replicated
from headrace.analysis.steps_to_result import StepsToResult
from headrace.analysis.studies import Study
from headrace.specs.studies import Configuration, StudyKey
from headrace.store.bound import Judged
from headrace.store.records import Outcome, Status
from headrace.store.replicates import Replicate, StudySetting

POLICIES = (BASELINE, *(f"policy-{number}" for number in range(22)))
OTHER = POLICIES[1]
"""The one that differs, if one does."""
PLACES = (1, 4, 7)
"""Of the batch sizes of a simulated search, those of the experiment: 8, 64 and 512."""
BUDGET = 10**6
EVALUATED = sorted(set(rounded_up(np.linspace(0, math.log(BUDGET), 5000)).astype(int).tolist()))
NAMES = {1.0: "the same steps", 0.8: "20% fewer steps", 0.65: "35% fewer steps", 0.5: "half the steps"}


@dataclass(frozen=True, kw_only=True)
class Setup:
    """An experiment.

    Attributes:
        world: What all policies are in, and how seeds scatter.
        seeds: Fresh seeds of each study.
        common: The share of the variance between seeds that runs of one seed have in common.
        surface: Whether a response surface can be fitted to what was tuned.
        factor: Of the steps of `OTHER`.
        shift: By how much lower, in logs, its best learning rate is.
    """

    world: World = field(default_factory=World)
    seeds: int = 5
    common: float = 0.0
    surface: bool = True
    factor: float = 1.0
    shift: float = 0.0


SETUPS = {
    "digits-like": Setup(),
    "digits-like, 10 seeds": Setup(seeds=10),
    "scatter 30%": Setup(world=World(sigma=0.3)),
    "heavy tails": Setup(world=World(heavy=True)),
    "shape changes as measured": Setup(world=World(p_slope=0.12, q_slope=0.2)),
    "half of the scatter is the seed's": Setup(common=0.5),
    "no surface: the luckiest trial": Setup(surface=False),
}


class Experiment:
    """The searches of all policies, tried at the same learning rates, and runs from fresh seeds.

    Args:
        rng: Where it is drawn from.
        setup: Which.
    """

    def __init__(self, rng: np.random.Generator, setup: Setup) -> None:
        self._rng, self._setup = rng, setup
        first = search(rng, setup.world, 1)
        self._rates = first.log_rates
        self.studies = {study.key.name: study for name in POLICIES for study in self._searched(name)}
        self._seeds = {pilot: self._common(count) for pilot, count in ((True, PILOTS), (False, setup.seeds))}

    def _common(self, seeds: int) -> np.ndarray:
        """What runs of one seed have in common: [batch-sizes seeds]."""
        return math.sqrt(self._setup.common) * self._rng.normal(size=(len(BATCH_SIZES), seeds))

    def _searched(self, policy: str) -> Iterator[Study]:
        shift, factor = self._moved(policy)
        drawn = search(self._rng, self._setup.world, 1, log_rates=self._rates + shift, factor=factor)
        for place in PLACES:
            yield self._study(policy, place, drawn)

    def _moved(self, policy: str) -> tuple[float, float]:
        return (self._setup.shift, self._setup.factor) if policy == OTHER else (0.0, 1.0)

    def _study(self, policy: str, place: int, drawn: Searches) -> Study:
        steps, censored = drawn.steps[0, place].astype(int).tolist(), drawn.censored[0, place].tolist()
        reached = tuple(sorted((step, trial) for trial, step in enumerate(steps) if not censored[trial]))
        return Study(
            key=StudyKey(
                optimizer="sgd",
                configuration=Configuration(policy=policy, batch_size=int(BATCH_SIZES[place])),
            ),
            budget=BUDGET,
            decided=reached[-1][0],
            trials=tuple(
                Judged(
                    outcome=Outcome(trial=trial, reached=None if censored[trial] else step, trained=step),
                    status=Status.STOPPED if censored[trial] else Status.COMPLETE,
                    trained=step,
                )
                for trial, step in enumerate(steps)
            ),
            result=StepsToResult(
                steps=reached[0][0], high=None, best_trial=reached[0][1], counted=len(steps), reached=reached
            ),
            hyperparameters={
                trial: {"learning_rate": math.exp(rate), "momentum": 0.9}
                for trial, rate in enumerate(self._rates[0, place])
            },
            # Of two names of which one was chosen from a list no surface can be fitted.
            tuned=("learning_rate",) if self._setup.surface else ("learning_rate", "momentum"),
            borders=(),
            last={},
            evaluated=EVALUATED,
            scales={"learning_rate": "log", "momentum": "choices"},
        )

    def runs(self, study: str, trial: int | None, *, pilot: bool = False) -> tuple[Replicate, ...]:
        """Runs of a trial's setting from fresh seeds."""
        assert trial is not None
        found, setup = self.studies[study], self._setup
        place = int(np.searchsorted(BATCH_SIZES, found.batch_size))
        shift, factor = self._moved(found.key.configuration.policy)
        typical = setup.world.log_steps(self._rates[0] + shift)[place, trial] + math.log(factor)
        common = self._seeds[pilot][place]
        own = (
            self._rng.standard_t(3, common.shape) / math.sqrt(3)
            if setup.world.heavy
            else self._rng.normal(size=common.shape)
        )
        scattered = common + math.sqrt(1 - setup.common) * own
        steps = rounded_up(typical + setup.world.scatter[place] * scattered)
        return tuple(self._run(found, trial, seed, pilot, step) for seed, step in enumerate(steps.tolist()))

    @staticmethod
    def _run(study: Study, trial: int, seed: int, pilot: bool, steps: float) -> Replicate:
        trained = int(min(steps, BUDGET))
        return Replicate(
            study=study.key.name,
            trial=trial,
            seed=seed,
            pilot=pilot,
            hyperparameters={},
            budget=BUDGET,
            reached=trained if steps <= BUDGET else None,
            trained=trained,
            examples_forwarded=trained * study.batch_size,
            examples_backpropagated=trained * study.batch_size,
        )

    def settings(self) -> list[StudySetting]:
        """The setting of every study: chosen, and where two are in question, settled by pilots."""
        chosen = choose(list(self.studies.values()))
        apart = [one for one in chosen if one.own != one.common]
        pilots = [
            Pilots(
                setting=one,
                own=self.runs(one.study, one.own, pilot=True),
                common=self.runs(one.study, one.common, pilot=True),
            )
            for one in apart
        ]
        settled = {one.study: one for one in settle(pilots)}
        return [settled.get(one.study, one) for one in chosen]

    def verdicts(self) -> list[Cell]:
        """Every policy against shuffling at every batch size."""
        found = {
            one.study: Replicated(
                study=self.studies[one.study],
                setting=one,
                runs=self.runs(one.study, one.trial),
                until="goal",
                metric="error",
            )
            for one in self.settings()
        }
        return verdicts(found, {})


def shown(cell: Cell) -> bool:
    """Whether a verdict says that there is a difference."""
    return cell.verdict in ("better", "worse")


def error_rates(rng: np.random.Generator, repeats: int) -> list[Row]:
    """Policies that are shuffling by another name: any of the 66 verdicts of an experiment."""
    rows: list[Row] = []
    for name, setup in SETUPS.items():
        drawn = [Experiment(rng, setup).verdicts() for _ in range(repeats)]
        found, error = share(np.array([any(map(shown, cells)) for cells in drawn]))
        shared = np.mean([cell.shared for cells in drawn for cell in cells])
        rows.append(
            Row(
                claim="replicates: any wrong verdict on 22 policies that are shuffling",
                world=f"{setup.seeds} seeds, {len(PLACES)} batch sizes; {name}",
                found=found,
                error=error,
                most=0.10,
                detail=f"{shared:.2f} at shuffling's setting",
            )
        )
    return rows


ASKED = {(0.5, 5): 0.9, (0.5, 10): 0.95, (0.65, 10): 0.8}
"""(Factor, seeds) -> how often it is to be shown at a batch size."""


def power(rng: np.random.Generator, repeats: int) -> list[Row]:
    """One policy of 22 that takes fewer steps, or other rates: how often that is shown at a batch size."""
    rows: list[Row] = []
    for factor, seeds in ((0.8, 5), (0.8, 10), (0.65, 5), (0.65, 10), (0.5, 5), (0.5, 10)):
        right, wrong = _of_other(rng, Setup(factor=factor, seeds=seeds), repeats)
        rows.append(
            Row(
                claim="replicates: a policy that needs fewer steps is shown",
                world=f"{seeds} seeds; {NAMES[factor]}",
                found=float(right.mean()),
                error=float((right.std() + 0.01) / math.sqrt(repeats)),
                least=ASKED.get((factor, seeds)),
                detail=f"shown as worse {wrong.mean():.3f}",
            )
        )
    for shift in (0.7, 1.4):
        better, worse = _of_other(rng, Setup(shift=shift), repeats)
        found = better + worse
        rows.append(
            Row(
                claim="replicates: a policy with another best learning rate is called different",
                world=f"5 seeds; the same steps at a rate {math.exp(shift):.0f} times lower",
                found=float(found.mean()),
                error=float((found.std() + 0.01) / math.sqrt(repeats)),
            )
        )
    return rows


def _of_other(rng: np.random.Generator, setup: Setup, repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each experiment, at how many of the batch sizes `OTHER` is called better, and worse."""
    found: list[tuple[float, float]] = []
    for _ in range(repeats):
        cells = [
            cell
            for cell in Experiment(rng, setup).verdicts()
            if cell.study.configuration.policy == OTHER and cell.metric == "steps"
        ]
        better, worse = (sum(cell.verdict == kind for cell in cells) for kind in ("better", "worse"))
        found.append((better / len(PLACES), worse / len(PLACES)))
    one, other = np.array(found).T
    return one, other
