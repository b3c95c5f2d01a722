"""Data parallelism: how the gradient of a global batch is made of the parts of several workers.

`World` is the contract; `Alone` is one worker, `VirtualWorld` plays several in one process, and
`ProcessWorld` is one of several processes under torchrun.
"""

from __future__ import annotations

from headrace.training.parallel._base import Alone, World
from headrace.training.parallel.joining import join, leave, under_torchrun
from headrace.training.parallel.processes import ProcessWorld, global_mean
from headrace.training.parallel.virtual import VirtualWorld, worker_stream

__all__ = [
    "Alone",
    "ProcessWorld",
    "VirtualWorld",
    "World",
    "global_mean",
    "join",
    "leave",
    "under_torchrun",
    "worker_stream",
]
