"""Trials of one study that a worker trains as one: `training.packed` with a trial in each row.

A trial's row is its index modulo the number of rows. So what it comes to is a function of (experiment, study,
trial index, number of rows), for any companions: at any evaluation trials leave a pack, and join another that
is at their step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial

from headrace.specs.space import split
from headrace.training.losses import smoothed
from headrace.training.packed import new_lane, train_packed
from headrace.training.stacked import Stacked
from headrace.trials.running import RunningTrial, recipe_of


class Packing:
    """Trains packs.

    Attributes:
        stacked: By (number of models, label smoothing), what was recorded of the stacked models.
    """

    def __init__(self) -> None:
        self.stacked: dict[tuple[int, float], Stacked] = {}

    def advance(
        self, trials: Sequence[RunningTrial], until: int, bound: Callable[[], int]
    ) -> list[RunningTrial]:
        """Train trials of one study on, those that are at the same step together.

        Training ends at the evaluated step `until`, or before it where `bound` allows, or at the first
        evaluation at which a trial is settled: then others may have to be trained less far.

        Args:
            trials: Of one study, each with the same `pack`; each in its own row.
            until: A step.
            bound: The step beyond which no trial of this study need be trained; asked at each evaluation.

        Returns:
            The trials in their order. If an error ended a pack, they were begun again, each by itself, so
            that the error is that of the trial which raised it.
        """
        found = {trial.trial: trial for trial in trials}
        for step in sorted({trial.trained for trial in trials if not trial.settled}):
            some = [trial for trial in trials if trial.trained == step and not trial.settled]
            found |= {trial.trial: trial for trial in self._together(some, until, bound)}
        return [found[trial.trial] for trial in trials]

    def _together(
        self, trials: list[RunningTrial], until: int, bound: Callable[[], int]
    ) -> list[RunningTrial]:
        start = time.perf_counter()
        try:
            self._train(trials, until, bound)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (any error of the user's model, loss or data)
            if len(trials) > 1:
                return [one for trial in trials for one in self._together([_again(trial)], until, bound)]
            trials[0].fail(error)
        seconds = (time.perf_counter() - start) / len(trials)
        for trial in trials:
            trial.spend(seconds)
        return trials

    def _train(self, trials: list[RunningTrial], until: int, bound: Callable[[], int]) -> None:
        if trials[0].trained >= min(until, bound()):
            return
        first = trials[0]
        stacked = self._stacked_of(first)
        for trial in trials:
            if trial.lane is None:
                fed, model = trial.begin()
                trial.lane = new_lane(
                    stacked,
                    model,
                    place=trial.trial % trial.pack,
                    recipe=recipe_of(trial.setting, trial.study, trial.hyperparameters),
                    batches=fed.batches,
                    record=fed.record,
                )
        lanes = {trial.trial: trial.lane for trial in trials if trial.lane is not None}
        measurements = train_packed(
            stacked,
            list(lanes.values()),
            data=first.setting.workload.training_data,
            tuned=frozenset(split(first.hyperparameters)[0]),
            budget_steps=first.budget,
            evaluation_steps=first.steps,
            evaluate=first.setting.packed_evaluator(*first.setting.measured_splits),
        )
        with closing(measurements):
            for measured in measurements:
                for trial, measurement in zip(trials, measured, strict=True):
                    trial.take(measurement, partial(stacked.model, lanes[trial.trial].weights))
                if any(trial.settled for trial in trials) or first.trained >= min(until, bound()):
                    return

    def _stacked_of(self, trial: RunningTrial) -> Stacked:
        recipe = recipe_of(trial.setting, trial.study, trial.hyperparameters)
        key = trial.pack, recipe.label_smoothing
        if key not in self.stacked:
            model = trial.setting.new_model(trial.study, trial.trial)
            loss = smoothed(trial.setting.workload.training_loss, recipe.label_smoothing)
            self.stacked[key] = Stacked(model.train(), width=trial.pack, loss=loss)
        return self.stacked[key]


def _again(trial: RunningTrial) -> RunningTrial:
    """A trial before its start."""
    return RunningTrial(
        setting=trial.setting, study=trial.study, trial=trial.trial, values=trial.values, pack=trial.pack
    )
