"""A run of a search: a model trained on some examples, on named streams of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headrace import random, tensors
from headrace.engines._base import Place
from headrace.errors import InputError
from headrace.sampling.batches import Batch, shuffled_batches
from headrace.specs.search_tables import TrainingTable
from headrace.subsets.view import Part, mean_one, weighted
from headrace.tensors import read_checkpoint
from headrace.training.loop import Measurement, train
from headrace.training.recipe import Recipe
from headrace.training.stream import TorchStream
from headrace.trials.jobs import Run, Trained
from headrace.trials.loading import Loaded


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """What a worker brings to a run.

    Attributes:
        loaded: The workload.
        training: How it is trained.
        seed: The search's seed.
        device: Where models run.
        place: Where the worker reads files.
    """

    loaded: Loaded
    training: TrainingTable
    seed: int
    device: torch.device
    place: Place

    def run(self, job: Run) -> Trained:
        """Train a model from its start to its end, and measure it there.

        Raises:
            InputError: It diverged.
            DamagedError: The weights that it starts from are truncated or were altered.
        """
        began = time.perf_counter()
        with random.torch_stream(self.seed, *job.stream, "initialisation"):
            model = self.loaded.workload.build_model().to(self.device)
        if job.start is not None:
            model.load_state_dict(read_checkpoint(self.place.fetch(job.start), sha256=job.start_sha256))
        weights: dict[int, bytes] = {}
        measurements = self._measurements(job, model)
        last = next(measurements)
        for last in measurements:
            if not math.isfinite(last.metrics["train/loss"]):
                raise InputError(
                    f"a training run diverged before step {last.step} of {job.steps}",
                    where=f"{len(job.indices)} examples, {' '.join(map(str, job.stream))}",
                    fix="Lower training.hyperparameters.learning_rate.",
                )
            if last.step in job.checkpoints:
                weights[last.step] = tensors.checkpoint(model.state_dict())
        return Trained(
            examples_trained=last.examples_backpropagated,
            metrics=self.loaded.measure(model),
            seconds=time.perf_counter() - began,
            weights=weights,
        )

    def _measurements(self, job: Run, model: nn.Module) -> Iterator[Measurement]:
        training, workload = self.training, self.loaded.workload
        labels = None if job.labels is None else torch.from_numpy(job.labels)
        return train(
            model=model,
            data=Part(workload.training_data, torch.from_numpy(job.indices).to(self.device), labels),
            loss=workload.training_loss,
            batches=self._batches(job),
            recipe=Recipe(
                optimizer=training.optimizer,
                schedule=training.schedule,
                **training.hyperparameters,  # pyright: ignore[reportArgumentType]
            ),
            budget_steps=job.steps,
            evaluation_steps=sorted({0, *job.checkpoints, job.steps}),
            evaluate=lambda _: {},
            microbatch=training.microbatch,
            stream=TorchStream(
                self.seed, *job.stream, "training", device=self.device, host=self.loaded.identity.draws
            ),
        )

    def _batches(self, job: Run) -> Iterator[Batch]:
        batches = shuffled_batches(
            len(job.indices), self.training.batch_size, seed=self.seed, path=job.stream, device=self.device
        )
        if (job.weights == 1).all():
            return batches
        weights: Tensor = torch.from_numpy(mean_one(job.weights)).to(self.device, torch.float32)
        return weighted(batches, weights)
