"""The local engine: processes of this machine, one thread each, on the standard library's process pools.

Each worker is a pool of one process, so that it finds what its bench has kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from ctypes import c_int64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from headrace.engines._base import Handle, Job, Make
from headrace.engines.processes import Lifeline, died, plainly, worker_environment
from headrace.files import Identity, guarding, guards


@dataclass(frozen=True, kw_only=True)
class LocalPlace:
    """One of several processes of this machine; `published` is memory that all of them share."""

    rank: int
    workers: int
    published: Sequence[int] = field(repr=False)
    together: bool = False

    @property
    def local_rank(self) -> int:
        """All are on one machine."""
        return self.rank

    def fetch(self, handle: Handle) -> Path:
        """Where the file is stored: all see the same disk."""
        return handle.path

    def agree(self, error: str, where: str) -> None:
        """Nobody else does the job."""


class LocalEngine:
    """Worker processes of this machine.

    Args:
        workers: How many.
    """

    together = False

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._lifeline = Lifeline()
        self._published: Any = []
        self._pools: list[ProcessPoolExecutor] = []
        self._opened: list[Future[None]] = []
        self._running: dict[Future[Any], int] = {}

    def open(self, make: Make, *, numbers: int = 0) -> Self:
        """Start the processes; each makes its bench at once, in parallel with the others."""
        self._published = self._lifeline.context.RawArray(c_int64, numbers)
        places = [
            LocalPlace(rank=rank, workers=self.workers, published=self._published)
            for rank in range(self.workers)
        ]
        self._pools = [self._lifeline.workers(1, _enter, make, place) for place in places]
        with worker_environment():
            self._opened = [pool.submit(plainly, _open) for pool in self._pools]
        return self

    def submit(self, worker: int, job: Job) -> None:
        """Send a job to a worker."""
        assert worker not in self.busy, "the worker has a job"
        try:
            future = self._pools[worker].submit(plainly, _do, job, guards())
        except BrokenProcessPool:
            raise died() from None
        self._running[future] = worker

    @property
    def busy(self) -> set[int]:
        """The workers that have a job."""
        return set(self._running.values())

    def finished(self) -> list[tuple[int, Any]]:
        """Wait until at least one job is finished."""
        assert self._running, "no worker has a job"
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        return [self._result(self._running.pop(future), future) for future in done]

    def _result(self, worker: int, future: Future[Any]) -> tuple[int, Any]:
        try:
            # Without a bench the job could not begin: what its making raised says why.
            self._opened[worker].result()
            return worker, future.result()
        except BrokenProcessPool:
            raise died() from None

    def publish(self, number: int, value: int) -> None:
        """Write a number where all workers look."""
        self._published[number] = value

    def share(self, path: Path) -> Handle:
        """The file as it is stored: all see the same disk."""
        return Handle(path=path)

    def close(self) -> None:
        """End the workers at once."""
        self._lifeline.cut()
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)
        self._running.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Here:
    """What a worker process has: how its bench is made, where it is, and the bench."""

    make: Make | None = None
    place: LocalPlace | None = None
    bench: Any = None


def _enter(make: Make, place: LocalPlace) -> None:
    _Here.make, _Here.place = make, place


def _open() -> None:
    assert _Here.make is not None
    assert _Here.place is not None
    _Here.bench = _Here.make(_Here.place)


def _do(job: Job, folders: Mapping[Path, Identity]) -> Any:
    """Do a job; files are written only where the process that asked for it writes."""
    with guarding(folders):
        return None if _Here.bench is None else job.do(_Here.bench)
