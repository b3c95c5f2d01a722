"""Blobs with augmentations that draw from every global generator, on either way that users have for them."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import tiny_workload
import torch

from headrace.training.data import MapData
from headrace.workloads import Workload


def drawn(inputs: torch.Tensor) -> torch.Tensor:
    """By all three global generators; NumPy's normal numbers come in pairs, of which one is kept back."""
    scale = 1 + 0.1 * float(np.random.randn()) + 0.1 * random.random()
    return scale * inputs + 0.3 * torch.randn_like(inputs)


class Fetched:
    """Blobs that are augmented when they are fetched, as torchvision's data sets do it."""

    def __init__(self) -> None:
        self.blobs = tiny_workload._blobs(96, "train")

    def __len__(self) -> int:
        return len(self.blobs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return drawn(self.blobs.inputs[index]), self.blobs.targets[index]


def transformed(pause: float = 0.0) -> Workload:
    return replace(tiny_workload.blobs(pause=pause), train_transform=drawn)


def fetched() -> Workload:
    return replace(tiny_workload.blobs(), train=MapData(Fetched()))


def unseedable() -> Workload:
    own = np.random.default_rng(0)
    return replace(tiny_workload.blobs(), train_transform=lambda x: x + own.standard_normal())


def evaluated() -> Workload:
    """In evaluations inputs are turned round, so both ways must be what they say."""
    return replace(tiny_workload.blobs(), train_transform=lambda x: drawn(-x), eval_transform=torch.neg)
