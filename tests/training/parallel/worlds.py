"""One small training run in any world and fed by any policy; also what a process under torchrun runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headrace.histories import History, LabelWindow
from headrace.policies import make_policy
from headrace.policies.wrappers import batch_policy
from headrace.random import torch_generator
from headrace.sampling.batches import Batch
from headrace.sampling.sampler import ExampleSampler
from headrace.training.data import TensorData
from headrace.training.evaluation import evaluator
from headrace.training.gradients import Chosen
from headrace.training.loop import Measurement, train
from headrace.training.losses import classification_error, cross_entropy
from headrace.training.parallel import World, worker_stream
from headrace.training.recipe import Recipe

EXAMPLES, FEATURES, CLASSES, BATCH, STEPS = 61, 5, 3, 11, 24
"""Nothing divides anything: parts, batches and epochs are all uneven."""

SETTINGS: dict[str, dict[str, Any]] = {"gradient-norm": {"always": True}, "rho-loss": {"candidates": 3}}


def examples() -> TensorData:
    rng = torch_generator(0, "worlds")
    inputs = torch.randn(EXAMPLES, FEATURES, generator=rng, dtype=torch.float64)
    return TensorData(inputs, torch.randint(0, CLASSES, (EXAMPLES,), generator=rng))


def network(kind: str) -> nn.Module:
    """`plain`, `dropout`, or `norm`: with batch normalisation."""
    middle = {"plain": nn.Identity, "dropout": nn.Dropout, "norm": lambda: nn.BatchNorm1d(7)}[kind]()
    model = nn.Sequential(nn.Linear(FEATURES, 7), middle, nn.Tanh(), nn.Linear(7, CLASSES)).double()
    rng = torch_generator(0, "network")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.5, generator=rng)
    return model


def stream(worker: int, workers: int) -> Any:
    return worker_stream(5, "worlds", worker=worker, workers=workers)


class Run:
    """A model that was trained, what it was fed, what was measured, and its history."""

    def __init__(
        self,
        world: World | None = None,
        *,
        policy: str = "shuffle",
        kind: str = "plain",
        steps: int = STEPS,
        batch_size: int = BATCH,
        microbatch: int | None = None,
        workers: int = 1,
        **settings: Any,
    ) -> None:
        self.model, data = network(kind), examples()
        self.history, self.window = History(EXAMPLES), LabelWindow(EXAMPLES, CLASSES)
        rule = make_policy(policy, **{**SETTINGS.get(policy, {}), **settings})
        self.sampler = ExampleSampler(
            EXAMPLES,
            policy=rule,
            history=self.history,
            label_window=self.window,
            holdout_losses=np.linspace(0.1, 1.0, EXAMPLES),
            labels=data.targets.numpy(),
            batch_size=batch_size,
            epochs=6,
            seed=3,
        )
        self.fed: list[list[int]] = []
        self.trained_on: list[list[int]] = []
        self.measured: list[Measurement] = list(
            train(
                model=self.model,
                data=data,
                loss=cross_entropy,
                batches=self._noted(),
                record=self._record,
                choose=self._choose if batch_policy(rule) else None,
                recipe=Recipe(optimizer="nesterov", learning_rate=0.3, gradient_clip=2.0),
                budget_steps=steps,
                evaluation_steps=[0, 1, 7, steps],
                evaluate=evaluator({"validation": data}, cross_entropy, classification_error),
                microbatch=microbatch,
                stream=stream(0, 1) if world is None else None,
                world=world,
            )
        )

    def _noted(self) -> Iterator[Batch]:
        for batch in self.sampler.batches():
            self.fed.append(batch.indices.tolist())
            yield batch

    def _record(self, indices: Tensor, outputs: Tensor, targets: Tensor) -> None:
        self.trained_on.append(indices.tolist())
        self.history.record(indices, outputs, targets)
        self.window.record(indices, outputs)

    def _choose(self, outputs: Tensor, targets: Tensor, losses: Tensor, batch: Batch) -> Chosen:
        chosen = self.sampler.choose(batch.indices, outputs, targets, losses, count=batch.train_on)
        return Chosen(positions=chosen.positions, weights=chosen.weights)

    @property
    def state(self) -> Tensor:
        """Parameters and buffers."""
        return torch.cat([value.detach().double().flatten() for value in self.model.state_dict().values()])
