"""The job of a fresh run: the setting of one trial, trained again from another seed. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from headrace.specs.studies import Hyperparameters, StudyKey
from headrace.store.replicates import Replicate

if TYPE_CHECKING:
    from headrace.trials.bench import Bench
    from headrace.trials.running import RunningTrial


@dataclass(frozen=True, kw_only=True)
class FreshRun:
    """Train a setting from a fresh seed.

    Attributes:
        study: The study.
        trial: The trial of its search that had this setting.
        values: The setting.
        seed: The seed's number.
        pilot: Whether it is one of the pilot seeds, which are others.
        until: Where it ends: at the "goal", or at the "budget".
    """

    study: StudyKey
    trial: int
    values: Hyperparameters
    seed: int
    pilot: bool
    until: Literal["goal", "budget"]

    def do(self, bench: Bench) -> Replicate:
        """Do it.

        Raises:
            InputError: The workload or a subset's file is not that of the folder.
            HeadraceError: Of the workers that train it together, this one alone raised an error in it.
        """
        from headrace.trials.running import RunningTrial

        kind = "pilot" if self.pilot else "replicate"
        setting = bench.fresh(
            self.study.configuration.subset, kind, self.seed, endless=self.until == "budget"
        )
        trial = RunningTrial(setting=setting, study=self.study, trial=self.trial, values=self.values)
        budget = setting.budget_steps(self.study)
        trial.advance(budget, lambda: budget)
        error = trial.record().error
        bench.place.agree(error or "", f"in a fresh run of {self.study.name}")
        return self._came_to(trial, budget, bench.setting.goal)

    def _came_to(self, trial: RunningTrial, budget: int, goal: float) -> Replicate:
        from headrace.trials.running import BACKPROPAGATED, FORWARDED

        record, metric = trial.record(), trial.setting.workload.metric_name
        last = trial.rows[-1] if trial.rows else {}
        below = (row for row in trial.rows if row[f"validation/{metric}"] < goal)
        reached = next(below, None)
        at_goal = reached or last
        whole = record.diverged is None and record.error is None
        return Replicate(
            study=self.study.name,
            trial=self.trial,
            seed=self.seed,
            pilot=self.pilot,
            hyperparameters=self.values,
            budget=budget,
            reached=None if reached is None else int(reached["step"]),
            diverged=record.diverged,
            trained=max(trial.trained, 0),
            examples_forwarded=int(at_goal.get(FORWARDED, 0)),
            examples_backpropagated=int(at_goal.get(BACKPROPAGATED, 0)),
            validation=_finite(last.get(f"validation/{metric}")) if whole else None,
            test=_finite(last.get(f"test/{metric}")) if whole else None,
            error=record.error,
        )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
