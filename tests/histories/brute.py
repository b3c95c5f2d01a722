"""Histories and scores by brute force: every observation is stored, every formula written out in float64."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import strategies as st

Batch = tuple[list[int], np.ndarray, list[int]]


class Stored:
    """All observations of each example, in the order of the batches."""

    def __init__(self, num_examples: int) -> None:
        self.seen: list[list[dict[str, float]]] = [[] for _ in range(num_examples)]

    def record(self, index: list[int], logits: np.ndarray, targets: list[int]) -> None:
        last = [float(seen[-1]["correct"]) if seen else 0.0 for seen in self.seen]
        for example, row, target in zip(index, logits.astype(np.float64), targets, strict=True):
            weights = [math.exp(z - max(row)) for z in row]
            p = [w / sum(weights) for w in weights]
            margin = row[target] - max(z for c, z in enumerate(row) if c != target)
            self.seen[example].append(
                {
                    "probability": p[target],
                    "loss": -math.log(p[target]),
                    "correct": float(margin > 0),
                    "margin": margin,
                    "el2n": math.sqrt(sum((q - (c == target)) ** 2 for c, q in enumerate(p))),
                    "lost": float(last[example] == 1.0 and margin <= 0),
                }
            )

    def column(self, example: int, quantity: str) -> np.ndarray:
        return np.array([seen[quantity] for seen in self.seen[example]])


@st.composite
def batches(draw: st.DrawFn, num_examples: int = 5, classes: int = 3) -> list[Batch]:
    """Batches with duplicates, batches of one, and examples that never occur."""
    found = []
    for _ in range(draw(st.integers(1, 6))):
        index = draw(st.lists(st.integers(0, num_examples - 2), min_size=1, max_size=7))
        targets = draw(st.lists(st.integers(0, classes - 1), min_size=len(index), max_size=len(index)))
        seed = draw(st.integers(0, 2**31))
        logits = np.random.default_rng(seed).normal(0, 3, (len(index), classes)).astype(np.float32)
        found.append((index, logits, targets))
    return found


def record(history: object, batch: Batch) -> None:
    index, logits, targets = batch
    history.record(torch.tensor(index), torch.from_numpy(logits), torch.tensor(targets))
