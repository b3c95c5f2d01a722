"""What a worker trains on: the workload on its device, and parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from headrace import random
from headrace.specs.experiment import Experiment
from headrace.specs.studies import FULL, StudyKey
from headrace.subsets.restrict import restrict
from headrace.training.data import ExampleData
from headrace.training.evaluation import Evaluator, evaluator, measures_of
from headrace.training.packed import PackedEvaluator, packed_evaluator
from headrace.training.parallel import ProcessWorld, VirtualWorld, World, worker_stream
from headrace.training.stream import TorchStream
from headrace.trials.holdout import Holdout, holdout_losses
from headrace.workloads import Workload
from headrace.workloads.inspection import inspected

EVALUATION_BATCH = 1024
"""Examples per forward pass of an evaluation; speed and memory only."""
EVALUATION_TOKENS = 8192
"""The same in tokens, where examples are windows of them: logits are as many times the vocabulary."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all trials of a worker share.

    Attributes:
        experiment: What was asked.
        workload: The workload, its data on `device`. On a subset its training set is that part alone, counted
            from 0, and so is all that is kept of its examples.
        goal: The validation metric to get strictly below.
        device: Where models are trained.
        draws: Whether the workload draws from NumPy's or Python's global generators while it trains.
        weights: What a subset's examples' losses are multiplied by, mean 1, on `device` [part]; None: all 1.
        file: The checksum of the subset's file as it was read, or None if there is none.
        tokens_per_example: How many tokens an example of the whole training set has on average, if tokens are
            the unit.
        together: Whether the workers are the processes of `torch.distributed`, and not played by this one.
        alike: Whether a trial's streams are named after nothing but its seed, so that the runs of all studies
            begin with one initialisation and, as far as their policies allow, one order.
    """

    experiment: Experiment
    workload: Workload
    goal: float
    device: torch.device
    draws: bool = False
    weights: Tensor | None = None
    file: str | None = None
    together: bool = False
    alike: bool = False
    tokens_per_example: float | None = None
    _parts: dict[str, Setting] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.workload.targets is None:  # Not loaded by a worker, which inspects it.
            with random.torch_stream(self.experiment.seed, "inspection"):
                model = self.workload.build_model().to(self.device)
            object.__setattr__(self, "workload", inspected(self.workload, model))
        if self.workload.counts_tokens and self.tokens_per_example is None:
            object.__setattr__(self, "tokens_per_example", self.workload.targets_per_example)

    def on(self, subset: str) -> Setting:
        """The same on a subset of the grid, which is loaded at its first use.

        Raises:
            InputError: The file does not exist, or it belongs to another data set.
        """
        if subset == FULL:
            return self
        if subset not in self._parts:
            found = restrict(self.workload, self.experiment, subset)
            workload = replace(found.workload, train=found.workload.train.to(self.device))
            weights = None if found.weights is None else found.weights.to(self.device)
            self._parts[subset] = replace(
                self, workload=workload, weights=weights, file=found.sha256, _parts={}
            )
        return self._parts[subset]

    @property
    def stops_at_goal(self) -> bool:
        """Whether a trial has done its part when it has reached the goal."""
        return self.experiment.training.stop == "bound"

    @property
    def measured_splits(self) -> tuple[str, ...]:
        """What is measured at each evaluation; the test split at the goal alone where a trial ends there."""
        return ("validation",) if self.stops_at_goal else ("validation", "test")

    def path(self, study: StudyKey, trial: int) -> tuple[str | int, ...]:
        """The name that all random streams of a trial begin with."""
        return ("alike",) if self.alike else (study.stream, trial)

    def new_model(self, study: StudyKey, trial: int) -> nn.Module:
        """A trial's model, freshly initialised on the trial's stream."""
        with random.torch_stream(self.experiment.seed, *self.path(study, trial), "initialisation"):
            return self.workload.build_model().to(self.device)

    def streams(self, study: StudyKey, trial: int) -> list[TorchStream]:
        """The random stream of each worker of a trial while it trains."""
        seed, workers, path = self.experiment.seed, study.configuration.workers, self.path(study, trial)
        return [
            worker_stream(
                seed, *path, "training", worker=worker, workers=workers, device=self.device, host=self.draws
            )
            for worker in range(workers)
        ]

    def world(self, streams: list[TorchStream]) -> World | None:
        """The workers of these streams, or None for one."""
        if len(streams) == 1:
            return None
        if not self.together:
            return VirtualWorld(len(streams), streams)
        import torch.distributed as dist

        return ProcessWorld(streams[dist.get_rank()])

    @cached_property
    def holdout(self) -> Holdout:
        """The irreducible losses, for policies that need them; the same in every worker."""
        return holdout_losses(self.workload, seed=self.experiment.seed, device=self.device)

    def evaluator(self, *splits: str) -> Evaluator:
        """Measures a model on those of `splits` that the workload has."""
        return evaluator(
            self._there(splits),
            self.workload.loss,
            self.workload.metric,
            metric_name=self.workload.metric_name,
            weigh=self.workload.weigh,
            of_mean=self.workload.of_mean,
            precision=self.experiment.training.precision,
            batch_size=self._evaluated_at_once(),
        )

    def packed_evaluator(self, *splits: str) -> PackedEvaluator:
        """The same for packs of models."""
        workload = self.workload
        return packed_evaluator(
            self._there(splits),
            measures_of(workload.loss, workload.metric, workload.weigh),
            metric_name=workload.metric_name,
            of_mean=workload.of_mean,
            batch_size=self._evaluated_at_once(),
        )

    def _there(self, splits: Sequence[str]) -> dict[str, ExampleData]:
        there = [split for split in splits if getattr(self.workload, split) is not None]
        return {split: self.workload.evaluation_data(split) for split in there}

    def _evaluated_at_once(self) -> int:
        """Examples per forward pass of an evaluation."""
        if not self.tokens_per_example:
            return EVALUATION_BATCH
        return max(1, min(EVALUATION_BATCH, int(EVALUATION_TOKENS / self.tokens_per_example)))

    def budget_steps(self, study: StudyKey) -> int:
        """The step budget of a trial in `study`, on its subset.

        Raises:
            InputError: The budget allows no step.
        """
        return self.experiment.budget_steps(study, len(self.workload.train), self.tokens_per_example)
