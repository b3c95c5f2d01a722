"""The contract of an engine: where jobs run. It knows no experiment, no trial and no torch.

Its lifetime: `open` starts workers, each of which makes a *bench* and keeps it; `submit` gives an idle worker
a job, and `finished` waits for what came of one; `publish` passes a number to running jobs; `close` ends all.
A job is a frozen record that can be pickled; what it does is a pure function of itself and the bench, except
for what the bench keeps between jobs. It writes no file: results are plain data and bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from headrace.errors import HeadraceError


class WorkerDied(HeadraceError):
    """A worker process ended without having been asked to."""


@dataclass(frozen=True, kw_only=True)
class Handle:
    """A file that jobs read, as a job carries it: `Place.open` gives its content.

    Attributes:
        path: Where it is stored, for workers that see the same disk.
        key: What an engine without a common disk calls it; None where the path is enough.
    """

    path: Path
    key: str | None = None


class Place(Protocol):
    """Where a worker is.

    Attributes:
        rank: Its number.
        local_rank: Its number among the workers of its machine, to share out the machine's devices by.
        workers: How many there are.
        together: Whether all workers do every job jointly, as processes of `torch.distributed`.
        published: The numbers that `Engine.publish` set, as they are now, even within a job.
    """

    @property
    def rank(self) -> int: ...

    @property
    def local_rank(self) -> int: ...

    @property
    def workers(self) -> int: ...

    @property
    def together(self) -> bool: ...

    @property
    def published(self) -> Sequence[int]: ...

    def fetch(self, handle: Handle) -> Path:
        """Where this worker can read the file."""
        ...

    def agree(self, error: str, where: str) -> None:
        """Say with which error a part of a job ended, or "" for none; all that do the job jointly call it.

        Raises:
            HeadraceError: This worker raised an error that the others did not, so they are out of step.
        """
        ...


class Job(Protocol):
    """What a worker is asked to do."""

    def do(self, bench: Any) -> Any:
        """Do it on a bench; the result can be pickled."""
        ...


Make = Callable[[Place], Any]
"""Makes a worker's bench; can be pickled, so that it can be sent to another process."""


class Engine(Protocol):
    """Where jobs run, as a context manager that closes it.

    Attributes:
        workers: How many there are.
        together: Whether all of them do every job jointly; then there is one to submit to.
    """

    workers: int
    together: bool

    def open(self, make: Make, *, numbers: int = 0) -> Self:
        """Start the workers.

        Args:
            make: Called once in each worker.
            numbers: How many numbers can be published; they begin as 0.

        Raises:
            HeadraceError: What `make` raised, at the latest with the first job.
        """
        ...

    def submit(self, worker: int, job: Job) -> None:
        """Give an idle worker a job.

        Raises:
            WorkerDied: It ended before.
        """
        ...

    @property
    def busy(self) -> set[int]:
        """The workers that have a job."""
        ...

    def finished(self) -> list[tuple[int, Any]]:
        """Wait until at least one job is finished; the workers and what their jobs came to.

        Raises:
            WorkerDied: A worker ended.
            HeadraceError: What a job raised; errors of the user's code come with their text.
        """
        ...

    def publish(self, number: int, value: int) -> None:
        """Let running jobs and later ones see a number; `together`, the next job sees it."""
        ...

    def share(self, path: Path) -> Handle:
        """Let jobs read a whole file of this machine."""
        ...

    def close(self) -> None:
        """End the workers at once, no matter what they do; again, it does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


@runtime_checkable
class Replacing(Protocol):
    """An engine that puts a new worker in the place of one that died, and lets it do the job again."""

    def prepare(self, job: Job) -> None:
        """Note a job that each new worker does before any other."""
        ...


Report = Callable[[int, int], None]
"""Called after each job with (jobs done, jobs there are)."""


def each_done(engine: Engine, jobs: Sequence[Job]) -> Generator[tuple[int, Any]]:
    """Do all jobs, on whichever worker is idle: (which job, what it came to), each as soon as it is done.

    The worker has its next job before a result is handed over, so whoever stores it keeps nobody waiting.

    Args:
        engine: Open, with no job.
        jobs: The jobs.

    Raises:
        HeadraceError: As a job raised it.
        WorkerDied: A worker ended.
    """
    doing: dict[int, int] = {}
    waiting = iter(enumerate(jobs))

    def give(worker: int) -> None:
        for number, job in islice(waiting, 1):
            doing[worker] = number
            engine.submit(worker, job)

    for worker in range(engine.workers):
        give(worker)
    while doing:
        for worker, result in engine.finished():
            number = doing.pop(worker)
            give(worker)
            yield number, result


def do_all(engine: Engine, jobs: Sequence[Job], report: Report | None = None) -> list[Any]:
    """Do all jobs, on whichever worker is idle; what they came to, in the order of the jobs.

    Args:
        engine: Open, with no job.
        jobs: The jobs.
        report: Called after each.

    Raises:
        HeadraceError: As a job raised it.
        WorkerDied: A worker ended.
    """
    results: dict[int, Any] = {}
    for number, result in each_done(engine, jobs):
        results[number] = result
        if report:
            report(len(results), len(jobs))
    return [results[number] for number in range(len(jobs))]


def prepare(engine: Engine, job: Job) -> None:
    """Do a job in every worker, and in each that later takes the place of one that died, before any other.

    Args:
        engine: Open, with no job.
        job: The job.

    Raises:
        HeadraceError: As a worker raised it.
        WorkerDied: A worker ended.
    """
    if isinstance(engine, Replacing):
        engine.prepare(job)
    everywhere(engine, job)


def everywhere(engine: Engine, job: Job) -> list[Any]:
    """Do a job in every worker at once, where they may wait for each other; the results by worker.

    Args:
        engine: Open, with no job.
        job: The job.

    Raises:
        HeadraceError: As a worker raised it; the others may still wait, so the engine must be closed.
        WorkerDied: A worker ended.
    """
    results: dict[int, Any] = {}
    for worker in range(engine.workers):
        engine.submit(worker, job)
    while len(results) < engine.workers:
        results.update(engine.finished())
    return [results[worker] for worker in range(engine.workers)]
