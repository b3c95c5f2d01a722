"""What one rank of several does to be timed: it joins the others, steps with them, exchanges gradients.

These jobs are done by all workers at once, see `engines._base.everywhere`. The ranks share each batch as in
any data-parallel training (`headrace.training.parallel`), over gloo on the CPU and NCCL on GPUs.
"""

from __future__ import annotations

import atexit
import math
import os
import socket
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from headrace.engines._base import Engine, everywhere
from headrace.specs.studies import FULL, StudyKey
from headrace.store.throughput import Timing
from headrace.training.parallel import ProcessWorld
from headrace.training.parallel.joining import end
from headrace.trials.step_timing import BLOCK_SECONDS, BLOCKS, WARM_UP, timing

if TYPE_CHECKING:
    from headrace.trials.bench import Bench
    from headrace.trials.setting import Setting

BUCKET_BYTES = 25 * 2**20
"""What is sent at a time: DistributedDataParallel's own default."""
PATIENCE = timedelta(minutes=5)
"""How long a rank waits for the others before it gives up."""


@dataclass(frozen=True)
class Join:
    """Meet the other ranks by a file that all can reach.

    Gloo has no way to exchange but TCP: each rank listens on a free port of the loopback interface, which
    other machines cannot reach, until the timing ends.

    Attributes:
        store: The file, which is made.
    """

    store: Path

    def do(self, bench: Bench) -> None:
        """Do it."""
        setting, place = bench.setting, bench.place
        loopback = next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), None)
        if loopback is not None:
            os.environ["GLOO_SOCKET_IFNAME"] = loopback
        gpu = setting.device.type == "cuda"
        if gpu:
            torch.cuda.set_device(setting.device)
        dist.init_process_group(
            "nccl" if gpu else "gloo",
            init_method=f"file://{self.store}",
            rank=place.rank,
            world_size=place.workers,
            timeout=PATIENCE,
        )
        atexit.register(end)


@contextmanager
def joined(engine: Engine) -> Generator[None]:
    """Let all workers of an engine of this machine meet; the block is as long as they may exchange."""
    with tempfile.TemporaryDirectory() as folder:
        everywhere(engine, Join(Path(folder) / "ranks"))
        yield


@dataclass(frozen=True, kw_only=True)
class TimeSteps:
    """The step times of this rank; steps end together, since each averages its gradients with all others."""

    study: StudyKey
    seconds: float

    def do(self, bench: Bench) -> Timing:
        """Do it."""
        setting = bench.on(FULL)
        agree = partial(_most, setting)
        return timing(setting, self.study, self.seconds, world=ProcessWorld(), agree=agree)


@dataclass(frozen=True, kw_only=True)
class TimeExchange:
    """Seconds of averaging the gradients and nothing else, one number a block of repetitions."""

    study: StudyKey
    seconds: float

    def do(self, bench: Bench) -> list[float]:
        """Do it."""
        setting = bench.on(FULL)
        model = setting.new_model(self.study, 0)
        numbers = torch.cat([p.detach().flatten() for p in model.parameters() if p.requires_grad])
        buckets = numbers.split(max(1, BUCKET_BYTES // numbers.element_size()))

        def once() -> None:
            sent = [dist.all_reduce(bucket, async_op=True) for bucket in buckets]
            for work in sent:
                if work is not None:
                    work.wait()

        probe = _most(setting, min(_block(setting, once, 1) for _ in range(WARM_UP)))
        repetitions = max(1, math.ceil(BLOCK_SECONDS / probe))
        blocks = min(max(int(self.seconds / (repetitions * probe)), BLOCKS[0]), BLOCKS[1])
        return [_block(setting, once, repetitions) / repetitions for _ in range(blocks)]


def _block(setting: Setting, once: Callable[[], None], repetitions: int) -> float:
    dist.barrier()
    started = time.perf_counter()
    for _ in range(repetitions):
        once()
    if setting.device.type == "cuda":
        torch.cuda.synchronize(setting.device)
    return time.perf_counter() - started


def _most(setting: Setting, value: float) -> float:
    """The largest value over the ranks: all must make the same number of steps."""
    most = torch.tensor([value], dtype=torch.float64, device=setting.device)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return float(most)
