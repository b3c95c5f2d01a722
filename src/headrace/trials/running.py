"""One trial: a model trained on its own named streams, walked from evaluation to evaluation.

A trial is a pure function of (experiment, study, trial index): it may be suspended and resumed, or
thrown away and trained again from its start, on any worker, with the same result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from torch import nn

from headrace import tensors
from headrace.specs.checkpoints import steps as checkpoint_steps
from headrace.specs.space import split
from headrace.specs.studies import Hyperparameters, StudyKey
from headrace.store.records import TrialRecord
from headrace.training.divergence import diverged
from headrace.training.evaluation import Evaluator
from headrace.training.gradients import Record
from headrace.training.loop import Measurement, train
from headrace.training.packed import Lane
from headrace.training.recipe import Recipe
from headrace.trials.feed import Feed, feed
from headrace.trials.setting import Setting
from headrace.workloads.registry import describe

FORWARDED, BACKPROPAGATED = "examples_forwarded", "examples_backpropagated"
"""The columns of a measurement that hold what it took, from the trial's start."""

Row = dict[str, float | int]
"""One measurement: trial, step, the examples that it took, and the metrics."""


def begin(
    setting: Setting,
    study: StudyKey,
    trial: int,
    fed: Feed,
    model: nn.Module,
    *,
    values: Hyperparameters,
    evaluation_steps: Sequence[int],
    evaluate: Evaluator,
    record: Record | None,
) -> Iterator[Measurement]:
    """The training of a trial; how often it is evaluated and what is recorded of it change nothing in it.

    Args:
        setting: What it shares with other trials.
        study: Its study.
        trial: Its index.
        fed: What it is fed, from `feeding.feed`.
        model: Its model, freshly initialised.
        values: Its hyperparameters.
        evaluation_steps: From 0 to at most its budget.
        evaluate: Measures the model.
        record: Called with what is trained on, see `training.loop.train`.
    """
    experiment, workload, streams = setting.experiment, setting.workload, setting.streams(study, trial)
    return train(
        model=model,
        data=workload.training_data,
        loss=workload.training_loss,
        batches=fed.batches,
        record=record,
        choose=fed.choose,
        recipe=recipe_of(setting, study, values),
        budget_steps=setting.budget_steps(study),
        evaluation_steps=evaluation_steps,
        evaluate=evaluate,
        microbatch=experiment.training.microbatch,
        stream=streams[0] if len(streams) == 1 else None,
        world=setting.world(streams),
        precision=experiment.training.precision,
        compiled=experiment.training.compile,
        ema_decay=experiment.training.ema_decay,
    )


def recipe_of(setting: Setting, study: StudyKey, values: Hyperparameters) -> Recipe:
    """How a trial of these hyperparameters is trained."""
    training = setting.experiment.training
    return Recipe(
        optimizer=study.optimizer,
        schedule=training.schedule,
        weight_decay_on=training.weight_decay_on,
        **split(values)[0],
    )


