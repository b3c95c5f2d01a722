"""Workers without processes, in place of the local engine: tasks finish in any order, trials may be lost."""

from __future__ import annotations

import random as stdlib_random
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from headrace.engines.messages import Inspection, Report, Task
from headrace.specs.experiment import Experiment
from headrace.store.facts import WorkloadFacts
from headrace.store.portrait_choice import Sitting
from headrace.store.portrait_records import Portrait
from headrace.trials.bench import Worker


class InlineEngine:
    """The same methods as `LocalEngine`; `chance` decides which task is done next and what is forgotten."""

    chance = stdlib_random.Random(0)

    def __init__(self, experiment: Experiment, processes: int) -> None:
        self.processes = processes
        self._bounds = [0] * len(experiment.studies())
        self._workers = [Worker(experiment, rank, processes, self._bounds) for rank in range(processes)]
        self._running: dict[int, Task] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._running = {}

    def inspect(self) -> Inspection:
        return self._workers[0].inspect()

    def expect(self, facts: WorkloadFacts) -> None:
        for worker in self._workers:
            worker.expect(facts)

    def set_bound(self, number: int, step: int) -> None:
        self._bounds[number] = step

    def submit(self, rank: int, task: Task) -> None:
        assert rank not in self._running
        self._running[rank] = task

    def forget(self, rank: int, study: str) -> None:
        self._workers[rank].forget(study)

    def portray(self, sittings: Sequence[Sitting]) -> Iterator[tuple[Portrait, bytes]]:
        for sitting in sittings:
            yield self._workers[0].portray(sitting)

    @property
    def busy(self) -> set[int]:
        return set(self._running)

    def finished(self) -> list[tuple[int, Report]]:
        rank = self.chance.choice(sorted(self._running))
        task = self._running.pop(rank)
        if self.chance.random() < 0.1:
            self._workers[rank].forget(task.study.name)
        return [(rank, self._workers[rank].advance(task))]
