"""One writer at a time: an exclusive lock on an experiment's folder, released even by kill -9."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from headrace.errors import BusyError

NAME = "lock"
"""The lock file's name in the folder; it stays there, empty of meaning, when nobody holds the lock."""


@contextmanager
def exclusive(directory: Path) -> Generator[None]:
    """Hold the folder's lock within the block.

    Raises:
        BusyError: Another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / NAME).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise BusyError(
                f"is in use by process {file.read().strip() or 'unknown'}",
                where=str(directory),
                fix="Wait until it ends, or choose another folder.",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
