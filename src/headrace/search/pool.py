"""A search's jobs on the cores of this machine: in this process where one is enough, else in several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from headrace.engines.processes import Lifeline, plainly, result_of, worker_environment
from headrace.files import Identity, guarding, guards
from headrace.specs.search import SubsetSearch
from headrace.trials.jobs import Expected

if TYPE_CHECKING:
    from headrace.trials.search_jobs import Job, Workshop

Tell = Callable[[int, int], None]
"""Called after each job with (jobs done, jobs there are)."""

_workshop: Workshop | None = None


class Doer(Protocol):
    """Who does the jobs of a search.

    Attributes:
        processes: How many jobs are done side by side.
        outcome: What the search has come to, for those who helped; set before `close`.
        expected: The fingerprint of the search's workload, and of its transfers by their numbers, once they
            are known: whoever has loaded another does no job.
    """

    processes: int
    outcome: Any
    expected: Expected

    def do(self, jobs: Sequence[Job], tell: Tell | None = None) -> list[Any]:
        """Do all jobs; their results in the order of the jobs."""
        ...

    def close(self) -> None:
        """End whatever was started."""
        ...


class Pool:
    """Workers; started at the first job, ended by `close`.

    Args:
        spec: The search.
        processes: How many; with 1 the jobs are done in this process.
    """

    outcome: Any = None

    def __init__(self, spec: SubsetSearch, processes: int) -> None:
        self._spec = spec
        self.processes = processes
        self._lifeline = Lifeline()
        self._here: Workshop | None = None
        self._executor: ProcessPoolExecutor | None = None
        self.expected: Expected = {}

    def close(self) -> None:
        """End the workers at once: a job in progress leaves whole files only, so it may be cut off."""
        self._lifeline.cut()
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def do(self, jobs: Sequence[Job], tell: Tell | None = None) -> list[Any]:
        """Do all jobs; their results in the order of the jobs.

        Raises:
            InputError: As a job raised it.
            WorkerDied: A worker process died.
        """
        if self.processes == 1:
            return self._do_here(jobs, tell)
        executor = self._executor = self._executor or self._start()
        with worker_environment():
            futures = [executor.submit(_do, job, guards(), self.expected) for job in jobs]
        pending = set(futures)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                _result(future)
            if tell:
                tell(len(futures) - len(pending), len(futures))
        return [_result(future) for future in futures]

    def _do_here(self, jobs: Sequence[Job], tell: Tell | None) -> list[Any]:
        import torch

        from headrace.trials.search_jobs import Workshop

        if self._here is None:
            self._here = Workshop(self._spec, 0)
        threads = torch.get_num_threads()
        # More threads would round differently than the workers do.
        torch.set_num_threads(1)
        results: list[Any] = []
        try:
            for job in jobs:
                results.append(self._here.do(job, self.expected))
                if tell:
                    tell(len(results), len(jobs))
        finally:
            torch.set_num_threads(threads)
        return results

    def _start(self) -> ProcessPoolExecutor:
        ranks = self._lifeline.context.SimpleQueue()
        for rank in range(self.processes):
            ranks.put(rank)
        return self._lifeline.workers(self.processes, _begin, self._spec.model_dump_json(), ranks)


def _result(future: Future[Any]) -> Any:
    return result_of(future, safe="What was finished", fix="with fewer --processes", call="the search")


def _begin(spec: str, ranks: Any) -> None:
    """Make this process a worker."""
    global _workshop  # noqa: PLW0603  (a worker process has one workshop)
    import torch

    from headrace.trials.search_jobs import Workshop

    torch.set_num_threads(1)
    _workshop = Workshop(SubsetSearch.model_validate_json(spec), ranks.get())


def _do(job: Job, folders: Mapping[Path, Identity], expected: Expected) -> Any:
    """Do a job in this worker, which writes only where the searching process does."""
    assert _workshop is not None
    with guarding(folders):
        return plainly(_workshop.do, job, expected)
