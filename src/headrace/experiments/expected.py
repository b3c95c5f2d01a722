"""What studies are expected to take, from a calibration: a pure function of what was seen.

The plain configuration's steps are interpolated in 1 / batch size, in which the law S = Smin (1 + Bcrit / B)
is a line, and its seconds per step in the batch size, in which they nearly are. Another policy, subset,
optimizer or number of workers is a factor, found where it was looked at, for all batch sizes.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean, median
from typing import Literal

import numpy as np

from headrace.experiments.pilots import Calibration, Seen
from headrace.specs.grid import values_of
from headrace.specs.studies import StudyKey
from headrace.store.experiments import StoredExperiment
from headrace.trials.tasks import Gauged

Level = tuple[str, object]
"""An axis of the grid, and a value other than the plain configuration's."""
Side = Literal["low", "middle", "high"]
"""Of what is not known: the least that it can be, a guess, the most."""

_SLOPES: dict[Side, tuple[float, float]] = {"low": (0.0, 1.0), "middle": (0.75, 0.25), "high": (1.0, 0.0)}
"""The power of 1 / B by which steps grow below and fall above the batch sizes that were looked at."""
SCATTER, MISFIT = 0.35, 0.15
"""The standard deviation of the log of the decision's step, as a race of half a study predicts it, and as
that of a whole study predicts its neighbours' [D]."""
UNSEEN = 0.3
"""The same of the factor of a level that was not looked at [D]."""
TRAINED, TRIED = 0.85, 1.15
"""Steps of a study per counted trial and step of its decision, and trials tried per counted one, if no race
has shown it [D]."""

LUCK = 1.1
"""A run of the best setting from a fresh seed takes as many times the steps of the best trial."""
CLOCK = 0.1
"""The standard deviation of the log of what a step is measured to take [D]."""
NINETY = 1.645
"""Standard deviations on each side of a normal value that hold nine tenths."""


@dataclass(frozen=True, kw_only=True)
class Layers:
    """A number of each study: a line through the plain configuration's, times a factor for each other level.

    Args:
        plain: A study of the plain configuration.
        points: Study -> the number, as far as it is known.
        place: What the line is over.
        beyond: The number at a batch size outside of those that are known, from the nearest (size, number).
    """

    plain: StudyKey
    points: Mapping[StudyKey, float]
    place: Callable[[int], float]
    beyond: Callable[[int, int, float], float] = lambda size, nearest, value: value

    @cached_property
    def _line(self) -> dict[int, float]:
        """Batch size -> the number, of the plain configuration."""
        known = {s.configuration.batch_size: v for s, v in self.points.items() if not self._levels(s)}
        return dict(sorted(known.items()))

    @cached_property
    def factors(self) -> dict[Level, dict[int, float]]:
        """Level -> batch size -> its factor, where it was looked at."""
        found: dict[Level, dict[int, float]] = {}
        if not self._line:
            return found
        for study, value in sorted(self.points.items(), key=lambda point: len(self._levels(point[0]))):
            levels, size = self._levels(study), study.configuration.batch_size
            fresh = levels if len(levels) == 1 else [level for level in levels if level not in found]
            known = math.prod(_at(size, found[level]) for level in levels if level not in fresh)
            each = math.exp(math.log(value / (self._plain(study) * known)) / max(1, len(fresh)))
            for level in fresh:
                found.setdefault(level, {})[size] = each
        return found

    def __call__(self, study: StudyKey) -> float | None:
        """The number of a study; None if nothing is known."""
        if study in self.points:
            return self.points[study]
        if not self._line:
            return fmean(self.points.values()) if self.points else None
        size, known = study.configuration.batch_size, self.factors
        return self._plain(study) * math.prod(
            _at(size, known[level]) for level in self._levels(study) if level in known
        )

    def knows(self, study: StudyKey) -> bool:
        """Whether all of a study's levels were looked at."""
        return all(level in self.factors for level in self._levels(study))

    def _levels(self, study: StudyKey) -> list[Level]:
        mine, plain = values_of(study), values_of(self.plain)
        return [(axis, mine[axis]) for axis in mine if axis != "batch_size" and mine[axis] != plain[axis]]

    def _plain(self, study: StudyKey) -> float:
        size, sizes = study.configuration.batch_size, list(self._line)
        for end, outside in ((sizes[0], size < sizes[0]), (sizes[-1], size > sizes[-1])):
            if outside:
                return self.beyond(size, end, self._line[end])
        points = sorted((self.place(known), value) for known, value in self._line.items())
        places, values = [place for place, _ in points], [value for _, value in points]
        return float(np.interp(self.place(size), places, values))


