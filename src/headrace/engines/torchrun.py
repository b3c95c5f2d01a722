"""The engine under torchrun: every trial is trained by all processes together.

Rank 0 runs the experiment as ever and owns the folder. The other ranks `follow`: they are told each task, and
do the same. Importing this imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from headrace.engines.messages import Inspection, Report, Task
from headrace.errors import HeadraceError, InputError, InputErrors
from headrace.specs.experiment import Experiment
from headrace.store.facts import WorkloadFacts
from headrace.store.portrait_choice import Sitting
from headrace.store.portrait_records import Portrait
from headrace.trials.bench import Worker

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

    from headrace.store.portrait_choice import Sitting
    from headrace.store.portrait_records import Portrait

TIMEOUT = "HEADRACE_TIMEOUT_SECONDS"
"""The environment variable that says how long a process may stand still."""

GRACE_SECONDS = 20.0
"""How long at most after an error the other processes may take to raise it too."""

WAIT_SECONDS = 0.5
"""How long the store is waited for at a time."""

_SAME = "Give every process the same code and data."

Message = tuple[str, Any]
"""What rank 0 tells the others: the name of a method of `_Process`, and its argument."""


class RankFailed(HeadraceError):
    """One process raised an error that the others did not."""


def active() -> bool:
    """Whether this process is one of several, started by torchrun or in its way."""
    return world_size() > 1 and "RANK" in os.environ


def rank() -> int:
    """This process's number; 0 where there is only one."""
    return int(os.environ["RANK"]) if active() else 0


def world_size() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def check_workers(experiment: Experiment) -> None:
    """Check that the experiment is for as many workers as there are processes.

    Raises:
        InputError: It has another number of workers, or several.
    """
    if experiment.grid.workers != (world_size(),):
        raise InputError(
            f"must be [{world_size()}] under torchrun with {world_size()} processes",
            where="grid.workers",
            got=list(experiment.grid.workers),
            fix="Without torchrun one process plays any numbers of workers, with the same results.",
        )


def _timeout() -> float:
    """How long a process may stand still, in seconds."""
    given = os.environ.get(TIMEOUT, "600")
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 1.0 <= seconds < 1e7:
        raise InputError("must be a number of seconds, at least 1", where=TIMEOUT, got=given)
    return seconds


class _Process:
    """What every rank does, at rank 0's word."""

    def __init__(self, experiment: Experiment) -> None:
        from headrace.training.parallel import join
        from headrace.training.parallel.watch import shared_store

        self._experiment = experiment
        self._bounds = [0] * len(experiment.studies())
        local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self._worker = Worker(experiment, local_rank, world_size(), self._bounds, together=True)
        self._tasks = 0
        timeout = _timeout()
        # Less than the watch waits: an error says more than that a process stands still.
        self._grace = min(GRACE_SECONDS, timeout / 3)
        join(experiment.training.device, timeout_seconds=timeout)
        self._store: Store = shared_store()

    def inspect(self, _: None) -> Inspection | None:
        """Load the workload, and see whether all ranks have the same."""
        import torch

        from headrace.training.parallel.agreement import agree, gathered

        mine = self._worker.fingerprint
        agree({"experiment": self._experiment.digest()[:16], "training set": mine.train.inputs[:16]})
        first, *others = gathered(mine)
        errors = [
            InputError(f"has another workload than rank 0: {what}", where=f"rank {rank}", fix=_SAME)
            for rank, other in enumerate(others, start=1)
            for what in first.differences(other)
        ]
        if errors:
            raise InputErrors(errors, where="the processes of this run")
        room = torch.tensor(self._worker.room)
        torch.distributed.all_reduce(room, torch.distributed.ReduceOp.MIN)
        self._worker.room = int(room)
        return self._worker.inspect() if rank() == 0 else None

    def expect(self, facts: WorkloadFacts) -> None:
        """Note what the folder's trials are trained on."""
        self._worker.expect(facts)

    def advance(self, told: tuple[Task, int]) -> Report:
        """Train a trial on.

        Raises:
            RankFailed: This rank raised an error that the others did not.
        """
        task, self._bounds[task.number] = told
        report = self._worker.advance(task)
        self._tasks += 1
        error = report.record.error or ""
        self._store.set(f"error/{self._tasks}/{rank()}", error)
        if error and not self._all_raised():
            raise RankFailed(
                f"rank {rank()} alone raised an error, in trial {task.trial} of {task.study.name}: {error}"
            )
        return report

    def forget(self, study: str) -> None:
        """Let go of a decided study's trials."""
        self._worker.forget(study)

    def portray(self, sitting: Sitting) -> tuple[Portrait, bytes]:
        """Make a portrait; every rank comes to the same one."""
        return self._worker.portray(sitting)

    def _all_raised(self) -> bool:
        """Whether every rank raised an error in this task: it is the trial's, and the ranks are in step."""
        from datetime import timedelta

        keys = [f"error/{self._tasks}/{other}" for other in range(world_size())]
        # In short waits: while the store waits, no word of torchrun's that it is to end reaches the process.
        for _ in range(max(1, round(self._grace / WAIT_SECONDS))):
            with suppress(RuntimeError, ValueError):
                self._store.wait(keys, timedelta(seconds=WAIT_SECONDS))
                return all(self._store.get(key) for key in keys)
        return False


