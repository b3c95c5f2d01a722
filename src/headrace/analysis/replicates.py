"""What the chosen setting of a study takes: runs of it from fresh seeds, in numbers with their intervals.

The fewest steps of a search are those of its luckiest run. What the next run takes is another question, and
fresh runs of one setting answer it: the mean of their log steps with a t interval covers in 94.9% of
simulated experiments, and is half as wide as a search's interval [D].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from headrace.analysis import scaling
from headrace.analysis.granularity import rounding_variance
from headrace.analysis.pairing import mean, variance
from headrace.analysis.studies import Curve, Study
from headrace.specs.tables import Replicates
from headrace.store import replicates as store
from headrace.store.experiments import StoredExperiment
from headrace.store.replicates import Replicate, StudySetting

LEVEL = 0.95
LEAST_SEEDS = 3
"""Of fewer runs no interval is given: two values hardly show their scatter."""


LEAST_POINTS = 3
"""Through two batch sizes any law can be laid."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over fresh runs.

    Attributes:
        value: The mean; of steps the geometric one.
        interval: Its 95% t interval; None of fewer than three runs.
        one_run: Where 95% of single runs are expected to be; None of fewer than three runs.
    """

    value: float
    interval: tuple[float, float] | None
    one_run: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "value": _four(self.value),
            "interval": None if self.interval is None else [_four(end) for end in self.interval],
            "one_run": None if self.one_run is None else [_four(end) for end in self.one_run],
        }


def _four(value: float) -> float:
    return float(f"{value:.4g}")


@dataclass(frozen=True, kw_only=True)
class Replicated:
    """The fresh runs of one study.

    Attributes:
        study: The study.
        setting: Which setting was chosen; its trial is None if no trial reached the goal.
        runs: By seed; without those in which the user's code raised an error.
        until: Where they ended: at the "goal" or at the "budget".
        metric: The name of the metric that the goal is judged by.
        source: The study that was trained, if it is another one, because both are the same function.
    """

    study: Study
    setting: StudySetting
    runs: tuple[Replicate, ...]
    until: str
    metric: str
    source: str = ""

    @property
    def trained(self) -> str:
        """The study whose runs these are: of two that are the same function only one was trained."""
        return self.source or self.study.key.name

    @property
    def own(self) -> bool:
        """Whether the study was trained itself."""
        return self.trained == self.study.key.name

    @property
    def reached(self) -> int:
        """How many runs reached the goal."""
        return sum(run.reached is not None for run in self.runs)

    @property
    def steps(self) -> Estimate | None:
        """Steps to the goal; None unless every run reached it, because a mean of some would be too low."""
        steps = [run.reached for run in self.runs]
        if not steps or not all(steps):
            return None
        logs = [math.log(step) for step in steps if step]
        return exponential(estimate(logs, floor=rounding_variance(self.step_granularity)))

    @property
    def test(self) -> Estimate | None:
        """The test metric at the budget; None if a run diverged or ended at the goal, or without a test."""
        values = [run.test for run in self.runs]
        if self.until != "budget" or not values or None in values:
            return None
        return estimate([value for value in values if value is not None])

    @property
    def forwarded(self) -> Estimate | None:
        """Examples forwarded to the goal; None unless every run reached it."""
        if self.steps is None:
            return None
        logs = [math.log(max(run.examples_forwarded, 1)) for run in self.runs]
        return exponential(estimate(logs, floor=rounding_variance(self.step_granularity)))

    @property
    def step_granularity(self) -> float:
        """The logarithm of the ratio of neighbouring evaluations about the goal; the largest of the runs."""
        evaluated = self.study.evaluated
        before = {after: step for step, after in pairwise(evaluated)}
        steps = [run.reached for run in self.runs if run.reached]
        return max((math.log(step / max(before.get(step, 0), 0.5)) for step in steps), default=0.0)


def estimate(values: Sequence[float], *, floor: float = 0.0) -> Estimate:
    """The mean of at least one value, with its t interval and that of one more value.

    Args:
        values: The values.
        floor: The least variance that they can have, because they are counted.
    """
    from scipy.special import stdtrit

    centre, count = mean(values), len(values)
    if count < LEAST_SEEDS:
        return Estimate(value=centre, interval=None, one_run=None)
    scatter = math.sqrt(max(variance(values), floor))
    t = float(stdtrit(count - 1, (1 + LEVEL) / 2))
    half, one = t * scatter / math.sqrt(count), t * scatter * math.sqrt(1 + 1 / count)
    return Estimate(
        value=centre, interval=(centre - half, centre + half), one_run=(centre - one, centre + one)
    )


def exponential(found: Estimate) -> Estimate:
    """An estimate of logarithms as one of what they are of."""

    def ends(pair: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if pair is None else (math.exp(pair[0]), math.exp(pair[1]))

    return Estimate(value=math.exp(found.value), interval=ends(found.interval), one_run=ends(found.one_run))


def read_replicates(stored: StoredExperiment, studies: Sequence[Study]) -> dict[str, Replicated]:
    """The fresh runs of every study, by its name; none if none were asked for, or no setting is chosen yet.

    Raises:
        DamagedError: A stored record is truncated or was altered.
    """
    asked = stored.experiment.replicates
    there = None if asked is None else store.read(stored)
    if asked is None or there is None or there.settings is None:
        return {}
    found: dict[str, Replicated] = {}
    for study in studies:
        source = stored.shared.get(study.key.name, study.key.name)
        setting = there.settings.of(source)
        if setting is not None:
            runs = (run for run in there.of(source) if run.seed < asked.seeds)
            found[study.key.name] = Replicated(
                study=study,
                setting=setting,
                runs=tuple(run for run in runs if run.ended(asked.until)),
                until=asked.until,
                metric=stored.metric_name,
                source=source,
            )
    return found


def fits(found: Sequence[Replicated]) -> dict[Curve, scaling.ScalingFit]:
    """The law through what fresh runs take, of each curve with three batch sizes at which all reached."""
    curves: dict[Curve, list[tuple[int, float]]] = {}
    for one in found:
        if one.steps is not None:
            curves.setdefault(one.study.curve, []).append((one.study.batch_size, one.steps.value))
    return {
        curve: scaling.fit([size for size, _ in sorted(points)], [steps for _, steps in sorted(points)])
        for curve, points in curves.items()
        if len(points) >= LEAST_POINTS
    }


def study_results(found: Replicated) -> dict[str, Any]:
    """What results.json holds of one study's fresh runs."""
    setting = found.setting
    return {
        "trial": setting.trial,
        "hyperparameters": found.runs[0].hyperparameters if found.runs else None,
        "setting": None if setting.trial is None else "common" if setting.shared else "own",
        "own_trial": setting.own,
        "common_trial": setting.common,
        "compared_by_pilots": setting.compared,
        "seeds": len(found.runs),
        "reached": found.reached,
        "diverged": sum(run.diverged is not None for run in found.runs),
        "steps": _or_none(found.steps),
        "examples_forwarded": _or_none(found.forwarded),
        f"test_{found.metric}": _or_none(found.test),
        "runs": [_run(run) for run in found.runs],
    }


def _or_none(found: Estimate | None) -> dict[str, Any] | None:
    return None if found is None else found.to_dict()


def _run(run: Replicate) -> dict[str, Any]:
    return {
        "seed": run.seed,
        "steps": run.reached,
        "diverged": run.diverged,
        "trained": run.trained,
        "examples_forwarded": run.examples_forwarded,
        "validation": run.validation,
        "test": run.test,
    }


def finished(asked: Replicates, found: Mapping[str, Replicated]) -> bool:
    """Whether every run that is asked for is there."""
    return bool(found) and all(
        len(one.runs) == asked.seeds for one in found.values() if one.setting.trial is not None
    )
