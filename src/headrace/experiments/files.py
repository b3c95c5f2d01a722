"""Writing whole files: a file is there completely, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from headrace.errors import HeadraceError


class StorageError(HeadraceError):
    """A file could not be written; what was written before is safe."""


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` beside `path`, flush it to the disk, and rename it into place.

    Raises:
        StorageError: The disk is full, or the file cannot be written for another reason.
    """
    beside = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        _remove_quietly(beside)
        raise _storage_error(path, error) from error


def _remove_quietly(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def _storage_error(path: Path, error: OSError) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what, fix = "the disk is full", "Make room and run again"
    else:
        what, fix = f"cannot be written ({error.strerror or error})", "Mend that and run again"
    return StorageError(f"{path}: {what}. {fix}: every trial stored before is safe and will not be repeated.")
