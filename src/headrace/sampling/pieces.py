"""Batches that straddle epochs: stretches of several plans, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from headrace.sampling.batches import Batch
from headrace.sampling.plan import Plan


@dataclass(frozen=True)
class Piece:
    """A stretch of an epoch's plan."""

    plan: Plan
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def joined(
    pieces: Sequence[Piece], workers: int
) -> tuple[np.ndarray, np.ndarray | None, tuple[int, ...] | None]:
    """A batch made of pieces.

    Args:
        pieces: Stretches of one epoch after another.
        workers: How many share the batch.

    Returns:
        The indices; their weights, or None if all are 1; and how many of them, in their order, are each
        worker's, or None if that does not matter.
    """
    indices = np.concatenate([piece.plan.indices[piece.start : piece.stop] for piece in pieces])
    weights = None
    if any(piece.plan.weights is not None for piece in pieces):
        weights = np.concatenate(
            [
                np.ones(len(piece))
                if piece.plan.weights is None
                else piece.plan.weights[piece.plan.indices[piece.start : piece.stop]]
                for piece in pieces
            ]
        )
        weights = None if (weights == 1).all() else weights
    if workers == 1 or not any(piece.plan.dealt for piece in pieces):
        return indices, weights, None
    owners = np.concatenate([np.arange(piece.start, piece.stop) % workers for piece in pieces])
    order = np.argsort(owners, kind="stable")
    sizes = tuple(np.bincount(owners, minlength=workers).tolist())
    return indices[order], None if weights is None else weights[order], sizes


def together(pieces: Sequence[Piece], workers: int, *, epoch: int, train_on: int | None) -> Batch:
    """The `Batch` that pieces make, on the host; see `joined`."""
    indices, weights, sizes = joined(pieces, workers)
    return Batch(
        indices=torch.from_numpy(indices),
        weights=None if weights is None else torch.from_numpy(weights).float(),
        epoch=epoch,
        train_on=train_on,
        sizes=sizes,
    )
