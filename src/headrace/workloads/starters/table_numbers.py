"""Rows of a table and a number to predict. Change what is yours, then give `headrace run experiment.toml`."""

import numpy as np
import polars as pl
import torch
from torch import nn

from headrace import Workload
from headrace.training.data import TensorData
from headrace.training.losses import squared_error

WHERE: str | None = None
"""A CSV file with a line of names and numbers. None: made-up rows, to see how it works."""
TARGET = "target"
"""The column to predict; all others are inputs."""


def workload(goal: float = 0.1) -> Workload:
    """The data, the model, and the goal: a mean squared error on the validation split to get below.

    The target is scaled to standard deviation 1, so a goal of 0.1 explains 90% of its variance.
    """
    table = made_up() if WHERE is None else pl.read_csv(WHERE)
    # A fifth each for validation and test, always the same rows.
    order = torch.randperm(table.height, generator=torch.Generator().manual_seed(0)).numpy()
    fifth = table.height // 5
    values = torch.from_numpy(table.drop(TARGET).to_numpy().astype("float32")[order])
    targets = torch.from_numpy(table[TARGET].to_numpy().astype("float32")[order])[:, None]
    train = slice(2 * fifth, None)
    inputs = (values - values[train].mean(0)) / values[train].std(0).clamp(min=1e-6)
    targets = (targets - targets[train].mean(0)) / targets[train].std(0).clamp(min=1e-6)
    width = inputs.shape[1]
    return Workload(
        name="table",
        train=TensorData(inputs[train], targets[train], ids=order[train]),
        validation=TensorData(inputs[:fifth], targets[:fifth]),
        test=TensorData(inputs[fifth : 2 * fifth], targets[fifth : 2 * fifth]),
        # Your model, freshly initialised.
        build_model=lambda: nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 1)),
        loss=squared_error,
        metric=squared_error,
        metric_name="squared_error",
        goal=goal,
        targets="numbers",
    )


def made_up() -> pl.DataFrame:
    """Four numbers and a smooth function of them. Delete this once your file is there."""
    numbers = torch.randn(2000, 4, generator=torch.Generator().manual_seed(0)).numpy()
    target = np.sin(numbers[:, 0]) + numbers[:, 1] * numbers[:, 2] + 0.1 * numbers[:, 3]
    return pl.DataFrame({f"input {place + 1}": numbers[:, place] for place in range(4)} | {TARGET: target})
