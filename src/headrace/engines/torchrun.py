"""The engine of processes that torchrun started, on one machine or several.

Rank 0 submits the jobs; the other ranks `follow`. Either all do every job together, or the jobs are dealt out
to all, rank 0 among them, in rounds. Importing this imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from headrace.engines._base import Handle, Job, Make
from headrace.engines.processes import sendable
from headrace.errors import HeadraceError, InputError
from headrace.files import guarded, guards

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

TIMEOUT = "HEADRACE_TIMEOUT_SECONDS"
"""The environment variable that says how long a process may stand still where all work together."""

LONGEST = timedelta(days=30)
"""How long the processes wait for each other where jobs are dealt out: one may take long."""

GRACE_SECONDS = 20.0
"""How long at most after an error the other processes may take to raise it too."""

WAIT_SECONDS = 0.5
"""How long the store is waited for at a time."""


class RankFailed(HeadraceError):
    """One process raised an error that the others did not."""


def active() -> bool:
    """Whether this process is one of several, started by torchrun or in its way."""
    return world_size() > 1 and "RANK" in os.environ


def rank() -> int:
    """This process's number; 0 if there is only one."""
    return int(os.environ["RANK"]) if active() else 0


def world_size() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


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


class RankPlace:
    """One of the processes.

    Args:
        together: Whether all do every job jointly.
        numbers: How many numbers can be published.
        grace: How long after an error the others may take to raise it too, in seconds.
    """

    def __init__(self, *, together: bool, numbers: int, grace: float) -> None:
        from headrace.training.parallel.watch import shared_store

        self.rank = rank()
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self.workers = world_size()
        self.together = together
        self.published = [0] * numbers
        self._store: Store | None = shared_store() if together else None
        self._grace = grace
        self._agreements = 0

    def fetch(self, handle: Handle) -> Path:
        """Where the file is stored: all see the same disk."""
        return handle.path

    def agree(self, error: str, where: str) -> None:
        """Say with which error a part of a joint job ended, "" for none.

        Raises:
            RankFailed: This rank raised an error that the others did not.
        """
        if self._store is None:
            return
        self._agreements += 1
        self._store.set(f"error/{self._agreements}/{self.rank}", error)
        if error and not self._all_raised(self._store):
            raise RankFailed(f"rank {self.rank} alone raised an error, {where}: {error}")

    def _all_raised(self, store: Store) -> bool:
        """Whether every rank came to an error: it is the job's, and the ranks are in step."""
        keys = [f"error/{self._agreements}/{other}" for other in range(self.workers)]
        # In short waits: while the store waits, no word of torchrun's that it is to end reaches the process.
        for _ in range(max(1, round(self._grace / WAIT_SECONDS))):
            with suppress(RuntimeError, ValueError):
                store.wait(keys, timedelta(seconds=WAIT_SECONDS))
                return all(store.get(key) for key in keys)
        return False


@dataclass(frozen=True, kw_only=True)
class _Round:
    """What rank 0 sends: jobs by worker, the published numbers, and the folders that alone may be written."""

    jobs: Mapping[int, Job]
    published: Sequence[int]
    folders: Sequence[Path]


@dataclass(frozen=True, kw_only=True)
class _End:
    """The last thing that rank 0 sends: what it has come to, and whether it failed."""

    outcome: Any
    failed: bool


@dataclass(frozen=True)
class _Raised:
    """In place of a result."""

    error: Exception


class _Process:
    """What every rank does."""

    def __init__(self, make: Make, *, device: str, together: bool, numbers: int) -> None:
        import torch.distributed as dist

        from headrace.training.parallel import join

        timeout = _timeout() if together else LONGEST.total_seconds()
        join(device, timeout_seconds=timeout)
        # What is sent are plain objects of the host; together, the watch counts these exchanges too.
        self._group: Any = None if together else dist.new_group(backend="gloo", timeout=LONGEST)
        # Less than the watch waits: an error says more than that a process stands still.
        self.place = RankPlace(together=together, numbers=numbers, grace=min(GRACE_SECONDS, timeout / 3))
        self.bench = make(self.place)

    def sent(self, message: Any = None) -> Any:
        """Rank 0's message, in every process."""
        import torch.distributed as dist

        from headrace.training.parallel.watch import PULSE

        PULSE.exchanges += 1
        box = [message]
        dist.broadcast_object_list(box, src=0, group=self._group)
        return box[0]

    def do(self, round: _Round) -> dict[int, Any]:
        """Do what is this process's of a round.

        Returns:
            In rank 0 all results by worker, `_Raised` among them.

        Raises:
            RankFailed: This rank raised an error in a joint job that the others did not.
        """
        self.place.published[:] = round.published
        if self.place.together:
            return {0: self._joint(round.jobs[0])}
        return self._gathered(self._dealt(round))

    def _joint(self, job: Job) -> Any:
        error: Exception | None = None
        result: Any = None
        try:
            result = job.do(self.bench)
        except RankFailed:
            raise
        except Exception as raised:  # noqa: BLE001  (raised again in rank 0, once all are known to raise it)
            error = raised
        self.place.agree("" if error is None else str(error) or repr(error), f"in {type(job).__name__}")
        self._meet()
        return result if error is None else _Raised(error)

    def _meet(self) -> None:
        """Wait until all have done a joint job: what it was given may be removed then."""
        import torch
        import torch.distributed as dist

        from headrace.training.parallel.watch import PULSE

        PULSE.exchanges += 1
        dist.all_reduce(torch.zeros(1))

    def _dealt(self, round: _Round) -> Any:
        job = round.jobs.get(self.place.rank)
        try:
            with ExitStack() as stack:
                for folder in round.folders if job else ():
                    stack.enter_context(guarded(folder))
                return None if job is None else job.do(self.bench)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (raised again in rank 0)
            return _Raised(sendable(error))

    def _gathered(self, mine: Any) -> dict[int, Any]:
        import torch.distributed as dist

        results: list[Any] | None = [None] * self.place.workers if self.place.rank == 0 else None
        dist.gather_object(mine, results, dst=0, group=self._group)
        return dict(enumerate(results or ()))


