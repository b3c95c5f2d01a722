"""The engine of a Ray cluster: one that is running, or one that is started on this machine.

Each worker is an actor. It writes nothing: jobs and results go through Ray. The actor of a worker that died,
with its node or alone, is replaced, and the job that it was doing is done again; jobs are pure, so the result
is the same. Importing this module imports no Ray.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from headrace.engines._base import Handle, Job, Make
from headrace.engines.processes import ONE_THREAD, died, sendable
from headrace.errors import HeadraceError, InputError

ADDRESS = "RAY_ADDRESS"
"""The environment variable with the address of a running cluster; Ray's own."""
GPUS = "HEADRACE_RAY_GPUS"
"""The environment variable with the share of a GPU that each worker takes."""
TYPICAL_GPUS = 0.25
MOST_DEATHS = 4
"""So many workers in a row may die of one job: then it is the job's fault."""
PATIENCE_SECONDS = 30.0
"""How long a job waits for a new worker before one that is there does it."""
LOST_SECONDS = 600.0
"""How long a cluster may have no worker at all."""
CLOSING_SECONDS = 20.0
MOST_FILES = 32
"""How many shared files a worker keeps in memory."""
NOTING = "noting"
_PACKAGES = ("headrace", "torch")


@dataclass(frozen=True, kw_only=True)
class Shared(Handle):
    """A file in Ray's store.

    Attributes:
        reference: What Ray calls it.
    """

    reference: Any


@dataclass(frozen=True, kw_only=True)
class RayPlace:
    """One of the actors; `published` is what the engine sent last."""

    rank: int
    workers: int
    published: list[int] = field(repr=False)
    local_rank: int = 0
    together: bool = False
    files: dict[str, int] = field(default_factory=dict, repr=False)

    def fetch(self, handle: Handle) -> Path:
        """Where this worker can read the file: in its memory, not on a disk."""
        if not isinstance(handle, Shared):
            return handle.path
        key = handle.reference.hex()
        if key not in self.files:
            while len(self.files) >= MOST_FILES:
                os.close(self.files.pop(next(iter(self.files))))
            descriptor = os.memfd_create("headrace")
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(_ray().get(handle.reference))
            self.files[key] = descriptor
        return Path(f"/proc/self/fd/{self.files[key]}")

    def agree(self, error: str, where: str) -> None:
        """Nobody else does the job."""


@dataclass(frozen=True, kw_only=True)
class _Raised:
    """In place of a result."""

    error: Exception


@dataclass(frozen=True, kw_only=True)
class _Whereabouts:
    """Where an actor is, and what is installed there."""

    node: str
    host: str
    process: int
    versions: dict[str, str]


