"""Workloads small enough to train hundreds of times: two noisy blobs, and ones that go wrong."""

from __future__ import annotations

import os
from dataclasses import replace

import torch
from torch import nn

from headrace.random import torch_generator
from headrace.training.data import TensorData
from headrace.workloads import Workload


def _blobs(examples: int, name: str) -> TensorData:
    generator = torch_generator(0, "blobs", name)
    targets = torch.arange(examples) % 2
    inputs = torch.randn(examples, 8, generator=generator)
    inputs[:, 0] += 2.5 * targets
    inputs[:, 1] *= 4.0
    return TensorData(inputs, targets)


def _model() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))


def blobs(goal: float = 24 / 128, pause: float = 0.0) -> Workload:
    """Dropout is in it so that a trial's own random stream matters."""
    return Workload(
        name="blobs",
        train=_blobs(96, "train"),
        validation=_blobs(128, "validation"),
        test=_blobs(64, "test"),
        build_model=lambda: _Slow(_model(), pause),
        goal=goal,
    )


def doubtful() -> Workload:
    """Its model, like a compiled one, has no truth value and no length."""
    return replace(blobs(), name="doubtful", build_model=_Doubtful)


class _Doubtful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = _model()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.model(inputs)

    def __bool__(self) -> bool:
        raise TypeError("no truth value")

    def __len__(self) -> int:
        raise TypeError("no length")


class _Slow(nn.Module):
    def __init__(self, model: nn.Module, pause: float) -> None:
        super().__init__()
        self.model = model
        self.pause = pause

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.pause:
            import time

            time.sleep(self.pause)
        return self.model(inputs)


class _Broken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = _model()
        self.trained = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.trained += self.training
        if self.trained > 1:
            raise RuntimeError("the user's model is broken")
        return self.model(inputs)


def broken() -> Workload:
    """A model that raises when it is trained for more than a step."""
    return Workload(
        name="broken",
        train=_blobs(96, "train"),
        validation=_blobs(32, "validation"),
        build_model=_Broken,
        goal=0.01,
    )


class _Deadly(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = _model()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            os._exit(9)
        return self.model(inputs)


def deadly() -> Workload:
    """A model that ends its process, as the kernel does when memory runs out."""
    return Workload(
        name="deadly",
        train=_blobs(96, "train"),
        validation=_blobs(32, "validation"),
        build_model=_Deadly,
        goal=0.01,
    )


def line() -> Workload:
    """A regression: one number is predicted from eight."""
    splits = {}
    for name, examples in (("train", 96), ("validation", 32)):
        inputs = _blobs(examples, name).inputs
        splits[name] = TensorData(inputs, inputs[:, 0] - 0.5 * inputs[:, 2])
    squared = lambda outputs, targets: (outputs[:, 0] - targets).square()  # noqa: E731
    return Workload(
        name="line",
        build_model=lambda: nn.Linear(8, 1),
        loss=squared,
        metric=squared,
        metric_name="squared_error",
        goal=0.01,
        **splits,
    )


def mislabelled() -> Workload:
    """Blobs of which every eighth label is wrong, shown as texts that look like markup."""
    clean = blobs()
    train = _blobs(96, "train")
    wrong = torch.arange(96) % 8 == 0
    return replace(
        clean,
        name="mislabelled",
        train=TensorData(train.inputs, torch.where(wrong, 1 - train.targets, train.targets)),
        clean_targets=train.targets,
        classes=("<b>no", "yes"),
        show=lambda index: f"<script>{index}</script>",
    )


def unshowable() -> Workload:
    """Blobs whose examples cannot be shown, for the function that would do it is broken."""

    def show(index: int) -> str:
        raise KeyError(f"no picture of {index}")

    return replace(blobs(), name="unshowable", show=show)


def steady() -> Workload:
    """Blobs and a model in float64 that draws nothing: any number of workers trains the same function."""

    def split(name: str, examples: int) -> TensorData:
        data = _blobs(examples, name)
        return TensorData(data.inputs.double(), data.targets)

    return Workload(
        name="steady",
        train=split("train", 96),
        validation=split("validation", 128),
        test=split("test", 64),
        build_model=lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)).double(),
        goal=24 / 128,
    )
