"""Which loader is between a sampler and a training loop, read from the caller that asks for indices.

torch's loaders pass a sampler no facts about themselves, but these matter: a loader that fetches ahead asks
for batches long before they are trained on, and one that drops the last batch leaves examples out. So the
caller of `iter(sampler)` or `sampler.state_dict()` is looked up on the call stack, once per epoch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch.utils.data import BatchSampler, get_worker_info
from torch.utils.data.dataloader import _BaseDataLoaderIter  # pyright: ignore[reportPrivateUsage]

from headrace.errors import InputError

_AHEAD = ("/accelerate/", "/pytorch_lightning/", "/lightning/")
"""Packages whose loaders take a batch before the loop has asked for it."""

_DIVIDING = {
    "BatchSamplerShard": "accelerator.prepare",
    "DataLoaderDispatcher": "accelerator.prepare (dispatch_batches=True)",
    "DistributedSamplerWrapper": "Lightning's use_distributed_sampler",
}
"""The class of a layer between loader and sampler -> who puts it there."""

_DEPTH = 24
"""Frames looked through: a loader calls from within a few of its own."""


@dataclass(frozen=True)
class Caller:
    """Who walks.

    Attributes:
        loader: Whether a loader does; otherwise the loop itself.
        ahead: Whether it asks for more than the loop has got.
        batch: The batches that a loader makes of single examples, if it drops an incomplete last one.
        ended: Whether a loader resumes that was saved after its end.
        divides: The layer between loader and sampler that divides what it is given among processes.
    """

    loader: bool = False
    ahead: bool = False
    batch: int | None = None
    ended: bool = False
    divides: str | None = None


def caller() -> Caller:
    """Who asks for indices, or for the state."""
    loader, ahead, batch, ended, divides = False, False, None, False, None
    for names, file in _frames():
        owner = names.get("self")
        if isinstance(owner, _BaseDataLoaderIter):
            # torchdata's.
            ended = ended or bool((names.get("next_iter_state") or {}).get("_iterator_finished"))
            loader, ahead = True, ahead or owner._num_workers > 0  # pyright: ignore
        elif type(owner).__name__ in _DIVIDING:
            divides = divides or _divided_by(owner)
        elif isinstance(owner, BatchSampler) and getattr(owner, "drop_last", False):
            batch = owner.batch_size
        elif loader and any(package in file for package in _AHEAD):
            ahead = True
    return Caller(loader, ahead, batch, ended, divides)


def _divided_by(layer: Any) -> str | None:
    """Who divides the batches among processes by this layer; None if there is one process."""
    if getattr(layer, "num_processes", getattr(layer, "num_replicas", 2)) < 2:
        return None
    return _DIVIDING[type(layer).__name__]


def check_not_in_worker() -> None:
    """`InputError` in a loader's worker process, whose copy of the sampler may be from an earlier epoch."""
    if get_worker_info() is not None:
        raise InputError(
            "the indices were passed in a worker process of the loader, which has only a copy of the sampler",
            where="ExampleSampler",
            fix="Call weights_for and narrow in the training loop, with the indices that the loader gives.",
        )


def _frames() -> Iterator[tuple[Mapping[str, Any], str]]:
    frame = sys._getframe(3)  # pyright: ignore[reportPrivateUsage]
    for _ in range(_DEPTH):
        if frame is None:
            return
        yield frame.f_locals, frame.f_code.co_filename.replace("\\", "/")
        frame = frame.f_back
