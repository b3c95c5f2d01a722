"""Step times as they were measured, in the folder of their experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from headrace.files import guarded
from headrace.records import Record
from headrace.sealed import read_record, write_record
from headrace.workloads.fingerprint import Fingerprint

if TYPE_CHECKING:
    pass


THROUGHPUT = "throughput.json"


Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Timing(Record):
    """Step times of one optimizer, batch size and number of workers.

    Attributes:
        optimizer: The optimizer.
        batch_size: Examples per step, over all workers.
        workers: How many workers share the batch.
        steps_per_block: Steps between two readings of the clock.
        seconds_per_step: One number for each block.
        peak_bytes: Most memory in use: of the process on the CPU, of the tensors on a GPU; None: unknown.
    """

    optimizer: str
    batch_size: int = Field(ge=1)
    workers: int = Field(default=1, ge=1)
    steps_per_block: int = Field(ge=1)
    seconds_per_step: tuple[Seconds, ...] = Field(min_length=1)
    peak_bytes: int | None = Field(default=None, ge=0)


class Exchange(Record):
    """Seconds of averaging the gradients over workers and nothing else, one number per repetition."""

    workers: int = Field(ge=2)
    seconds: tuple[Seconds, ...] = Field(min_length=1)


class Throughput(Record):
    """What was measured of an experiment's step times, and where.

    Attributes:
        settings: Of the workload; None in files that do not hold them.
        fingerprint: Of the workload; None in files of older versions.
    """

    format: Literal[1] = 1
    workload: str
    settings: dict[str, Any] | None = None
    device: str
    machine: str
    parameters: int = Field(ge=0)
    fingerprint: Fingerprint | None = None
    timings: tuple[Timing, ...]
    exchanges: tuple[Exchange, ...] = ()


def write(directory: str | Path, measured: Throughput) -> Path:
    """Write throughput.json whole or not at all.

    Raises:
        StorageError: The disk is full, or the file cannot be written.
    """
    path = Path(directory) / THROUGHPUT
    with guarded(directory, make=True):
        write_record(path, measured, indent=2)
    return path


def read(directory: str | Path) -> Throughput | None:
    """What was measured and is stored in a folder; None if nothing is.

    Raises:
        DamagedError: The file was altered.
    """
    fix = "Delete it, or run headrace throughput again."
    return read_record(Path(directory) / THROUGHPUT, Throughput, fix=fix)