def _at(size: int, factors: Mapping[int, float]) -> float:
    """The factor at a batch size; between known ones its logarithm is a line in that of the size."""
    known = sorted(factors.items())
    logs = [math.log(factor) for _, factor in known]
    return math.exp(float(np.interp(math.log(size), [math.log(place) for place, _ in known], logs)))


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What is expected of one study.

    Attributes:
        decided: The step of its decision.
        best: Steps of a run at its best setting.
        budget: Its budget.
        trials: Trials that are tried.
        steps: Of all of them.
        examples: Trained on, by all of them.
        seconds: Of all of them, one after the other.
        trial_seconds: Of the longest.
    """

    decided: float
    best: float
    budget: int
    trials: float
    steps: float
    examples: float
    seconds: float
    trial_seconds: float


@dataclass(frozen=True, kw_only=True)
class Expectations:
    """What the studies of an experiment are expected to take.

    Args:
        stored: What is there.
        calibration: What was seen.
    """

    stored: StoredExperiment
    calibration: Calibration
    _cache: dict[tuple[Side, StudyKey | None], Layers] = field(default_factory=dict)
    _steps: dict[int, list[int]] = field(default_factory=dict)

    @cached_property
    def plain(self) -> StudyKey:
        """A study of the plain configuration."""
        return self.stored.trained()[0]

    @cached_property
    def known(self) -> tuple[Seen, ...]:
        """The races that were decided."""
        return tuple(seen for seen in self.calibration.seen if seen.over)

    @cached_property
    def step_seconds(self) -> Layers | None:
        """Seconds of a step of each study; None if no step could be timed."""
        points = {gauge.study: gauge.step_seconds for gauge in self._timed}
        return Layers(plain=self.plain, points=points, place=float) if points else None

    def seconds_of(self, study: StudyKey, runs: float, evaluations: float, steps: float) -> float:
        """Seconds of some runs of a study, one after the other.

        Args:
            study: The study.
            runs: How many.
            evaluations: Of all of them.
            steps: Of all of them.
        """
        step = (self.step_seconds and self.step_seconds(study)) or 0.0
        return runs * self.begin_seconds + evaluations * self.evaluation_seconds + steps * step

    def of(self, study: StudyKey, side: Side = "middle", nudged: StudyKey | None = None) -> Cost:
        """What is expected of a study.

        Args:
            study: The study.
            side: Which value of what is not known.
            nudged: The study whose race took a standard deviation longer than was seen.
        """
        experiment, budget = self.stored.experiment, self.stored.budget_steps(study)
        decided = self._decided(study, budget, side, nudged)
        asked, (trained, tried) = experiment.search.trials, self._shares(study)
        steps, trials = asked * trained * decided, min(asked * tried, experiment.search.limit)
        evaluated = self.evaluations(study, decided)
        return Cost(
            decided=decided,
            best=min(decided, self._best(study) or decided),
            budget=budget,
            trials=trials,
            steps=steps,
            examples=steps * study.configuration.batch_size,
            seconds=self.seconds_of(study, trials, asked * evaluated, steps),
            trial_seconds=self.seconds_of(study, 1, evaluated, decided),
        )

    def evaluations(self, study: StudyKey, until: float) -> int:
        """How often a trial is evaluated up to a step."""
        return bisect_right(self._evaluated(self.stored.budget_steps(study)), until)

    def _evaluated(self, budget: int) -> list[int]:
        if budget not in self._steps:
            self._steps[budget] = self.stored.experiment.evaluation_steps(budget)
        return self._steps[budget]

    def run_seconds(self, study: StudyKey, steps: float) -> float:
        """Seconds of one run of this many steps."""
        return self.seconds_of(study, 1, self.evaluations(study, steps), steps)

    @cached_property
    def begin_seconds(self) -> float:
        """Seconds to make a trial."""
        return median([gauge.begin_seconds for gauge in self._timed] or [0.0])

    @cached_property
    def evaluation_seconds(self) -> float:
        """Seconds of an evaluation."""
        return median([gauge.evaluation_seconds for gauge in self._timed] or [0.0])

    @cached_property
    def _timed(self) -> list[Gauged]:
        return [gauge for gauge in self.calibration.gauges if gauge.error is None]

    @property
    def to_budget(self) -> bool:
        """Whether every trial is trained to its budget."""
        return self.stored.experiment.training.stop == "budget"

    def _decided(self, study: StudyKey, budget: int, side: Side, nudged: StudyKey | None) -> float:
        if self.to_budget:
            return budget
        key = (side, nudged)
        if key not in self._cache:
            self._cache[key] = self._layers(side, nudged)
        found = self._cache[key](study)
        if found is None:
            found = {"low": 1.0, "middle": math.sqrt(budget), "high": float(budget)}[side]
        return min(max(found, 1.0), budget)

    def _layers(self, side: Side, nudged: StudyKey | None) -> Layers:
        """Steps of the decision: where a race was not decided, between how far it got and the budget."""
        points = {seen.study: self._projected(seen) for seen in self.known}
        layers = self._over(points, side)
        for seen in self.calibration.seen:
            if not seen.over:
                least, most = float(max(1, seen.decided)), float(self.stored.budget_steps(seen.study))
                guess = min(most, max(2 * least, layers(seen.study) or math.sqrt(least * most)))
                points[seen.study] = {"low": least, "middle": guess, "high": most}[side]
        if nudged in points:
            most = float(self.stored.budget_steps(nudged))
            whole = any(
                seen.study == nudged and seen.rank == self.stored.experiment.rank for seen in self.known
            )
            points[nudged] = min(most, points[nudged] * math.exp(MISFIT if whole else SCATTER))
        return self._over(points, side)

    def _projected(self, seen: Seen) -> float:
        """The step of a study's decision, by that of its first trials.

        Of k trials the r-th smallest is expected at the quantile r / (k + 1); between those of the first and
        the last that were seen, the logarithm is a line.
        """
        asked, step = self.stored.experiment.search.trials, max(1.0, float(seen.decided))
        if seen.best is None or seen.reached < seen.rank or seen.rank < 2:
            return step
        further = self.stored.experiment.rank / (asked + 1) - seen.rank / (seen.counted + 1)
        slope = math.log(step / max(1, seen.best)) * (seen.counted + 1) / (seen.rank - 1)
        return step * math.exp(slope * max(0.0, further))

    def _over(self, points: Mapping[StudyKey, float], side: Side) -> Layers:
        below, above = _SLOPES[side]

        def beyond(size: int, nearest: int, value: float) -> float:
            return value * (nearest / size) ** (below if size < nearest else above)

        return Layers(plain=self.plain, points=points, place=lambda size: 1 / size, beyond=beyond)

    def unseen(self, study: StudyKey) -> bool:
        """Whether a study has a level at which no race was seen."""
        points = {seen.study: 1.0 for seen in self.calibration.seen}
        return not self.to_budget and not self._over(points, "middle").knows(study)

    def _best(self, study: StudyKey) -> float | None:
        points = {seen.study: LUCK * seen.best for seen in self.known if seen.best is not None}
        return self._over(points, "middle")(study)

    def _shares(self, study: StudyKey) -> tuple[float, float]:
        """Steps per counted trial and step of the decision, and trials tried per counted one."""
        if self.to_budget:
            return 1.0, TRIED
        own = [seen for seen in self.known if seen.study == study] or self.known
        if not own:
            return TRAINED, TRIED
        steps = fmean(seen.steps / (seen.counted * max(1, seen.decided)) for seen in own)
        return steps, fmean(seen.tried / seen.counted for seen in own)


def with_interval(
    expected: Expectations, total: Callable[[Side, StudyKey | None], float], share_unseen: float
) -> tuple[float, tuple[float, float]]:
    """A sum over studies, and about its 90% interval, from the scatter of each race that was seen.

    Args:
        expected: What is expected of studies.
        total: The sum, for (which value of what is not known, the study whose race took longer).
        share_unseen: The part of the sum that is of studies with a level that was not looked at.
    """
    value = total("middle", None)
    if value <= 0:
        return 0.0, (0.0, 0.0)
    seen = [] if expected.to_budget else [one.study for one in expected.known if not one.stored]
    moved = [math.log(total("middle", study) / value) for study in seen]
    deviation = math.sqrt(sum(move**2 for move in moved) + (UNSEEN * share_unseen) ** 2 + CLOCK**2)
    factor = math.exp(NINETY * deviation)
    return value, (min(value, total("low", None)) / factor, max(value, total("high", None)) * factor)
