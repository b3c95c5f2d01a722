"""The job of a replicate: one setting of an experiment, trained to its whole budget. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError
from headrace.specs.experiment import Experiment
from headrace.specs.studies import StudyKey

if TYPE_CHECKING:
    from headrace.trials.bench import Bench


@dataclass(frozen=True, kw_only=True)
class Replicated:
    """What one training came to.

    Attributes:
        validation: The validation metric at the budget; infinite if the training diverged.
        test: The test metric at the end; without a test split, the validation metric.
        steps: The first evaluated step below the goal; the budget if the goal was not reached.
        forwarded: Examples forwarded until then, selection passes and preparation included.
        trained: Examples back-propagated until then.
        reached: Whether the goal was reached; if not, the three before are too small.
        diverged: Whether the training diverged.
    """

    validation: float
    test: float
    steps: int
    forwarded: int
    trained: int
    reached: bool
    diverged: bool


@dataclass(frozen=True, kw_only=True)
class Replicate:
    """Train a trial to its budget, whether or not it reaches the goal before.

    Attributes:
        experiment: The trial's experiment as JSON; its workload must be that of the bench.
        study: The study.
        trial: The trial's index.
    """

    experiment: str
    study: StudyKey
    trial: int

    def do(self, bench: Bench) -> Replicated:
        """Do it.

        Raises:
            HeadraceError: The training raised an error.
        """
        from headrace.trials.running import BACKPROPAGATED, FORWARDED, RunningTrial

        experiment = Experiment.model_validate_json(self.experiment)
        # A goal that no training reaches keeps each at it until its budget, with one test at its end.
        endless = replace(bench.setting, experiment=experiment, goal=-math.inf, _parts={})
        setting = endless.on(self.study.configuration.subset)
        trial = RunningTrial(setting=setting, study=self.study, trial=self.trial)
        budget = setting.budget_steps(self.study)
        trial.advance(budget, lambda: budget)
        record, metric = trial.record(), setting.workload.metric_name
        if record.error is not None:
            raise HeadraceError(f"{self.study.name}, trial {self.trial}: {record.error}")
        last = trial.rows[-1]
        below = (row for row in trial.rows if row[f"validation/{metric}"] < bench.setting.goal)
        first = next(below, None)
        at_goal, validation = first or last, last[f"validation/{metric}"]
        return Replicated(
            validation=validation if record.diverged is None else math.inf,
            test=last.get(f"test/{metric}", validation),
            steps=int(first["step"]) if first else budget,
            forwarded=int(at_goal[FORWARDED]),
            trained=int(at_goal[BACKPROPAGATED]),
            reached=first is not None,
            diverged=record.diverged is not None,
        )
