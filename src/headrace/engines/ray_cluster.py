"""Ray itself: importing it when it is asked for, and connecting to a cluster."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from socket import create_connection
from typing import Any

from headrace.errors import InputError

ADDRESS = "RAY_ADDRESS"
"""The environment variable with the address of a running cluster; Ray's own."""
GPUS = "HEADRACE_RAY_GPUS"
"""The environment variable with the share of a GPU that each worker takes."""
TYPICAL_GPUS = 0.25
REACHING_SECONDS = 10.0
"""How long a cluster may take to answer."""


def ray() -> Any:
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
                fix="Install it, in the folder of Headrace's source: pip install '.[ray]'.",
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


class Connection:
    """What this process has done.

    Attributes:
        started: Whether it started the cluster that it is connected to.
    """

    started = False


def connect(workers: int | None) -> None:
    """Connect to the cluster that `RAY_ADDRESS` names or that `ray start` made here, or start one.

    Args:
        workers: How many CPUs a new one has; None for those of this machine.

    Raises:
        InputError: The cluster cannot be reached.
    """
    found = ray()
    if found.is_initialized():
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    named, running = os.environ.get(ADDRESS), _running()
    for address in filter(None, (named, running)):
        try:
            _check_reachable(address)
            found.init(address=address, **quiet)
            return
        except (OSError, RuntimeError, ValueError) as error:
            if address == named:
                raise InputError(
                    f"the Ray cluster cannot be reached ({str(error).splitlines()[0]})",
                    where=ADDRESS,
                    got=named,
                    fix="Start it with `ray start --head`; without the variable one is started here.",
                ) from None
    found.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
    Connection.started = True


def _check_reachable(address: str) -> None:
    """Try the port of an address: Ray itself would try for minutes.

    Raises:
        OSError: Nobody answers there.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        create_connection((host, int(port)), timeout=REACHING_SECONDS).close()


def _running() -> str | None:
    """The address of the cluster that `ray start` started on this machine; it may have ended since.

    A cluster that another run has started for itself is left alone, because it ends with that run.
    """
    file = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
    return file.read_text().strip() or None if file.is_file() else None


def gpus() -> float:
    """The share of a GPU that each worker takes; 0 in a cluster without GPUs."""
    given = os.environ.get(GPUS)
    if given is None:
        return TYPICAL_GPUS if ray().cluster_resources().get("GPU", 0) else 0.0
    try:
        share = float(given)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 8:
        fix = "For example 0.25 for four workers per GPU; 0 to train on CPUs."
        raise InputError("must be a number from 0 to 8", where=GPUS, got=given, fix=fix)
    return share
