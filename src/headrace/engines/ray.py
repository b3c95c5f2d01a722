"""The engine of a Ray cluster: one that is running, or one that is started on this machine.

Each worker is an actor. It writes nothing: jobs and results go through Ray. The actor of a worker that died,
with its node or alone, is replaced, and the job that it was doing is done again; jobs are pure, so the result
is the same. Importing this module imports no Ray.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from headrace.engines._base import Handle, Job, Make
from headrace.engines.processes import died
from headrace.engines.ray_actor import NOTING, Raised, Shared, Whereabouts, check_versions, remote
from headrace.engines.ray_cluster import Connection, connect, gpus, ray
from headrace.errors import HeadraceError, InputError

MOST_DEATHS = 4
"""How many workers in a row may die of one job, on nodes that live, before the run ends."""
PATIENCE_SECONDS = 30.0
"""How long a job waits for a new worker before one that is there does it."""
LOST_SECONDS = 600.0
"""How long a cluster may have no worker at all."""
CLOSING_SECONDS = 20.0


@dataclass(kw_only=True)
class _Worker:
    """A worker as the engine sees it.

    Attributes:
        actor: Its actor.
        ready: Becomes what the actor says of where it is, once it has a bench.
        since: When the actor was asked for.
        here: Where it is, once that is known.
        job: What it was asked to do.
        doing: Becomes what the job comes to; None while the job waits for the actor.
        by: The worker whose actor does it.
        deaths: How many actors died of the job.
    """

    actor: Any
    ready: Any
    since: float
    here: Whereabouts | None = None
    job: Job | None = None
    doing: Any = None
    by: int = -1
    deaths: int = 0


class RayEngine:
    """Actors of a Ray cluster.

    Args:
        workers: How many; each takes a CPU, and a share of a GPU if the cluster has GPUs.
    """

    together = False
    rations = True
    """Ray gives each worker its share of a GPU."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._make: Make | None = None
        self._prepared: tuple[Job, ...] = ()
        self._published: list[int] = []
        self._shared: dict[Path, tuple[float, Any]] = {}
        self._workers: list[_Worker] = []

    @staticmethod
    def capacity() -> int:
        """How many workers the cluster has room for."""
        connect(None)
        there = ray().cluster_resources()
        share = gpus()
        room = [int(there.get("CPU", 1))] + ([int(there.get("GPU", 0) / share)] if share else [])
        return max(1, min(room))

    def open(self, make: Make, *, numbers: int = 0) -> Self:
        """Connect to the cluster, or start one on this machine, and ask for the actors."""
        connect(self.workers)
        cpus = int(ray().cluster_resources().get("CPU", 0))
        if self.workers > cpus:
            raise InputError(
                f"the Ray cluster has {cpus} CPUs, and each process takes one",
                where="--processes",
                got=self.workers,
                fix=f"Use at most {cpus}, or start the cluster with more.",
            )
        self._make, self._published = make, [0] * numbers
        self._workers = [self._new(rank) for rank in range(self.workers)]
        return self

    def prepare(self, job: Job) -> None:
        """Note a job that each new worker does before any other."""
        self._prepared = (*self._prepared, job)

    def submit(self, worker: int, job: Job) -> None:
        """Send a job to a worker's actor, or keep it until the actor is there."""
        mine = self._workers[worker]
        assert mine.job is None, "the worker has a job"
        mine.job, mine.deaths = job, 0
        if mine.here is not None:
            self._send(worker, worker)

    @property
    def busy(self) -> set[int]:
        """The workers that have a job."""
        return {number for number, worker in enumerate(self._workers) if worker.job is not None}

    def finished(self) -> list[tuple[int, Any]]:
        """Wait until at least one job is finished; what dies meanwhile is replaced."""
        assert self.busy, "no worker has a job"
        while True:
            awaited = self._awaited()
            ready, _ = ray().wait(list(awaited), num_returns=1, timeout=1.0)
            if ready:
                ready, _ = ray().wait(list(awaited), num_returns=len(awaited), timeout=0)
            found = [result for reference in ready for result in self._take(reference, awaited[reference])]
            if found:
                return self._results(found)
            self._lend()

    def publish(self, number: int, value: int) -> None:
        """Send a number to all actors."""
        if self._published[number] != value:
            self._published[number] = value
            for worker in self._workers:
                worker.actor.note.options(concurrency_group=NOTING).remote(number, value)

    def share(self, path: Path) -> Handle:
        """Put a file into Ray's store, from which workers on other machines read it."""
        time_of = path.stat().st_mtime
        if self._shared.get(path, (None,))[0] != time_of:
            self._shared[path] = (time_of, ray().put(path.read_bytes()))
        return Shared(path=path, reference=self._shared[path][1])

    def close(self) -> None:
        """End the actors at once, and the cluster if it was started here."""
        workers, self._workers = self._workers, []
        for worker in workers:
            ray().kill(worker.actor)
        own = ray().get_runtime_context().get_node_id() if workers else ""
        gone = [w.here.process for w in workers if w.here and w.here.node == own]
        if Connection.started:
            ray().shutdown()
            Connection.started = False
        _wait_for(gone)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _new(self, rank: int) -> _Worker:
        """A worker whose actor is not there yet."""
        assert self._make is not None
        actor = remote().remote(rank, self.workers, self._published)
        actor.open.remote(self._make, sys.path, str(Path.cwd()), self._prepared)
        return _Worker(actor=actor, ready=actor.here.remote(), since=time.monotonic())

    def _send(self, worker: int, by: int) -> None:
        """Let the actor of `by` do a worker's job."""
        mine = self._workers[worker]
        mine.doing, mine.by = self._workers[by].actor.do.remote(mine.job), by

    def _awaited(self) -> dict[Any, int]:
        """What can be waited for -> the worker."""
        found = {
            worker.doing: number for number, worker in enumerate(self._workers) if worker.doing is not None
        }
        coming = {worker.ready: number for number, worker in enumerate(self._workers) if worker.here is None}
        return found | coming

    def _take(self, reference: Any, worker: int) -> list[tuple[int, Any]]:
        """Take in what is ready: a result, or an actor that has come or is gone."""
        mine = self._workers[worker]
        if reference is not mine.doing and reference is not mine.ready:
            # Of an actor that is known to be gone.
            return []
        try:
            value: Any = ray().get(reference)
        except ray().exceptions.RayTaskError as error:
            raise HeadraceError(f"a worker of the Ray cluster raised {error.cause!r}") from None
        except ray().exceptions.RayError as error:
            # Its process, its node or a result on that node is gone.
            self._bury(worker, mine.by if reference is mine.doing else worker, str(error))
            return []
        if reference is mine.ready:
            mine.here = value
            check_versions(value)
            if mine.job is not None and mine.doing is None:
                self._send(worker, worker)
            return []
        mine.job, mine.doing, mine.deaths = None, None, 0
        return [(worker, value)]

    def _results(self, found: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        for _, value in found:
            if isinstance(value, Raised):
                raise value.error
        return found

    def _bury(self, worker: int, by: int, why: str) -> None:
        """Replace an actor that died, and let its jobs be done again.

        Raises:
            WorkerDied: The worker's job has killed too many.
            InputError: No actor can be started.
        """
        mine = self._workers[worker]
        mine.deaths += _lives(self._workers[by].here)
        if mine.deaths >= MOST_DEATHS:
            if mine.doing is not None:
                raise died()
            last = why.strip().splitlines()[-1]
            fix = "Headrace must be installed on all nodes; the logs of Ray say more."
            raise InputError(f"no worker can be started on the Ray cluster ({last})", where="engine", fix=fix)
        mine.doing = None
        lost = self._workers[by]
        # A job that another worker lent out may have been lost with the same actor, and seen first.
        if by == worker or lost.here is not None:
            with suppress(Exception):
                ray().kill(lost.actor)
            new = self._new(by)
            lost.actor, lost.ready, lost.since, lost.here = new.actor, new.ready, new.since, None

    def _lend(self) -> None:
        """Let workers that are there do jobs that have waited too long for a new one.

        Raises:
            WorkerDied: There has been no worker for too long.
        """
        now = time.monotonic()
        there = [number for number, worker in enumerate(self._workers) if worker.here is not None]
        waiting = [number for number in self.busy if self._workers[number].doing is None]
        for place, worker in enumerate(waiting):
            waited = now - self._workers[worker].since
            if there and waited > PATIENCE_SECONDS:
                self._send(worker, there[place % len(there)])
            elif waited > LOST_SECONDS:
                raise died()


def _lives(here: Whereabouts | None) -> bool:
    """Whether a node is still there: if not, no job is to blame."""
    return here is None or any(node["Alive"] and node["NodeID"] == here.node for node in ray().nodes())


def _wait_for(processes: Sequence[int]) -> None:
    """Wait until processes of this machine have ended."""
    until = time.monotonic() + CLOSING_SECONDS
    for process in processes:
        while time.monotonic() < until and Path(f"/proc/{process}").exists():
            time.sleep(0.02)
