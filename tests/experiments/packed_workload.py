"""Workloads whose trials can be packed, and such as cannot."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from headrace.random import torch_generator
from headrace.training.data import TensorData
from headrace.workloads import Workload


def _examples(examples: int, name: str) -> TensorData:
    targets = torch.arange(examples) % 3
    inputs = torch.randn(examples, 5, generator=torch_generator(0, "packed", name))
    inputs[:, 0] += 1.5 * targets
    inputs[:, 1] *= 4.0
    return TensorData(inputs, targets)


def network() -> nn.Module:
    """Widths at which rows are not aligned."""
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))


def plain(goal: float = 0.2) -> Workload:
    """Three noisy groups."""
    return Workload(
        name="plain",
        train=_examples(90, "train"),
        validation=_examples(120, "validation"),
        test=_examples(60, "test"),
        build_model=network,
        goal=goal,
    )


def with_dropout() -> Workload:
    """Draws while it is trained."""
    return replace(
        plain(), build_model=lambda: nn.Sequential(nn.Linear(5, 7), nn.Dropout(0.2), nn.Linear(7, 3))
    )


def with_buffers() -> Workload:
    """Has running means."""
    return replace(
        plain(), build_model=lambda: nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Linear(7, 3))
    )


def own_loss() -> Workload:
    """A loss that headrace does not know."""
    return replace(
        plain(), loss=lambda outputs, targets: nn.functional.cross_entropy(outputs, targets, reduction="none")
    )


class _Counting(nn.Module):
    """Looks at a number, which torch.func refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.model = network()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs = self.model(inputs)
        return outputs if float(outputs.detach().sum()) < float("inf") else outputs * 2


def looking() -> Workload:
    """A model that depends on numbers."""
    return replace(plain(), build_model=_Counting)