@dataclass(kw_only=True)
class RunningTrial:
    """A trial that can be trained on: facts about it, and the suspended training.

    Args:
        setting: What it shares with other trials.
        study: Its study.
        trial: Its index.
        values: Its hyperparameters; None for those of the search.
        pack: How many trials are trained as one where it is trained.

    Attributes:
        rows: Its measurements.
        checkpoints: (step, content of a safetensors file); whoever stores them may take them away.
        settled: Whether there is nothing left to train.
        lane: Its suspended training in a pack, see `headrace.trials.packing`.
        steps: The steps at which it is evaluated.
        budget: Its budget in steps.
        hyperparameters: Its hyperparameters.
    """

    setting: Setting
    study: StudyKey
    trial: int
    values: Hyperparameters | None = None
    pack: int = 1
    rows: list[Row] = field(default_factory=list)
    checkpoints: list[tuple[int, bytes]] = field(default_factory=list)
    settled: bool = False
    lane: Lane | None = None
    _reached: int | None = None
    _diverged: int | None = None
    _error: str | None = None
    _last: Measurement | None = None
    _seconds: float = 0.0
    _first_loss: float = 0.0

    def __post_init__(self) -> None:
        experiment = self.setting.experiment
        self.budget = self.setting.budget_steps(self.study)
        self.steps = experiment.evaluation_steps(self.budget)
        self.hyperparameters = (
            experiment.hyperparameters(self.study, self.trial) if self.values is None else self.values
        )
        schedule = experiment.training.checkpoints
        self._kept = None if schedule is None else checkpoint_steps(schedule, self.steps)
        self._feed: Feed | None = None
        self._measurements: Iterator[Measurement] | None = None
        self._model: nn.Module | None = None

    @property
    def trained(self) -> int:
        """The last evaluated step; -1 before the first."""
        return -1 if self._last is None else self._last.step

    def advance(self, until: int, bound: Callable[[], int]) -> None:
        """Train on to the evaluated step `until`, or less far where `bound` allows, or where it is settled.

        Args:
            until: A step.
            bound: The step beyond which no trial of this study need be trained; asked at each evaluation.
        """
        start = time.perf_counter()
        try:
            while not self.settled and self.trained < min(until, bound()):
                self.take(self._next(), self._own_model)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (any error of the user's model, loss or data)
            self.fail(error)
        self.spend(time.perf_counter() - start)

    def _own_model(self) -> nn.Module:
        assert self._model is not None
        return self._model

    def begin(self) -> tuple[Feed, nn.Module]:
        """What it is fed, and its model, freshly initialised."""
        self._feed = feed(self.setting, self.study, self.trial, self.hyperparameters, self.budget)
        return self._feed, self.setting.new_model(self.study, self.trial)

    def fail(self, error: BaseException) -> None:
        """Note that an error ended it."""
        self._error = describe(error)
        self.settled = True

    def spend(self, seconds: float) -> None:
        """Note the seconds of a stretch of training; what is settled needs no memory any more."""
        self._seconds += seconds
        if self.settled:
            self._feed = self._measurements = self._model = self.lane = None

    def record(self) -> TrialRecord:
        """What is known so far."""
        last = self.rows[-1] if self.rows else {}
        return TrialRecord(
            study=self.study.name,
            trial=self.trial,
            hyperparameters=self.hyperparameters,
            reached=self._reached,
            diverged=self._diverged,
            trained=self._coming() if self._error else max(self.trained, 0),
            failed=self._error is not None,
            error=self._error,
            examples_forwarded=int(last.get(FORWARDED, 0)),
            examples_backpropagated=int(last.get(BACKPROPAGATED, 0)),
            seconds=self._seconds,
            pack=self.pack,
        )

    def _coming(self) -> int:
        """The evaluated step that an error kept the trial from."""
        return next((step for step in self.steps if step > self.trained), self.budget)

    def _next(self) -> Measurement:
        if self._measurements is None:
            self._measurements = self._begin()
        return next(self._measurements)

    def _begin(self) -> Iterator[Measurement]:
        setting = self.setting
        fed, self._model = self.begin()
        return begin(
            setting,
            self.study,
            self.trial,
            fed,
            self._model,
            values=self.hyperparameters,
            evaluation_steps=self.steps,
            evaluate=setting.evaluator(*setting.measured_splits),
            record=fed.record,
        )

    def take(self, measurement: Measurement, model: Callable[[], nn.Module]) -> None:
        """Note a measurement and what follows from it.

        Args:
            measurement: The next one.
            model: Gives the model as it was measured.
        """
        metrics, workload = measurement.metrics, self.setting.workload
        validation_loss = metrics["validation/loss"]
        if measurement.step == 0:
            self._first_loss = validation_loss
        self._last = measurement
        row: Row = {"trial": self.trial, "step": measurement.step, **self._taken(measurement), **metrics}
        self.rows.append(row)
        if diverged(self._first_loss, metrics.get("train/loss"), validation_loss):
            self._diverged, self.settled = measurement.step, True
            return
        if self._reached is None and metrics[f"validation/{workload.metric_name}"] < self.setting.goal:
            self._reached = measurement.step
        done = measurement.step == self.budget
        if done or (self._reached is not None and self.setting.stops_at_goal):
            self.settled = True
            if self.setting.stops_at_goal:
                row |= self.setting.evaluator("test")(model()) if workload.test is not None else {}
        if self._kept is not None and (measurement.step in self._kept or self.settled):
            self.checkpoints.append((measurement.step, tensors.checkpoint(model().state_dict())))

    def _taken(self, measurement: Measurement) -> Row:
        """The examples that it took up to a measurement, with those that prepared the policy."""
        forwarded, backpropagated = measurement.examples_forwarded, measurement.examples_backpropagated
        if self._feed is not None:
            forwarded += self._feed.forwarded
            backpropagated += self._feed.backpropagated
        return {FORWARDED: forwarded, BACKPROPAGATED: backpropagated}
