"""A search's jobs on the cores of this machine: in this process where one is enough, else in several.

Workers are started afresh (spawn), for torch and CUDA do not survive a fork, with one thread each. They end
when this process ends, however it ends: they hold one end of a pipe, which then closes.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from headrace.errors import HeadraceError, InputError
from headrace.experiments.engines.local import WorkerDied
from headrace.experiments.subsets.search import SubsetSearch

if TYPE_CHECKING:
    from headrace.experiments.subsets.jobs import Job, Workshop

Tell = Callable[[int, int], None]
"""Called after each job with (jobs done, jobs there are)."""

_workshop: Workshop | None = None


class Pool:
    """Workers; started at the first job, ended by `close`.

    Args:
        spec: The search.
        processes: How many; with 1 the jobs are done in this process.
    """

    def __init__(self, spec: SubsetSearch, processes: int) -> None:
        self._spec = spec
        self.processes = processes
        self._context = multiprocessing.get_context("spawn")
        self._reader, self._writer = self._context.Pipe(duplex=False)
        self._here: Workshop | None = None
        self._executor: ProcessPoolExecutor | None = None

    def close(self) -> None:
        """End the workers at once: a job in progress leaves whole files only, so it may be cut off."""
        self._writer.close()
        self._reader.close()
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
        futures = [executor.submit(_do, job) for job in jobs]
        pending = set(futures)
        try:
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                if tell:
                    tell(len(futures) - len(pending), len(futures))
            return [future.result() for future in futures]
        except BrokenProcessPool:
            raise WorkerDied(
                "a worker process died, perhaps because the memory ran out (see above for what it said). "
                "What was finished is safe. Run again, with fewer --processes. In a script, the search must "
                'stand under `if __name__ == "__main__":`.'
            ) from None

    def _do_here(self, jobs: Sequence[Job], tell: Tell | None) -> list[Any]:
        import torch

        from headrace.experiments.subsets.jobs import Workshop

        if self._here is None:
            self._here = Workshop(self._spec, 0)
        threads = torch.get_num_threads()
        # More threads would round differently than the workers do.
        torch.set_num_threads(1)
        results: list[Any] = []
        try:
            for job in jobs:
                results.append(self._here.do(job))
                if tell:
                    tell(len(results), len(jobs))
        finally:
            torch.set_num_threads(threads)
        return results

    def _start(self) -> ProcessPoolExecutor:
        ranks = self._context.SimpleQueue()
        for rank in range(self.processes):
            ranks.put(rank)
        return ProcessPoolExecutor(
            max_workers=self.processes,
            mp_context=self._context,
            initializer=_begin,
            initargs=(self._spec.model_dump_json(), ranks, self._reader),
        )


def _begin(spec: str, ranks: Any, parent: Any) -> None:
    """Make this process a worker."""
    global _workshop  # noqa: PLW0603  (a worker process has one workshop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What the user's code prints must not mix with the command line's own output.
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    import torch

    from headrace.experiments.subsets.jobs import Workshop

    torch.set_num_threads(1)
    _workshop = Workshop(SubsetSearch.model_validate_json(spec), ranks.get())


def _end_with(parent: Any) -> None:
    """Wait until the pipe is closed, be it by an orderly end or because the parent was killed."""
    with suppress(EOFError, OSError):
        parent.recv_bytes()
    os._exit(1)


def _do(job: Job) -> Any:
    """Do a job in this worker; errors of ours are sent as ones that can be pickled."""
    assert _workshop is not None
    try:
        return _workshop.do(job)
    except InputError as error:
        raise InputError(str(error)) from None
    except HeadraceError as error:
        raise HeadraceError(str(error)) from None
