"""What a worker of a Ray cluster is: a place, a bench, and the thread that notes published numbers."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from headrace.engines._base import Handle, Job, Make
from headrace.engines.processes import ONE_THREAD, sendable
from headrace.engines.ray_cluster import gpus, ray
from headrace.errors import InputError

MOST_FILES = 32
"""How many shared files a worker keeps in memory."""
NOTING = "noting"
"""The group of calls that have a thread of their own."""
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
                file.write(ray().get(handle.reference))
            self.files[key] = descriptor
        return Path(f"/proc/self/fd/{self.files[key]}")

    def agree(self, error: str, where: str) -> None:
        """Nobody else does the job."""


@dataclass(frozen=True, kw_only=True)
class Raised:
    """In place of a result."""

    error: Exception


@dataclass(frozen=True, kw_only=True)
class Whereabouts:
    """Where an actor is, and what is installed there."""

    node: str
    host: str
    process: int
    versions: dict[str, str]


class Actor:
    """What a worker does; made into an actor by `_remote`."""

    def __init__(self, rank: int, workers: int, published: Sequence[int]) -> None:
        self._place = RayPlace(rank=rank, workers=workers, published=list(published))
        self._bench: Any = None
        self._error: Exception | None = None

    def here(self) -> Whereabouts:
        """Where it is."""
        node = ray().get_runtime_context().get_node_id()
        return Whereabouts(node=node, host=os.uname().nodename, process=os.getpid(), versions=versions())

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
            return Raised(error=self._error)
        try:
            return job.do(self._bench)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (raised again by the engine)
            return Raised(error=sendable(error))

    def note(self, number: int, value: int) -> None:
        """Note a published number; in a thread of its own, while a job runs."""
        self._place.published[number] = value


def remote() -> Any:
    """The class of actors: one thread does jobs, another one notes published numbers."""
    made: Any = ray().remote(
        num_cpus=1,
        num_gpus=gpus(),
        max_restarts=0,
        runtime_env={"env_vars": dict.fromkeys(ONE_THREAD, "1")},
        concurrency_groups={NOTING: 1},
    )
    return made(Actor)


def versions() -> dict[str, str]:
    """What is installed here, as far as results depend on it."""
    found = {"python": ".".join(map(str, sys.version_info[:2]))}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name).partition("+")[0]
    return found


def check_versions(here: Whereabouts) -> None:
    """Refuse a node that has other versions than this process.

    Raises:
        InputError: It has.
    """
    own = versions()
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
