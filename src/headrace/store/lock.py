"""One writer at a time: an exclusive lock on an experiment's folder, released even by kill -9."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from headrace.errors import BusyError, InputError
from headrace.files import clean, guarded

NAME = "lock"
"""The lock file's name in the folder; it stays there, empty of meaning, when nobody holds the lock."""


_TRIES = 5
"""Checking whether a folder is in use holds the lock for an instant: one refusal proves nothing."""


def holder(directory: Path) -> str | None:
    """The process that runs the experiment in a folder, or None."""
    try:
        with _opened(directory, os.O_RDONLY) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _process(file) or "unknown"
    except OSError:
        return None
    return None


@contextmanager
def exclusive(directory: Path) -> Generator[None]:
    """Hold the folder's lock within the block, and guard the folder; leftovers of killed writers are removed.

    Raises:
        BusyError: Another process holds it.
        InputError: A file has the folder's name, or something else has the lock's.
        StorageError: The folder cannot be made or written.
    """
    for place in (directory, *directory.parents):
        if place.is_file():
            raise InputError(
                "is a file, but a folder is needed", where=str(place), fix="Choose another name."
            )
    with guarded(directory, make=True):
        try:
            file = _opened(directory, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise _no_lock(directory) from None
            raise
        with file:
            if not _taken(file):
                raise BusyError(
                    f"is in use by process {_process(file) or 'unknown'}",
                    where=str(directory),
                    fix="Wait until it ends, or choose another folder.",
                )
            if _process(file) is None:
                raise _no_lock(directory)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            clean(directory)
            yield


def _opened(directory: Path, flags: int) -> TextIO:
    """The lock file, never through a link, because a link could lead to any of the user's files."""
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(directory / NAME, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ENXIO, "not a file")
    return os.fdopen(descriptor, "r+" if flags & os.O_RDWR else "r", errors="replace")


def _process(file: TextIO) -> str | None:
    """The process number in a lock file, perhaps empty; None if the file holds something else."""
    file.seek(0)
    content = file.read(32).strip()
    file.seek(0)
    return content if content.isdecimal() or not content else None


def _no_lock(directory: Path) -> InputError:
    return InputError(
        "is not a lock file of Headrace and is left alone",
        where=str(directory / NAME),
        fix="Remove it, or choose another folder.",
    )


def _taken(file: TextIO) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False
