"""Written into a test's folder as a module of the user's own, and changed there."""

from __future__ import annotations

from pathlib import Path

TEXT = '''"""A workload."""
import torch
from torch import nn
import beside
from headrace.training.data import TensorData
from headrace.workloads import Workload


def data(examples):
    generator = torch.Generator().manual_seed(examples)
    targets = torch.arange(examples) % 2
    inputs = torch.randn(examples, 4, generator=generator)
    inputs[:, 0] += 2.5 * targets
    return TensorData(inputs * beside.FACTOR, targets)


def model():
    return nn.Linear(4, 2)


def made(augment=0.0):
    return Workload(name="made", train=data(48), validation=data(32), build_model=model, goal=0.05)
'''
BESIDE = "FACTOR = 1.0\n"


def write(folder: Path, name: str) -> None:
    """`NAME.py` and `beside.py` in a folder."""
    (folder / f"{name}.py").write_text(TEXT)
    (folder / "beside.py").write_text(BESIDE)
