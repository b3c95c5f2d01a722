"""One of several processes that train one model, on torch's own engine: gloo on the CPU, NCCL on GPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from headrace.errors import InputError
from headrace.sampling.batches import Batch
from headrace.training.parallel._base import Measured, Share
from headrace.training.parallel.watch import PULSE


class ProcessWorld:
    """This process among those of `torch.distributed`, whose default group must have been made.

    The model is wrapped in `DistributedDataParallel`, which averages the gradients while the backward pass
    still runs; `scale` makes the average the sum that the loop's loss means.

    Args:
        stream: This worker's random stream, see `worker_stream`; None for models that draw nothing.
        find_unused_parameters: For models that leave parameters out of some forward passes.

    Raises:
        InputError: There is no process group.
    """

    def __init__(
        self,
        stream: AbstractContextManager[object] | None = None,
        *,
        find_unused_parameters: bool = False,
    ) -> None:
        if not (dist.is_available() and dist.is_initialized()):
            raise InputError(
                "torch.distributed has no process group",
                where="ProcessWorld",
                fix="Start under torchrun, and call headrace.training.parallel.join() first.",
            )
        self.rank = dist.get_rank()
        self.workers = dist.get_world_size()
        self.scale = float(self.workers)
        self._stream = nullcontext() if stream is None else stream
        self._find_unused = find_unused_parameters
        self._device = torch.device("cpu")
        self._buffers: list[Tensor] = []
        self._last = False
        self._step = 0
        self._wrapped: DistributedDataParallel | None = None

    def attach(self, model: nn.Module) -> nn.Module:
        """The model in `DistributedDataParallel`; parameters and buffers become those of rank 0."""
        self._buffers = list(model.buffers())
        self._device = next(model.parameters()).device
        self._wrapped = DistributedDataParallel(
            model,
            device_ids=[self._device] if self._device.type == "cuda" else None,
            find_unused_parameters=self._find_unused,
        )
        self._wrapped.register_forward_hook(self._forwarded)
        return self._wrapped

    def _forwarded(self, *_: object) -> None:
        """After the forward pass whose backward pass exchanges gradients."""
        if self._last:
            PULSE.exchanges += 1

    def shares(self, batch: Batch) -> Sequence[Share]:
        """This rank with its part."""
        return [(self.rank, batch.parts(self.workers)[self.rank])]

    def playing(self, worker: int) -> AbstractContextManager[object]:
        """This rank's stream; the wrapped model itself starts from rank 0's buffers."""
        return self._stream

    def exchanging(self, last: bool) -> AbstractContextManager[object]:
        """Gradients are exchanged in the last micro-batch only."""
        self._last = last
        self._step += last
        PULSE.step = self._step
        return nullcontext() if last or self._wrapped is None else self._wrapped.no_sync()

    def settle(self) -> None:
        """Broadcast rank 0's buffers, those of one type together."""
        by_type: dict[torch.dtype, list[Tensor]] = {}
        for buffer in self._buffers:
            by_type.setdefault(buffer.dtype, []).append(buffer)
        for buffers in by_type.values():
            flat = torch.cat([buffer.flatten() for buffer in buffers])
            PULSE.exchanges += 1
            dist.broadcast(flat, src=0)
            pieces = flat.split([buffer.numel() for buffer in buffers])
            for buffer, piece in zip(buffers, pieces, strict=True):
                buffer.copy_(piece.view_as(buffer))

    def whole(self, rows: Sequence[Tensor], batch: Batch) -> Tensor:
        """All ranks' rows, gathered; shorter parts are padded on the way."""
        mine = torch.cat(list(rows))
        sizes = [part.stop - part.start for part in batch.parts(self.workers)]
        padded = mine.new_zeros((max(sizes), *mine.shape[1:]))
        padded[: len(mine)] = mine
        gathered = [torch.empty_like(padded) for _ in sizes]
        PULSE.exchanges += 1
        dist.all_gather(gathered, padded)
        return torch.cat([part[:size] for part, size in zip(gathered, sizes, strict=True)])

    def total(self, value: Tensor) -> Tensor:
        """The sum over the ranks."""
        value = value.clone()
        PULSE.exchanges += 1
        dist.all_reduce(value)
        return value

    def measure(self, evaluate: Callable[[nn.Module], Measured], model: nn.Module) -> Measured:
        """What rank 0 measures, sent to all ranks, so that all decide the same."""
        self.settle()
        return self.told(evaluate(model) if self.rank == 0 else None)

    def told(self, value: Measured | None) -> Measured:
        """Rank 0's `value` in every process."""
        box = [value]
        PULSE.exchanges += 1
        dist.broadcast_object_list(box, src=0, device=self._device if self._device.type == "cuda" else None)
        said = box[0]
        assert said is not None
        return said


def global_mean(values: Float[Tensor, " part"]) -> Float[Tensor, ""]:
    """A mean over the examples of all ranks, for the loss in your own loop with DistributedDataParallel.

    That averages the ranks' gradients, so a mean over each rank's part would count the examples of smaller
    parts more. This is `ranks * sum(values) / examples of all ranks`; in one process it is the plain mean.

    Args:
        values: The weighted losses of this rank's part.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return values.mean()
    count = torch.tensor(len(values), device=values.device)
    dist.all_reduce(count)
    return values.sum() * (dist.get_world_size() / count)
