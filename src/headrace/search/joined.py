"""A search's jobs on processes that torchrun started, on one machine or several that share the folder.

The first process searches and the others serve it: they are sent each list of jobs, do every so-manieth of it
as the first one does too, and send back what came of it. Jobs leave whole files, so an interrupted search
goes on under torchrun or without.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from headrace.errors import HeadraceError, InputError
from headrace.files import guarded, guards
from headrace.search.pool import Tell
from headrace.specs.search import SubsetSearch
from headrace.training.parallel.joining import join, leave
from headrace.trials.jobs import Expected
from headrace.trials.search_jobs import Job, Workshop

LONGEST = timedelta(days=30)
"""How long the processes wait for each other: a job may take long."""


@dataclass(frozen=True, kw_only=True)
class _End:
    """The last thing sent; without an outcome where the first process failed."""

    outcome: Any


class JoinedPool:
    """All processes, as the first one and the others see them.

    Args:
        spec: The search.

    Attributes:
        processes: How many there are.
        rank: Which one this is.
        outcome: What the first process has come to.
    """

    outcome: Any = None

    def __init__(self, spec: SubsetSearch) -> None:
        wanted = spec.training.device if spec.training else "auto"
        join(wanted, timeout_seconds=LONGEST.total_seconds())
        # Jobs and results are plain objects of the host.
        self._group: Any = dist.new_group(backend="gloo", timeout=LONGEST)
        self.processes = dist.get_world_size()
        self.rank = dist.get_rank()
        torch.set_num_threads(1)
        self.expected: Expected = {}
        self._workshop = Workshop(spec, int(os.environ.get("LOCAL_RANK", "0")))

    def do(self, jobs: Sequence[Job], tell: Tell | None = None) -> list[Any]:
        """Do all jobs, with the others; for the first process.

        Raises:
            InputError: As a job raised it.
            HeadraceError: Likewise.
        """
        if not jobs:
            return []
        self._send((list(jobs), tuple(guards()), self.expected))
        found = self._share(jobs, tell)
        for result in found:
            if isinstance(result, HeadraceError):
                raise result
        return found

    def close(self) -> None:
        """Let the others go, with the outcome; for the first process."""
        self._send(_End(outcome=self.outcome))
        leave()

    def serve(self) -> Any:
        """Do one's share of every list of jobs, until the first process is done; for the others.

        Returns:
            The outcome.

        Raises:
            HeadraceError: There is none, for the first process has stopped with an error.
        """
        while not isinstance(sent := self._send(None), _End):
            jobs, folders, self.expected = sent
            self._share(jobs, None, folders)
        leave()
        if sent.outcome is None:
            raise HeadraceError("the first process has stopped with an error; see what it said")
        return sent.outcome

    def _send(self, sent: Any) -> Any:
        """What the first process sends, in every process."""
        box = [sent]
        dist.broadcast_object_list(box, src=0, group=self._group)
        return box[0]

    def _share(self, jobs: Sequence[Job], tell: Tell | None, folders: Sequence[Path] = ()) -> list[Any]:
        """Do this process's jobs; the results of all in the order of the jobs, in the first process."""
        mine: list[Any] = []
        for job in jobs[self.rank :: self.processes]:
            mine.append(self._result(job, folders))
            if tell:
                # The others are taken to be as far.
                tell(min(len(mine) * self.processes, len(jobs)), len(jobs))
        parts: list[list[Any]] | None = [[] for _ in range(self.processes)] if self.rank == 0 else None
        dist.gather_object(mine, parts, dst=0, group=self._group)
        return (
            []
            if parts is None
            else [parts[n % self.processes][n // self.processes] for n in range(len(jobs))]
        )

    def _result(self, job: Job, folders: Sequence[Path]) -> Any:
        """What came of it; an error of ours is sent as one that can be pickled."""
        try:
            with ExitStack() as stack:
                for folder in folders:
                    stack.enter_context(guarded(folder))
                return self._workshop.do(job, self.expected)
        except InputError as error:
            return InputError(str(error))
        except HeadraceError as error:
            return HeadraceError(str(error))
