"""The engine of this process: one worker, whose jobs are done when they are waited for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from headrace.engines._base import Handle, Job, Make


class InlinePlace:
    """The one worker."""

    rank = local_rank = 0
    workers = 1
    together = False

    def __init__(self, numbers: int = 0) -> None:
        self.published: list[int] = [0] * numbers

    def fetch(self, handle: Handle) -> Path:
        """Where the file is stored."""
        return handle.path

    def agree(self, error: str, where: str) -> None:
        """Nobody else does the job."""


class InlineEngine:
    """Does every job in this process.

    Args:
        workers: As other engines are called with; this one has one worker.
    """

    workers = 1
    together = False

    def __init__(self, workers: int = 1) -> None:
        del workers
        self._bench: Any = None
        self._place: InlinePlace | None = None
        self._job: Job | None = None

    def open(self, make: Make, *, numbers: int = 0) -> Self:
        """Make the bench."""
        self._place = InlinePlace(numbers)
        self._bench = make(self._place)
        return self

    def submit(self, worker: int, job: Job) -> None:
        """Note the job."""
        assert worker == 0
        assert self._job is None, "the worker has a job"
        self._job = job

    @property
    def busy(self) -> set[int]:
        """The one worker, if there is a job."""
        return set() if self._job is None else {0}

    def finished(self) -> list[tuple[int, Any]]:
        """Do the job."""
        job, self._job = self._job, None
        assert job is not None, "no worker has a job"
        return [(0, job.do(self._bench))]

    def publish(self, number: int, value: int) -> None:
        """Note a number."""
        assert self._place is not None
        self._place.published[number] = value

    def share(self, path: Path) -> Handle:
        """The file as it is stored."""
        return Handle(path=path)

    def close(self) -> None:
        """Let go of the bench."""
        self._bench = self._job = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
