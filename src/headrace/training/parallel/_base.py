"""The contract of a world, told as a lifetime, and the world of one worker.

A training loop has one world. Each step's batch is *global*: all processes know all of its indices and
weights, and every worker trains on its share of it.

1. `attach(model)`, once, before the first step: what to call instead of the model while it trains.
2. In each step, for each `(worker, part)` of `shares(batch)`, in this order: `with playing(worker)`, forward
   and backward of that part of the batch, in one or several micro-batches; each within `exchanging(last)`.
   The losses' gradients are multiplied by `scale`. After the last one the parameters' `grad` is that of the
   global batch, in every process.
3. `whole(rows, batch)`, whenever numbers of every example are needed: what the parts gave, put together in
   the order of the batch, the same in every process.
4. `total(value)`, `measure(evaluate, model)` at evaluations: the same in every process.

Every process calls the same methods in the same order: they may be collective.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from headrace.sampling.batches import Batch

Measured = TypeVar("Measured")

Share = tuple[int, slice]
"""A worker, and the part of the batch that is its own."""


class World(Protocol):
    """Several workers that train one model; see the lifetime above."""

    @property
    def workers(self) -> int:
        """How many there are, in all processes."""
        ...

    @property
    def scale(self) -> float:
        """What gradients are multiplied by, if the exchange divides by the number of workers."""
        ...

    def attach(self, model: nn.Module) -> nn.Module:
        """What to call for the forward pass of training."""
        ...

    def shares(self, batch: Batch) -> Sequence[Share]:
        """The workers that this process plays, ascending, each with its part of the batch, none empty."""
        ...

    def playing(self, worker: int) -> AbstractContextManager[object]:
        """While its part is trained on: the worker's own random stream, and its own statistics of batches."""
        ...

    def exchanging(self, last: bool) -> AbstractContextManager[object]:
        """Around a micro-batch's forward and backward; gradients are exchanged in the `last` of a part."""
        ...

    def settle(self) -> None:
        """Before the model itself is called: its buffers are those of worker 0 in every process."""
        ...

    def whole(self, rows: Sequence[Tensor], batch: Batch) -> Tensor:
        """This process's rows, in the order of `shares`, to those of the whole batch `[batch, ...]`."""
        ...

    def total(self, value: Tensor) -> Tensor:
        """The sum over the processes."""
        ...

    def measure(self, evaluate: Callable[[nn.Module], Measured], model: nn.Module) -> Measured:
        """What worker 0 measures, with the model settled."""
        ...


class Alone:
    """One worker: the whole batch is its part."""

    workers = 1
    scale = 1.0

    def attach(self, model: nn.Module) -> nn.Module:
        """The model itself."""
        return model

    def shares(self, batch: Batch) -> Sequence[Share]:
        """Everything."""
        return _EVERYTHING

    def playing(self, worker: int) -> AbstractContextManager[object]:
        """Nothing to exchange."""
        return nullcontext()

    def exchanging(self, last: bool) -> AbstractContextManager[object]:
        """Nothing to exchange."""
        return nullcontext()

    def settle(self) -> None:
        """There is one worker."""

    def whole(self, rows: Sequence[Tensor], batch: Batch) -> Tensor:
        """The rows, joined."""
        return rows[0] if len(rows) == 1 else torch.cat(list(rows))

    def total(self, value: Tensor) -> Tensor:
        """The value."""
        return value

    def measure(self, evaluate: Callable[[nn.Module], Measured], model: nn.Module) -> Measured:
        """What it measures."""
        return evaluate(model)


_EVERYTHING: Sequence[Share] = ((0, slice(None)),)
