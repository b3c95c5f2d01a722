"""Several workers in one process, exactly: to study the effect of many workers on one machine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from headrace.errors import InputError
from headrace.random import Name
from headrace.sampling.batches import Batch
from headrace.training.parallel._base import Measured, Share
from headrace.training.stream import TorchStream


def worker_stream(
    seed: int,
    *path: Name,
    worker: int,
    workers: int,
    device: torch.device | str = "cpu",
    host: bool = False,
) -> TorchStream:
    """The random stream of one worker (dropout, augmentation); a single worker's is the stream `path` itself.

    Args:
        seed: The root seed.
        path: The names of the stream.
        worker: Its number.
        workers: How many there are.
        device: The device of the model.
        host: Whether NumPy's and Python's generators have a stream too, see `TorchStream`.
    """
    own = path if workers == 1 else (*path, "worker", worker)
    return TorchStream(seed, *own, device=device, host=host)


class VirtualWorld:
    """One process plays all workers, one after the other.

    As with DistributedDataParallel, every worker's forward pass starts from worker 0's buffers and uses the
    statistics of its own part (batch normalisation), and worker 0's buffers are kept. Gradients are added up
    in the order of the workers.

    Args:
        workers: How many.
        streams: The random stream of each, see `worker_stream`; None for models that draw nothing.

    Raises:
        InputError: No worker, or not one stream for each.
    """

    scale = 1.0

    def __init__(self, workers: int, streams: Sequence[AbstractContextManager[object]] | None = None) -> None:
        if workers < 1:
            raise InputError("must be at least 1", where="workers", got=workers)
        if streams is not None and len(streams) != workers:
            raise InputError(f"must be one for each of {workers} workers", where="streams", got=len(streams))
        self.workers = workers
        self._streams = [nullcontext() for _ in range(workers)] if streams is None else list(streams)
        self._buffers: list[Tensor] = []
        self._start: list[Tensor] = []
        self._kept: list[Tensor] = []

    def attach(self, model: nn.Module) -> nn.Module:
        """The model itself; its buffers are noted."""
        self._buffers = list(model.buffers())
        return model

    def shares(self, batch: Batch) -> Sequence[Share]:
        """Every worker with its part."""
        return list(enumerate(batch.parts(self.workers)))

    @contextmanager
    def playing(self, worker: int) -> Generator[None]:
        """The worker's stream, and worker 0's buffers to start from."""
        if worker == 0:
            self._start = _copies(self._buffers)
        else:
            _put(self._buffers, self._start)
        with self._streams[worker]:
            yield
        if worker == 0:
            self._kept = _copies(self._buffers)
        if worker == self.workers - 1:
            _put(self._buffers, self._kept)

    def exchanging(self, last: bool) -> AbstractContextManager[object]:
        """Nothing to exchange: the gradients are added up where they are."""
        return nullcontext()

    def settle(self) -> None:
        """Worker 0's buffers are the model's already."""

    def whole(self, rows: Sequence[Tensor], batch: Batch) -> Tensor:
        """The rows, joined."""
        return torch.cat(list(rows))

    def total(self, value: Tensor) -> Tensor:
        """The value: there is one process."""
        return value

    def measure(self, evaluate: Callable[[nn.Module], Measured], model: nn.Module) -> Measured:
        """What the process measures."""
        return evaluate(model)


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.clone() for tensor in tensors]


@torch.no_grad()
def _put(into: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for tensor, value in zip(into, values, strict=True):
        tensor.copy_(value)