class _Actor:
    """What a worker does; made into an actor by `_remote`."""

    def __init__(self, rank: int, workers: int, published: Sequence[int]) -> None:
        self._place = RayPlace(rank=rank, workers=workers, published=list(published))
        self._bench: Any = None
        self._error: Exception | None = None

    def here(self) -> _Whereabouts:
        """Where it is."""
        node = _ray().get_runtime_context().get_node_id()
        return _Whereabouts(node=node, host=os.uname().nodename, process=os.getpid(), versions=_versions())

    def open(self, make: Make, paths: Sequence[str], folder: str, prepared: Sequence[Job]) -> None:
        """Make the bench; what that raises is the result of every job."""
        sys.path.extend(path for path in paths if path not in sys.path and Path(path).exists())
        try:
            if Path(folder).is_dir():
                os.chdir(folder)
            self._bench = make(self._place)
            for job in prepared:
                job.do(self._bench)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (raised again by the engine)
            self._error = sendable(error)

    def do(self, job: Job) -> Any:
        """Do a job."""
        if self._error is not None:
            return _Raised(error=self._error)
        try:
            return job.do(self._bench)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (raised again by the engine)
            return _Raised(error=sendable(error))

    def note(self, number: int, value: int) -> None:
        """Note a published number; in a thread of its own, while a job runs."""
        self._place.published[number] = value


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
    here: _Whereabouts | None = None
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
        _connect(None)
        there = _ray().cluster_resources()
        gpus = _gpus()
        room = [int(there.get("CPU", 1))] + ([int(there.get("GPU", 0) / gpus)] if gpus else [])
        return max(1, min(room))

    def open(self, make: Make, *, numbers: int = 0) -> Self:
        """Connect to the cluster, or start one on this machine, and ask for the actors."""
        _connect(self.workers)
        cpus = int(_ray().cluster_resources().get("CPU", 0))
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
            ready, _ = _ray().wait(list(awaited), num_returns=1, timeout=1.0)
            if ready:
                ready, _ = _ray().wait(list(awaited), num_returns=len(awaited), timeout=0)
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
            self._shared[path] = (time_of, _ray().put(path.read_bytes()))
        return Shared(path=path, reference=self._shared[path][1])

    def close(self) -> None:
        """End the actors at once, and the cluster if it was started here."""
        workers, self._workers = self._workers, []
        for worker in workers:
            _ray().kill(worker.actor)
        own = _ray().get_runtime_context().get_node_id() if workers else ""
        gone = [w.here.process for w in workers if w.here and w.here.node == own]
        if _Here.started:
            _ray().shutdown()
            _Here.started = False
        _wait_for(gone)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _new(self, rank: int) -> _Worker:
        """A worker whose actor is not there yet."""
        assert self._make is not None
        actor = _remote().remote(rank, self.workers, self._published)
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
        try:
            value: Any = _ray().get(reference)
        except _ray().exceptions.RayTaskError as error:
            raise HeadraceError(f"a worker of the Ray cluster raised {error.cause!r}") from None
        except _ray().exceptions.RayError as error:
            # Its process, its node or a result on that node is gone.
            self._bury(worker, mine.by if reference is mine.doing else worker, str(error))
            return []
        if reference is mine.ready:
            mine.here = value
            _check_versions(value)
            if mine.job is not None and mine.doing is None:
                self._send(worker, worker)
            return []
        mine.job, mine.doing, mine.deaths = None, None, 0
        return [(worker, value)]

    def _results(self, found: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        for _, value in found:
            if isinstance(value, _Raised):
                raise value.error
        return found

    def _bury(self, worker: int, by: int, why: str) -> None:
        """Replace an actor that died, and let its jobs be done again.

        Raises:
            WorkerDied: The worker's job has killed too many.
            InputError: No actor can be started.
        """
        mine = self._workers[worker]
        mine.deaths += 1
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
                _ray().kill(lost.actor)
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


def _ray() -> Any:
    """Ray, which is imported only here.

    Raises:
        InputError: It is not installed.
    """
    with _own_signals():
        try:
            return import_module("ray")
        except ImportError:
            raise InputError(
                "needs the package ray, which is not installed",
                where="engine",
                got="ray",
                fix='Install it: pip install "headrace[ray]".',
            ) from None


@contextmanager
def _own_signals() -> Generator[None]:
    """Keep our handler of SIGTERM, which Ray replaces."""
    if "ray" in sys.modules or threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


class _Here:
    """What this process has done.

    Attributes:
        started: Whether it started the cluster that it is connected to.
    """

    started = False


def _connect(workers: int | None) -> None:
    """Connect to the cluster that `RAY_ADDRESS` names or that runs on this machine, or start one here.

    Args:
        workers: How many CPUs a new one has; None for those of this machine.

    Raises:
        InputError: The cluster cannot be reached.
    """
    ray = _ray()
    if ray.is_initialized():
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    named = os.environ.get(ADDRESS)
    try:
        ray.init(address=named or "auto", **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        if named:
            raise InputError(
                f"the Ray cluster cannot be reached ({str(error).splitlines()[0]})",
                where=ADDRESS,
                got=named,
                fix="Start it with `ray start --head`; without the variable one is started on this machine.",
            ) from None
    else:
        return
    ray.init(num_cpus=workers, include_dashboard=False, **quiet)
    _Here.started = True


def _gpus() -> float:
    """The share of a GPU that each worker takes; 0 in a cluster without GPUs."""
    given = os.environ.get(GPUS)
    if given is None:
        return TYPICAL_GPUS if _ray().cluster_resources().get("GPU", 0) else 0.0
    try:
        share = float(given)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 8:
        fix = "For example 0.25 for four workers per GPU; 0 to train on CPUs."
        raise InputError("must be a number from 0 to 8", where=GPUS, got=given, fix=fix)
    return share


def _remote() -> Any:
    """The class of actors: one thread does jobs, another one notes published numbers."""
    made: Any = _ray().remote(
        num_cpus=1,
        num_gpus=_gpus(),
        max_restarts=0,
        runtime_env={"env_vars": dict.fromkeys(ONE_THREAD, "1")},
        concurrency_groups={NOTING: 1},
    )
    return made(_Actor)


def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:2]))}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name).partition("+")[0]
    return found


def _check_versions(here: _Whereabouts) -> None:
    """Refuse a node that has other versions than this process.

    Raises:
        InputError: It has.
    """
    own = _versions()
    differ = [
        f"{name} {there} (here {own[name]})"
        for name, there in here.versions.items()
        if own.get(name) != there
    ]
    if differ or own.keys() != here.versions.keys():
        missing = [f"no {name}" for name in own.keys() - here.versions.keys()]
        raise InputError(
            f"the node {here.host} of the Ray cluster has {', '.join([*differ, *missing])}",
            where="engine",
            got="ray",
            fix="Install the same versions on all nodes and start Ray there again.",
        )


def _wait_for(processes: Sequence[int]) -> None:
    """Wait until processes of this machine have ended."""
    until = time.monotonic() + CLOSING_SECONDS
    for process in processes:
        while time.monotonic() < until and Path(f"/proc/{process}").exists():
            time.sleep(0.02)
