"""Joining the other processes that torchrun has started."""

from __future__ import annotations

import atexit
import os
import time
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from headrace.errors import InputError
from headrace.training.parallel.watch import Watch, restart, shared_store

_WATCHES: list[Watch] = []
"""The watch of this process's group."""
REST_SECONDS = 0.1
"""How long a process that has left its group waits before it ends."""


def under_torchrun() -> bool:
    """Whether this process was started as one of several, by torchrun or with its environment variables."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def join(device: str = "auto", *, timeout_seconds: float = 600.0) -> torch.device:
    """Make the default process group of `torch.distributed`, and say on which device this process trains.

    The group exchanges by gloo on the CPU and by NCCL on GPUs.

    Args:
        device: "auto", "cpu" or "cuda"; on GPUs each process of a machine has one of its own.
        timeout_seconds: How long a process may hang before it is named and the run ends.

    Raises:
        InputError: The process was not started by torchrun, or there are fewer GPUs than processes.
    """
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= set(os.environ):
        raise InputError(
            "this process was not started by torchrun",
            where="headrace.training.parallel.join",
            fix="Start it by: torchrun --nproc-per-node 2 SCRIPT.",
        )
    mine = _device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if mine.type == "cuda":
        torch.cuda.set_device(mine)
    if not dist.is_initialized():
        # On GPUs gloo is used besides NCCL, for the few numbers that are on the host.
        backend = "cpu:gloo,cuda:nccl" if mine.type == "cuda" else "gloo"
        # The watch knows who hangs, so it must report before the exchange gives up.
        _meet(backend, timedelta(seconds=2 * timeout_seconds))
        atexit.register(end)
        _WATCHES.append(Watch(shared_store(), dist.get_rank(), dist.get_world_size(), timeout_seconds))
    return mine


def _meet(backend: str, timeout: timedelta) -> None:
    """Make the default group, its addresses under the number of the restart.

    After a restart torchrun keeps the store of the run that broke, with addresses of dead processes in it.
    """
    store, rank, ranks = next(rendezvous("env://", timeout=timeout))
    fresh = PrefixStore(f"headrace/group/{restart()}", store)
    dist.init_process_group(backend, store=fresh, rank=rank, world_size=ranks, timeout=timeout)


def leave() -> None:
    """Leave the process group; done at the end of the process at the latest."""
    while _WATCHES:
        _WATCHES.pop().close()
    if dist.is_initialized():
        dist.destroy_process_group()


def end() -> None:
    """Leave, and let torch's threads release what was exchanged.

    They do so a moment after the exchange has returned, and need the interpreter for it. A thread that waits
    for the interpreter while that shuts down aborts the process: torchrun would call the finished run failed.
    """
    leave()
    time.sleep(REST_SECONDS)


def _device(wanted: str, local_rank: int) -> torch.device:
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and gpus == 0):
        return torch.device("cpu")
    if wanted not in ("auto", "cuda"):
        raise InputError("must be 'auto', 'cpu' or 'cuda'", where="device", got=wanted)
    if local_rank >= gpus:
        raise InputError(
            f"process {local_rank} of this machine has no GPU: there are {gpus}",
            where="device",
            got=wanted,
            fix='Start as many processes as there are GPUs, or use device="cpu".',
        )
    return torch.device("cuda", local_rank)
