"""Pictures that hold their own row, as a user has them: whoever is asked can tell which row is meant."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.workloads import Workload, from_tensors
from headrace.workloads.models import logistic

ROWS = 150
TRUE = np.random.default_rng(7).integers(0, 3, ROWS)
CLASSES = ("red", "green", "blue")


def pictures() -> np.ndarray:
    found = np.random.default_rng(8).normal(size=(ROWS, 1, 4, 4)).astype("float32")
    found[:, 0, 0, 0] = np.arange(ROWS) / ROWS
    found[:, 0, 1, :3] += 2 * np.eye(3, dtype="float32")[TRUE]
    return found


def key(row: int) -> str:
    return f"plate-{row:03d}/well"


def by_row() -> Workload:
    # The labels are hidden, so they may be anything.
    return from_tensors(
        pictures(), np.arange(ROWS) % 3, model=logistic, goal=0.1, name="rows", classes=CLASSES
    )


def by_key() -> Workload:
    keys = [key(row) for row in range(ROWS)]
    return from_tensors(
        pictures(), np.arange(ROWS) % 3, model=logistic, goal=0.1, name="rows", classes=CLASSES, ids=keys
    )


def show_row(row: int) -> dict[str, Any]:
    return {"seen": round(float(pictures()[row, 0, 0, 0]) * ROWS)}


def show_key(name: str) -> dict[str, Any]:
    return show_row(int(name[6:9]))
