"""A pool small enough to be searched many times: three blobs that overlap. `TARGETS` can be exchanged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from headrace.random import torch_generator
from headrace.training.data import TensorData
from headrace.training.losses import squared_error
from headrace.workloads import Workload

TRUE: torch.Tensor = torch.arange(240) % 3
TARGETS: torch.Tensor = TRUE
SHOWN: list[int] = []


def _inputs(targets: torch.Tensor, name: str) -> torch.Tensor:
    inputs = torch.randn(len(targets), 6, generator=torch_generator(0, "pool", name))
    inputs[:, 0] += 1.5 * (targets == 1)
    inputs[:, 1] += 1.5 * (targets == 2)
    return inputs


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


def wider() -> nn.Module:
    return nn.Linear(6, 4)


def show(index: int) -> dict[str, object]:
    SHOWN.append(index)
    return {"text": f"example {index}"}


def pool() -> Workload:
    held_out = torch.arange(90) % 3
    return Workload(
        name="pool",
        train=TensorData(_inputs(TRUE, "train"), TARGETS),
        validation=TensorData(_inputs(held_out, "validation"), held_out),
        test=TensorData(_inputs(held_out, "test"), held_out),
        build_model=model,
        goal=0.1,
        classes=("red", "green", "blue"),
        show=lambda index: f"pool {index}",
    )


def mislabelled_pool() -> Workload:
    """The same pool, every tenth label wrong."""
    wrong = torch.where(torch.arange(240) % 10 == 0, (TRUE + 1) % 3, TRUE)
    return replace(pool(), train=TensorData(_inputs(TRUE, "train"), wrong), clean_targets=TRUE)


def linear_pool() -> Workload:
    """The same data under another model."""
    return replace(pool(), name="linear", build_model=lambda: nn.Linear(6, 3))


def other_pool() -> Workload:
    """Other data."""
    return replace(pool(), train=TensorData(_inputs(TRUE, "other"), TRUE))


class _Convolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv1d(6, 3, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(inputs[:, :, None])[:, :, 0]


def headless_pool() -> Workload:
    """A model without any linear layer."""
    return replace(pool(), build_model=_Convolution)


def _yes_or_no(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    losses = nn.functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none")
    return losses.mean(1)


def _wrong(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return ((outputs > 0).float() != targets).float().mean(1)


def several_pool() -> Workload:
    """Each class is a yes or no of its own."""

    def told(data: TensorData) -> TensorData:
        return TensorData(data.inputs, (data.inputs[:, :3] > 0.5).float())

    plain = pool()
    splits = {name: told(getattr(plain, name)) for name in ("train", "validation", "test")}
    return replace(plain, **splits, loss=_yes_or_no, metric=_wrong)


class _NotANumber(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(inputs) * float("nan")


def not_a_number() -> nn.Module:
    return _NotANumber()


class _Moody(nn.Module):
    """The number of classes is in its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs = self.layer(inputs)
        return torch.cat([outputs, outputs], 1) if float(self.layer.bias[0].detach()) > 5 else outputs


def moody() -> nn.Module:
    return _Moody()


def no_module() -> int:
    return 3


def raising() -> nn.Module:
    raise ValueError("no weights today")


def untrainable_pool() -> Workload:
    """The loss raises while a model is trained."""

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if outputs.requires_grad:
            raise ArithmeticError("no loss today")
        return outputs.sum(1) + targets

    return replace(pool(), loss=loss)


def _with_targets(made: Workload, **changes: Any) -> Workload:
    """The pool with other targets in each split, made of its class numbers."""
    change = changes.pop("change")
    splits = {name: getattr(made, name) for name in ("train", "validation", "test")}
    other = {name: TensorData(data.inputs, change(data.targets)) for name, data in splits.items()}
    return replace(made, **other, **changes)


def shares_pool() -> Workload:
    """The same pool with shares of the classes as targets."""
    return _with_targets(
        pool(),
        change=lambda targets: 0.7 * nn.functional.one_hot(targets, 3) + 0.1,
        metric=lambda outputs, targets: (outputs.argmax(1) != targets.argmax(1)).float(),
    )


def numbers_pool() -> Workload:
    """Three numbers to be predicted."""
    return _with_targets(
        pool(),
        change=lambda targets: 2.0 * nn.functional.one_hot(targets, 3) - 5,
        loss=squared_error,
        metric=squared_error,
    )


class _PerToken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(inputs[:, :, None]).transpose(1, 2)


def tokens_pool() -> Workload:
    """A class for each of six tokens."""
    return _with_targets(
        pool(), change=lambda targets: targets[:, None].repeat(1, 6), build_model=_PerToken, classes=None
    )
