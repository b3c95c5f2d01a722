"""The local engine: one process per core, one thread each, on the standard library's process pools.

Each worker is a pool of one process, so that a suspended trial can be resumed by the worker that keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from ctypes import c_int64
from types import TracebackType
from typing import Any, Self

from headrace.engines.messages import Inspection, Report, Task
from headrace.engines.processes import Lifeline, result_of, worker_environment
from headrace.specs.experiment import Experiment
from headrace.store.facts import WorkloadFacts
from headrace.store.portrait_choice import Sitting
from headrace.store.portrait_records import Portrait
from headrace.trials import bench as worker


class LocalEngine:
    """Worker processes of this machine, as a context manager.

    Args:
        experiment: What is run.
        processes: How many workers.
    """

    def __init__(self, experiment: Experiment, processes: int) -> None:
        self.processes = processes
        self._lifeline = Lifeline()
        self._bounds = self._lifeline.context.RawArray(c_int64, len(experiment.studies()))
        text = experiment.model_dump_json()
        self._pools = [
            self._lifeline.workers(1, worker.start, text, rank, processes, self._bounds)
            for rank in range(processes)
        ]
        self._running: dict[Future[Report], int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers at once, whatever they do."""
        self._lifeline.cut()
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)

    def inspect(self) -> Inspection:
        """Start the workers, and let one look at the workload.

        Raises:
            InputError: The workload cannot be loaded, or the device is not there.
            WorkerDied: The worker process died.
        """
        with worker_environment():
            started = [pool.submit(worker.call, "inspect") for pool in self._pools]
        return self._result(started[0])

    def expect(self, facts: WorkloadFacts) -> None:
        """Tell all workers what the folder's trials are trained on; none trains on anything else."""
        for pool in self._pools:
            pool.submit(worker.call, "expect", facts)

    def together(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Call `function(setting, rank, workers, *arguments)` in every worker at once: what each gave.

        Args:
            function: A function of a module; workers may wait for each other in it.
            arguments: Sent to every worker.

        Raises:
            InputError: A worker raised it; the others may still wait, so the engine is to be closed.
            WorkerDied: A worker process died.
        """
        with worker_environment():
            running = [pool.submit(worker.call, "apply", function, *arguments) for pool in self._pools]
        done, _ = wait(running, return_when=FIRST_EXCEPTION)
        for future in done:
            self._result(future)
        return [self._result(future) for future in running]

    def set_bound(self, number: int, step: int) -> None:
        """Tell all workers beyond which step no trial of study `number` need be trained."""
        self._bounds[number] = step

    def submit(self, rank: int, task: Task) -> None:
        """Give an idle worker a task."""
        self._running[self._pools[rank].submit(worker.call, "advance", task)] = rank

    def forget(self, rank: int, study: str) -> None:
        """Let a worker drop a decided study's suspended trials."""
        self._pools[rank].submit(worker.call, "forget", study)

    def portray(self, sittings: Sequence[Sitting]) -> Iterator[tuple[Portrait, bytes]]:
        """Let the workers, none of which may have a task, make these portraits; each as soon as it is there.

        Raises:
            WorkerDied: A worker process died.
        """
        waiting, idle = list(reversed(sittings)), list(self._pools)
        running: dict[Future[tuple[Portrait, bytes]], ProcessPoolExecutor] = {}
        while waiting or running:
            while waiting and idle:
                pool = idle.pop()
                running[pool.submit(worker.call, "portray", waiting.pop())] = pool
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                idle.append(running.pop(future))
                yield self._result(future)

    @property
    def busy(self) -> set[int]:
        """The workers that have a task."""
        return set(self._running.values())

    def finished(self) -> list[tuple[int, Report]]:
        """Wait for tasks to finish; the workers and their reports.

        Raises:
            WorkerDied: A worker process died.
        """
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        return [(self._running.pop(future), self._result(future)) for future in done]

    def _result(self, future: Future[Any]) -> Any:
        return result_of(
            future,
            safe="What was measured",
            fix="with fewer --processes, or a smaller [training] microbatch",
            call="`run`",
        )