class TorchrunEngine:
    """Rank 0's side.

    Args:
        device: "auto", "cpu" or "cuda", by which the processes exchange what they train.
        together: All processes do every job jointly, as one worker; False: each is a worker.

    Attributes:
        outcome: What rank 0 has come to, for the others; set before `close`.
    """

    def __init__(self, device: str = "auto", *, together: bool = True) -> None:
        self.together = together
        self.workers = 1 if together else world_size()
        self.outcome: Any = None
        self._device = device
        self._process: _Process | None = None
        self._published: list[int] = []
        self._jobs: dict[int, Job] = {}
        self._in_step = True

    def open(self, make: Make, *, numbers: int = 0) -> Self:
        """Meet the others, who `follow` with the same arguments."""
        self._published = [0] * numbers
        self._process = _Process(make, device=self._device, together=self.together, numbers=numbers)
        return self

    def submit(self, worker: int, job: Job) -> None:
        """Note a job for the next round."""
        assert 0 <= worker < self.workers
        assert worker not in self._jobs, "the worker has a job"
        self._jobs[worker] = job

    @property
    def busy(self) -> set[int]:
        """The workers that have a job."""
        return set(self._jobs)

    def finished(self) -> list[tuple[int, Any]]:
        """Do all jobs that were submitted, as one round; what one raised is raised when all are done."""
        assert self._process is not None
        assert self._jobs, "no worker has a job"
        round = _Round(jobs=self._jobs, published=tuple(self._published), folders=tuple(guards()))
        self._in_step, self._jobs = False, {}
        results = self._process.do(self._process.sent(round))
        self._in_step = True
        for worker in round.jobs:
            if isinstance(results[worker], _Raised):
                raise results[worker].error
        return [(worker, results[worker]) for worker in round.jobs]

    def publish(self, number: int, value: int) -> None:
        """Note a number, which is sent with the next round."""
        self._published[number] = value

    def share(self, path: Path) -> Handle:
        """The file as it is stored: all see the same disk."""
        return Handle(path=path)

    def close(self) -> None:
        """Let the other processes go."""
        self._end(failed=False)

    def _end(self, *, failed: bool) -> None:
        from headrace.training.parallel import leave

        process, self._process = self._process, None
        if process is not None:
            process.sent(_End(outcome=None if failed else self.outcome, failed=failed))
            leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        kind = raised[0]
        if kind is None:
            self.close()
        # In the midst of a job the others may wait in an exchange, where no word reaches them: torchrun ends
        # them, as it does when this process is asked to end.
        elif self._in_step and isinstance(kind, type) and issubclass(kind, Exception):
            with suppress(RuntimeError):
                self._end(failed=True)


def follow(make: Make, *, device: str = "auto", together: bool = True, numbers: int = 0) -> Any:
    """What ranks other than 0 do: their part of every round, until the end.

    Args:
        make: As for the engine in rank 0.
        device: Likewise.
        together: Likewise.
        numbers: Likewise.

    Returns:
        What rank 0 has come to.

    Raises:
        RankFailed: This rank raised an error that the others did not.
        HeadraceError: Rank 0 stopped with an error.
    """
    from headrace.training.parallel import leave

    process = _Process(make, device=device, together=together, numbers=numbers)
    while not isinstance(round := process.sent(), _End):
        process.do(round)
    leave()
    if round.failed:
        raise HeadraceError("the first process stopped with an error; its own message says which")
    return round.outcome
