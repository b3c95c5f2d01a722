"""What one training step is fed, and the plainest stream of it: epochs in random order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from headrace.checks import whole
from headrace.errors import InputError
from headrace.random import Name, generator
from headrace.sampling.split import part


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """The examples of one step.

    Attributes:
        indices: The examples, `[batch]`; an example may occur more than once.
        weights: What each example's loss is multiplied by, or None if all are 1.
        epoch: The pass over the training set, from 0, in which the first of these examples was drawn.
        train_on: How many of these candidates must be chosen and trained on, or None for all.
        sizes: How many of the examples, in their order, are each worker's; None: as equal as can be.
    """

    indices: Int64[Tensor, " batch"]
    weights: Float[Tensor, " batch"] | None = None
    epoch: int = 0
    train_on: int | None = None
    sizes: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.indices)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device."""
        weights = None if self.weights is None else self.weights.to(device, non_blocking=True)
        return replace(self, indices=self.indices.to(device, non_blocking=True), weights=weights)

    def only(self, part: slice) -> Batch:
        """A part of the batch as a batch of its own."""
        weights = None if self.weights is None else self.weights[part]
        return replace(self, indices=self.indices[part], weights=weights, sizes=None)

    def parts(self, workers: int) -> list[slice]:
        """The part of each worker: contiguous, together the batch, none empty.

        Args:
            workers: How many share the batch.

        Raises:
            InputError: Some worker has no example, or the batch was cut for another number of workers.
        """
        if self.sizes is None:
            edges = [part(0, len(self), worker, workers) for worker in range(workers)]
        else:
            ends = [0, *accumulate(self.sizes)]
            edges = list(pairwise(ends))
        if len(edges) != workers or edges[-1][1] != len(self):
            raise InputError(f"was cut for other than {workers} workers", where="Batch.sizes", got=self.sizes)
        if any(start == stop for start, stop in edges):
            raise InputError(
                f"a batch of {len(self)} cannot be shared by {workers} workers",
                where="batches",
                fix="batch_size is that of all workers together, and each worker needs at least one example.",
            )
        return [slice(start, stop) for start, stop in edges]


def shuffled_batches(
    num_examples: int,
    batch_size: int,
    *,
    seed: int,
    path: tuple[Name, ...],
    device: torch.device | str = "cpu",
) -> Iterator[Batch]:
    """Endless batches of exactly `batch_size` examples in random order, without replacement within an epoch.

    Each epoch's permutation comes from the stream `(*path, "order", epoch)`. The permutations are joined end
    to end and cut, so a batch may hold the end of one epoch and the beginning of the next, or, if it is
    larger than the data, several epochs. All examples are seen equally often, to within one, and no step is
    smaller.

    Args:
        num_examples: Examples in the training set.
        batch_size: Examples per batch.
        seed: The root seed.
        path: The names of the stream, see `headrace.random`.
        device: Where the indices must be; each epoch is moved there once, whole.

    Raises:
        InputError: A number is not positive.
    """
    num_examples = whole(num_examples, "num_examples", least=1)
    batch_size = whole(batch_size, "batch_size", least=1)
    seed = whole(seed, "seed", least=0, most=None)
    return _cut(_orders(num_examples, seed, path, device), batch_size)


def _orders(
    num_examples: int, seed: int, path: tuple[Name, ...], device: torch.device | str
) -> Iterator[Int64[Tensor, " examples"]]:
    epoch = 0
    while True:
        order = generator(seed, *path, "order", epoch).permutation(num_examples)
        yield torch.from_numpy(order).to(device, non_blocking=True)
        epoch += 1


def _cut(orders: Iterator[Int64[Tensor, " examples"]], batch_size: int) -> Iterator[Batch]:
    """Cut the joined orders into batches; a batch within one epoch is a view, without a copy."""
    rest = torch.empty(0, dtype=torch.int64)
    rest_epoch = 0
    for epoch, order in enumerate(orders):
        joined = torch.cat([rest, order]) if len(rest) > 0 else order
        start = 0
        while len(joined) - start >= batch_size:
            first_epoch = rest_epoch if start < len(rest) else epoch
            yield Batch(indices=joined[start : start + batch_size], epoch=first_epoch)
            start += batch_size
        rest_epoch = rest_epoch if start < len(rest) else epoch
        rest = joined[start:]
