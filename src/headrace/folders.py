"""Making a folder whole: it is written under a temporary name, and renamed when everything is there."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from headrace.errors import InputError
from headrace.files import StorageError


@contextmanager
def making(directory: str | Path) -> Generator[Path]:
    """A new folder to write into; it gets its name at the end of the block; an error leaves nothing of it.

    Args:
        directory: The folder to make; it must not exist, or be empty. Missing parents are made, and
            removed again after an error.

    Yields:
        The folder under its temporary name.

    Raises:
        InputError: Something with this name exists.
        StorageError: The folder cannot be made or renamed.
    """
    place = Path(os.path.realpath(directory))
    _check_free(place, str(directory))
    missing = [parent for parent in place.parents if not parent.exists()]
    beside = place.with_name(f".{place.name[:100]}.{secrets.token_hex(16)}.partial")
    try:
        with _explained(directory):
            beside.mkdir(parents=True)
            yield beside
            beside.rename(place)
            _flush(place.parent)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        raise


@contextmanager
def _explained(directory: str | Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{directory}: the folder cannot be made ({error.strerror or error}).") from error


def _flush(folder: Path) -> None:
    """Flush the names in a folder to the disk, if the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_free(place: Path, shown: str) -> None:
    try:
        taken = os.path.lexists(place) and not (place.is_dir() and not any(place.iterdir()))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", where=shown, fix="Choose another folder.") from None
    if taken:
        raise InputError("already exists and is not an empty folder", where=shown, fix="Choose another name.")
