"""Rows of a table in classes. Change what is yours, then give `headrace run experiment.toml`."""

import numpy as np
import polars as pl
import torch
from torch import nn

from headrace import Workload
from headrace.workloads import from_tensors

WHERE: str | None = None
"""A CSV file of numbers with a line of names and a column of classes. None: made-up rows, to try it."""
TARGET = "target"
"""The column with the class; all others are inputs."""


def model(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Your model: called with (inputs,) and the number of classes, freshly initialised."""
    return nn.Sequential(nn.Linear(shape[0], 64), nn.ReLU(), nn.Linear(64, classes))


def workload(goal: float = 0.05) -> Workload:
    """The data, the model, and the goal: a share of errors on the validation split to get below."""
    table = made_up() if WHERE is None else pl.read_csv(WHERE)
    names = table[TARGET].cast(pl.String)
    classes = sorted(names.unique())
    numbers = np.array([classes.index(name) for name in names])
    inputs = table.drop(TARGET).to_numpy().astype("float32")
    # Each column to mean 0 and standard deviation 1; constant ones to 0.
    inputs = (inputs - inputs.mean(axis=0)) / np.maximum(inputs.std(axis=0), 1e-6)
    return from_tensors(inputs, numbers, model=model, goal=goal, name="table", classes=tuple(classes))


def made_up() -> pl.DataFrame:
    """Four numbers, and whether a product exceeds a sum. Delete this once your file is there."""
    numbers = torch.randn(2000, 4, generator=torch.Generator().manual_seed(0)).numpy()
    above = numbers[:, 0] * numbers[:, 1] > numbers[:, 2] + numbers[:, 3]
    columns = {f"input {place + 1}": numbers[:, place] for place in range(4)}
    return pl.DataFrame(columns | {TARGET: np.where(above, "above", "below")})
