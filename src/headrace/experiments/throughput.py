"""Measuring step times on this machine: the experiment's own workload, loop, optimisers and batch sizes."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError

from headrace.errors import DamagedError, InputError
from headrace.experiments.experiment import Experiment
from headrace.experiments.files import write_whole
from headrace.experiments.records import Record, StudyKey

if TYPE_CHECKING:
    from torch import nn

    from headrace.experiments.trial import Setting

THROUGHPUT = "throughput.json"
WARM_UP = 3
"""Steps before anything is timed: memory is allocated, kernels are chosen."""
BLOCK_SECONDS = 0.02
"""A block of steps lasts at least so long, so that the clock and the one wait for the device do not count."""
BLOCKS = (7, 100)
"""The fewest and the most blocks: seven bound the median at 95 %."""


class Timing(Record):
    """Step times of one optimiser, batch size and number of workers.

    Attributes:
        optimizer: The optimiser.
        batch_size: Examples per step, over all workers.
        workers: How many workers share the batch.
        steps_per_block: Steps between two readings of the clock.
        seconds_per_step: One number for each block.
        peak_bytes: Most memory in use: of the process on the CPU, of the tensors on a GPU; None: not known.
    """

    optimizer: str
    batch_size: int = Field(ge=1)
    workers: int = Field(default=1, ge=1)
    steps_per_block: int = Field(ge=1)
    seconds_per_step: tuple[float, ...] = Field(min_length=1)
    peak_bytes: int | None = None


class Exchange(Record):
    """Seconds of averaging the gradients over workers and nothing else, one number a repetition."""

    workers: int = Field(ge=2)
    seconds: tuple[float, ...] = Field(min_length=1)


class Throughput(Record):
    """What was measured of an experiment's step times, and where."""

    format: Literal[1] = 1
    workload: str
    device: str
    machine: str
    parameters: int = Field(ge=0)
    timings: tuple[Timing, ...]
    exchanges: tuple[Exchange, ...] = ()


def measure(
    experiment: Experiment, *, seconds: float = 1.0, progress: Callable[[str], object] | None = None
) -> Throughput:
    """Time the steps of one worker, for every optimiser and batch size of the grid.

    The steps are those of `headrace.training.loop.train` with shuffled batches, at a learning rate so small
    that the model stays as it is; evaluations are not timed.

    Args:
        experiment: What would be run.
        seconds: About how long to time each batch size.
        progress: Called with a line for each point.

    Raises:
        InputError: The workload cannot be loaded, or a batch is larger than the training set.
    """
    from headrace.experiments.engines.worker import Worker

    if not (math.isfinite(seconds) and seconds > 0):
        raise InputError("must be a positive number", where="seconds", got=seconds)
    setting = Worker(experiment, 0, 1, None).setting
    _check_sizes(experiment, len(setting.workload.train))
    timings: list[Timing] = []
    for study in _points(experiment):
        timings.append(_timing(setting, study, seconds))
        if progress is not None:
            progress(f"{study.optimizer}, batch size {study.configuration.batch_size}")
    model = setting.new_model(experiment.studies()[0], 0)
    return Throughput(
        workload=experiment.workload.name,
        device=str(setting.device),
        machine=f"{platform.machine()}, Python {platform.python_version()}",
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        timings=tuple(timings),
    )


def _points(experiment: Experiment) -> Iterator[StudyKey]:
    """One study for each optimiser and batch size."""
    seen: set[tuple[str, int]] = set()
    for study in experiment.studies():
        point = (study.optimizer, study.configuration.batch_size)
        if point not in seen:
            seen.add(point)
            yield study


def _check_sizes(experiment: Experiment, examples: int) -> None:
    largest = max(experiment.grid.batch_size)
    if largest > examples:
        raise InputError(
            f"a batch cannot be larger than the training set of {examples} examples",
            where="grid.batch_size",
            got=largest,
        )


def _timing(setting: Setting, study: StudyKey, seconds: float) -> Timing:
    model = setting.new_model(study, 0)
    size = study.configuration.batch_size
    forget_peak(setting)
    probe = min(block_seconds(setting, model, study.optimizer, size, blocks=WARM_UP, steps=1))
    steps = max(1, math.ceil(BLOCK_SECONDS / probe))
    blocks = min(max(int(seconds / (steps * probe)), BLOCKS[0]), BLOCKS[1])
    times = block_seconds(setting, model, study.optimizer, size, blocks=blocks + 1, steps=steps)
    return Timing(
        optimizer=study.optimizer,
        batch_size=size,
        steps_per_block=steps,
        seconds_per_step=tuple(value / steps for value in times[1:]),
        peak_bytes=peak(setting),
    )


def block_seconds(
    setting: Setting, model: nn.Module, optimizer: str, batch_size: int, *, blocks: int, steps: int
) -> list[float]:
    """Seconds of `blocks` blocks of `steps` steps each; each ends when the device has done it."""
    from headrace.sampling.batches import shuffled_batches
    from headrace.training.loop import train
    from headrace.training.recipe import Recipe

    workload, seed = setting.workload, setting.experiment.seed
    trained = train(
        model=model,
        data=workload.train,
        loss=workload.loss,
        batches=shuffled_batches(
            len(workload.train), batch_size, seed=seed, path=("throughput",), device=setting.device
        ),
        recipe=Recipe(optimizer=optimizer, learning_rate=1e-12),
        budget_steps=blocks * steps,
        evaluation_steps=range(0, blocks * steps + 1, steps),
        evaluate=lambda _: {},
        microbatch=setting.experiment.training.microbatch,
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
    """The most memory in use since then, in bytes; None where the system does not tell."""
    if setting.device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(setting.device))
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else None


def write(directory: str | Path, measured: Throughput) -> Path:
    """Write throughput.json whole or not at all.

    Raises:
        StorageError: The disk is full, or the file cannot be written.
    """
    path = Path(directory) / THROUGHPUT
    write_whole(path, (measured.model_dump_json(indent=2) + "\n").encode())
    return path


def read(directory: str | Path) -> Throughput | None:
    """What was measured and lies in a folder; None where there is nothing.

    Raises:
        DamagedError: The file was altered.
    """
    path = Path(directory) / THROUGHPUT
    if not path.exists():
        return None
    try:
        return Throughput.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DamagedError(
            f"is no measurement of ours ({error.errors()[0]['msg']})",
            where=str(path),
            fix="Delete it, or run headrace throughput again.",
        ) from None
