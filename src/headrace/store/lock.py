"""One writer at a time: an exclusive lock on an experiment's folder, released even by kill -9.

The kernel holds the lock. On a file system that machines share, it holds between them if the file system
passes locks on. If that is not known, a folder whose lock names another machine is not taken, and the error
says why.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from socket import gethostname

from headrace.errors import BusyError, InputError
from headrace.files import clean, guarded, storing
from headrace.store.mounts import unshared_locks

NAME = "lock"
"""The lock file's name in the folder; it stays there, empty of meaning, when nobody holds the lock."""


_TRIES = 5
"""Checking whether a folder is in use holds the lock for an instant: one refusal proves nothing."""
_LONGEST = 300
_CONTENT = re.compile(r"(?P<process>\d+)(?: (?P<host>[\w.-]{1,255}))?", re.ASCII)
_TORN = re.compile(r"[\0\w. -]*\0[\0\w. -]*", re.ASCII)
"""After a power loss a file may hold zeros where its content had not reached the disk."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""The answers of file systems that have no locks."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a folder.

    Attributes:
        process: The process's number; empty if it is not known.
        host: Its machine; None in a file of an older version.
    """

    process: str
    host: str | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether it is known to be on another machine."""
        return self.host not in (None, host())

    def __str__(self) -> str:
        where = f" on {self.host}" if self.elsewhere else ""
        return f"{self.process or 'unknown'}{where}"


def host() -> str:
    """This machine's name, as the lock file holds it."""
    return re.sub(r"[^\w.-]", "-", gethostname(), flags=re.ASCII)[:255] or "unnamed"


def holder(directory: Path) -> str | None:
    """The process that runs the experiment in a folder, with its machine if that is another; or None."""
    try:
        with _opened(directory, os.O_RDONLY) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return str(_holder(file) or "unknown")
    except (OSError, InputError):
        return None
    return None


@contextmanager
def exclusive(directory: Path) -> Generator[None]:
    """Hold the folder's lock within the block, and guard the folder; leftovers of killed writers are removed.

    Raises:
        BusyError: Another process holds it, or it cannot be checked whether one on another machine does.
        InputError: A file has the folder's name, or something else has the lock's.
        StorageError: The folder cannot be made or written.
    """
    for place in (directory, *directory.parents):
        if place.is_file():
            raise InputError(
                "is a file, but a folder is needed", where=str(place), fix="Choose another name."
            )
    with guarded(directory, make=True), _held(directory):
        clean(directory)
        yield


@contextmanager
def _held(directory: Path) -> Generator[None]:
    with storing(directory / NAME):
        file = _opened(directory, os.O_RDWR | os.O_CREAT)
    with file:
        with storing(directory / NAME):
            _take(file, directory)
        try:
            yield
        finally:
            # The name of a process that was killed stays: see `_take`.
            with suppress(OSError):
                os.ftruncate(file.fileno(), 0)


def _take(file: FileIO, directory: Path) -> None:
    """Make the open lock file ours."""
    unshared = unshared_locks(directory)
    try:
        taken = _taken(file)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        taken, unshared = True, "this file system has no locks"
    there = _holder(file)
    if not taken:
        raise BusyError(
            f"is in use by process {there or 'unknown'}",
            where=str(directory),
            fix="Wait until it ends, or choose another folder.",
        )
    if there is None:
        raise _no_lock(directory)
    if unshared and there.elsewhere:
        raise BusyError(
            f"was last used by process {there}, and whether that still runs cannot be checked from here, "
            f"because {unshared}",
            where=str(directory),
            fix=f"If it has ended, remove {directory / NAME} and give the command again.",
        )
    os.ftruncate(file.fileno(), 0)
    os.pwrite(file.fileno(), f"{os.getpid()} {host()}".encode(), 0)


def _opened(directory: Path, flags: int) -> FileIO:
    """The lock file, never through a link, because a link could lead to any of the user's files."""
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = FileIO(os.open(directory / NAME, flags, 0o666), "r+" if flags & os.O_RDWR else "r")
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _no_lock(directory) from None
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _no_lock(directory)
    return file


def _holder(file: FileIO) -> Holder | None:
    """Whom a lock file names, perhaps nobody; None if the file holds something else."""
    content = os.pread(file.fileno(), _LONGEST, 0).decode(errors="replace").strip()
    if not content or _TORN.fullmatch(content):
        return Holder(process="")
    match = _CONTENT.fullmatch(content)
    return None if match is None else Holder(process=match["process"], host=match["host"])


def _no_lock(directory: Path) -> InputError:
    return InputError(
        "is not a lock file of Headrace and is left alone",
        where=str(directory / NAME),
        fix="Remove it, or choose another folder.",
    )


def _taken(file: FileIO) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False
