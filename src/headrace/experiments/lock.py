"""One writer at a time: an exclusive lock on an experiment's folder, released even by kill -9."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from headrace.errors import BusyError, InputError

NAME = "lock"
"""The lock file's name in the folder; it stays there, empty of meaning, when nobody holds the lock."""


_TRIES = 5
"""Looking whether a folder is in use holds the lock for an instant: one refusal says nothing."""


def holder(directory: Path) -> str | None:
    """The process that runs the experiment in a folder, or None."""
    try:
        with (directory / NAME).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "unknown"
    except OSError:
        return None
    return None


@contextmanager
def exclusive(directory: Path) -> Generator[None]:
    """Hold the folder's lock within the block.

    Raises:
        BusyError: Another process holds it.
        InputError: A file stands in its place.
    """
    for place in (directory, *directory.parents):
        if place.is_file():
            raise InputError(
                "is a file, where a folder is needed", where=str(place), fix="Choose another name."
            )
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / NAME).open("a+") as file:
        if not _taken(file):
            file.seek(0)
            raise BusyError(
                f"is in use by process {file.read().strip() or 'unknown'}",
                where=str(directory),
                fix="Wait until it ends, or choose another folder.",
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _taken(file: TextIO) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False
