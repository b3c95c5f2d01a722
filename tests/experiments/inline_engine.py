"""Workers without processes, in place of the local engine: jobs finish in any order, trials may be lost."""

from __future__ import annotations

import random as stdlib_random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from headrace.engines._base import Handle, Job, Make
from headrace.engines.inline import InlinePlace
from headrace.trials.advance import Advance


@dataclass(frozen=True)
class Given:
    """An entry of the registry of engines for one that a test made."""

    engine: Callable[[int], Any]

    def find(self) -> Callable[[int], Any]:
        return self.engine


class InlineEngine:
    """Does as `LocalEngine`; `chance` decides which job is done next and what is forgotten.

    A worker makes its bench at its first job, so a test can change what those find that begin later.
    """

    chance = stdlib_random.Random(0)
    together = False

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._published: list[int] = []
        self._benches: dict[int, Any] = {}
        self._jobs: dict[int, Job] = {}

    def open(self, make: Make, *, numbers: int = 0) -> Self:
        self._make = make
        self._published = [0] * numbers
        return self

    def submit(self, worker: int, job: Job) -> None:
        assert worker not in self._jobs
        self._jobs[worker] = job

    @property
    def busy(self) -> set[int]:
        return set(self._jobs)

    def finished(self) -> list[tuple[int, Any]]:
        worker = self.chance.choice(sorted(self._jobs))
        job = self._jobs.pop(worker)
        bench = self._bench(worker)
        if isinstance(job, Advance) and self.chance.random() < 0.1:
            bench.forget(job.tasks[0].study.name)
        return [(worker, job.do(bench))]

    def publish(self, number: int, value: int) -> None:
        self._published[number] = value

    def share(self, path: Path) -> Handle:
        return Handle(path=path)

    def close(self) -> None:
        self._jobs = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _bench(self, worker: int) -> Any:
        if worker not in self._benches:
            place = InlinePlace()
            place.rank = place.local_rank = worker
            place.workers = self.workers
            place.published = self._published
            self._benches[worker] = self._make(place)
        return self._benches[worker]
