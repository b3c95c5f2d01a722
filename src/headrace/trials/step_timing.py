"""The step times of one process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.specs.studies import StudyKey
from headrace.store.throughput import Timing

if TYPE_CHECKING:
    from torch import nn

    from headrace.training.parallel import World
    from headrace.trials.setting import Setting


WARM_UP = 3
"""Steps before anything is timed: memory is allocated, kernels are chosen."""


BLOCK_SECONDS = 0.02
"""A block of steps lasts at least this long: the clock and the one wait for the device then do not count."""


MEETING_SECONDS = 0.1
"""The same for several workers, who signal to each other at a block's end that they are there."""


BLOCKS = (7, 100)
"""The fewest and the most blocks: seven bound the median at 95%."""


def timing(
    setting: Setting,
    study: StudyKey,
    seconds: float,
    *,
    world: World | None = None,
    agree: Callable[[float], float] = float,
) -> Timing:
    """The step times of one process.

    Args:
        setting: The workload and the device.
        study: The optimizer and the batch size.
        seconds: About how long it is timed.
        world: The workers that share each batch; None for one.
        agree: Makes the seconds of a step, from which the number of steps follows, alike in all processes.
    """
    size, workers = study.configuration.batch_size, 1 if world is None else world.workers
    block = partial(block_seconds, setting, setting.new_model(study, 0), study.optimizer, size, world=world)
    forget_peak(setting)
    probe = agree(min(block(blocks=WARM_UP, steps=1)))
    steps = max(1, math.ceil((BLOCK_SECONDS if workers == 1 else MEETING_SECONDS) / probe))
    blocks = min(max(int(seconds / (steps * probe)), BLOCKS[0]), BLOCKS[1])
    times = block(blocks=blocks + 1, steps=steps)
    return Timing(
        optimizer=study.optimizer,
        batch_size=size,
        workers=workers,
        steps_per_block=steps,
        seconds_per_step=tuple(value / steps for value in times[1:]),
        peak_bytes=peak(setting),
    )


def block_seconds(
    setting: Setting,
    model: nn.Module,
    optimizer: str,
    batch_size: int,
    *,
    blocks: int,
    steps: int,
    world: World | None = None,
) -> list[float]:
    """Seconds of `blocks` blocks of `steps` steps each; each ends when the device has done it."""
    from headrace.sampling.batches import shuffled_batches
    from headrace.training.loop import train
    from headrace.training.recipe import Recipe

    workload, seed = setting.workload, setting.experiment.seed
    trained = train(
        model=model,
        data=workload.training_data,
        loss=workload.training_loss,
        batches=shuffled_batches(
            len(workload.train), batch_size, seed=seed, path=("throughput",), device=setting.device
        ),
        recipe=Recipe(optimizer=optimizer, learning_rate=1e-12),
        budget_steps=blocks * steps,
        evaluation_steps=range(0, blocks * steps + 1, steps),
        evaluate=lambda _: {},
        microbatch=setting.experiment.training.microbatch,
        world=world,
        precision=setting.experiment.training.precision,
        compiled=setting.experiment.training.compile,
    )
    return list(_laps(trained))


def _laps(trained: Iterator[object]) -> Iterator[float]:
    next(trained)
    started = time.perf_counter()
    for _ in trained:
        yield (now := time.perf_counter()) - started
        started = now


def forget_peak(setting: Setting) -> None:
    """Begin a new peak of memory, where the system can."""
    if setting.device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(setting.device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak(setting: Setting) -> int | None:
    """The most memory in use since then, in bytes; None if the system does not report it."""
    if setting.device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(setting.device))
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else None
