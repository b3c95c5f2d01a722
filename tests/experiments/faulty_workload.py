"""Workloads that go wrong in one process of several."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import tiny_workload
import torch
from torch import nn

from headrace.training.data import TensorData
from headrace.workloads import Workload

RANK = int(os.environ.get("RANK", "0"))


class _Faulty(nn.Module):
    """Goes wrong in the forward pass of one training step of rank 1."""

    def __init__(self, fault: str, marker: str, step: int) -> None:
        super().__init__()
        self.model = tiny_workload._model()
        self.fault, self.marker, self.left = fault, marker, step

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.left -= 1
            if self.left == 0 and RANK == 1 and not (self.marker and Path(self.marker).exists()):
                self._go_wrong()
        return self.model(inputs)

    def _go_wrong(self) -> None:
        if self.marker:
            Path(self.marker).touch()
        if self.fault == "dies":
            os._exit(9)
        if self.fault == "hangs":
            time.sleep(600)
        raise RuntimeError("rank 1 has had enough")


def faulty(fault: str, marker: str = "", step: int = 25) -> Workload:
    """`dies`, `hangs` or `raises`; only once where there is a marker."""
    blobs = tiny_workload.blobs(goal=-1.0)
    return replace(blobs, build_model=lambda: _Faulty(fault, marker, step))


def other_data() -> Workload:
    """Rank 1 has another training set."""
    blobs = tiny_workload.blobs()
    assert isinstance(blobs.train, TensorData)
    inputs = blobs.train.inputs + (0.5 if RANK == 1 else 0.0)
    return replace(blobs, train=TensorData(inputs, blobs.train.targets))