class TorchrunEngine:
    """Rank 0's side, with the methods of the local engine; all processes are its one worker.

    Args:
        experiment: What is run.

    Raises:
        InputError: The experiment is for another number of workers.
    """

    processes = 1

    def __init__(self, experiment: Experiment) -> None:
        check_workers(experiment)
        self._process = _Process(experiment)
        self._bounds = [0] * len(experiment.studies())
        self._task: Task | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After an error the others may wait in an exchange, where no word reaches them: torchrun ends them.
        if kind is None:
            self.close()

    def close(self) -> None:
        """Let the other processes go; again, it does nothing."""
        import torch.distributed as dist

        from headrace.training.parallel import leave

        if dist.is_initialized():
            self._tell("end", None)
            leave()

    def inspect(self) -> Inspection:
        """Let all load the workload, and look at it here."""
        self._tell("inspect", None)
        found = self._process.inspect(None)
        assert found is not None
        return found

    def expect(self, facts: WorkloadFacts) -> None:
        """Tell all what the folder's trials are trained on; none trains on anything else."""
        self._tell("expect", facts)
        self._process.expect(facts)

    def set_bound(self, number: int, step: int) -> None:
        """Note beyond which step no trial of study `number` need be trained; told with its next task."""
        self._bounds[number] = step

    def submit(self, rank: int, task: Task) -> None:
        """Note the next task."""
        self._task = task

    def forget(self, rank: int, study: str) -> None:
        """Let all drop a decided study's suspended trials."""
        self._tell("forget", study)
        self._process.forget(study)

    def portray(self, sittings: Sequence[Sitting]) -> Iterator[tuple[Portrait, bytes]]:
        """Make these portraits one after the other, all together."""
        for sitting in sittings:
            self._tell("portray", sitting)
            yield self._process.portray(sitting)

    @property
    def busy(self) -> set[int]:
        """The one worker, where there is a task."""
        return set() if self._task is None else {0}

    def finished(self) -> list[tuple[int, Report]]:
        """Do the task, all together."""
        task = self._task
        assert task is not None
        order = (task, self._bounds[task.number])
        self._tell("advance", order)
        report = self._process.advance(order)
        self._task = None
        return [(0, report)]

    def _tell(self, name: str, argument: Any) -> None:
        _told([(name, argument)])


def follow(experiment: Experiment) -> None:
    """What ranks other than 0 do: as they are told, until the end.

    Raises:
        InputError: This rank has something else than rank 0.
        RankFailed: This rank raised an error that the others did not.
    """
    from headrace.training.parallel import leave

    check_workers(experiment)
    process = _Process(experiment)
    while True:
        name, argument = _told([None])[0]
        if name == "end":
            leave()
            return
        getattr(process, name)(argument)


def _told(messages: Sequence[Message | None]) -> list[Message]:
    """Rank 0's message in every process."""
    import torch.distributed as dist

    from headrace.training.parallel.watch import PULSE

    PULSE.exchanges += 1
    box: list[Any] = list(messages)
    dist.broadcast_object_list(box, src=0)
    return box
