"""The one writer of files: each is there completely, or not at all, and only where it was meant to be.

A file is written under a temporary name in its own folder, flushed to the disk, renamed into place, and
the folder is flushed too: after a kill or a power loss there is the old file or the new one. The temporary
name cannot be guessed and is opened exclusively, and a link at the file's own name is replaced, never
followed. Within `guarded`, nothing leaves the guarded folder either.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from headrace.errors import HeadraceError

_LEFTOVER = re.compile(r"\..*\.[0-9a-f]{32}\.partial|\..+\.(parquet|json|toml|html|safetensors)\.partial")
"""Temporary files of this writer, and of the one before it."""

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
_GONE = (errno.ENOENT, errno.ESTALE, errno.ENOTCONN, errno.ENODEV)
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP)
"""The answers of file systems that cannot flush a folder."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

Identity = tuple[int, int]
"""Of a folder: its device and its number there."""

_guards: dict[Path, Identity] = {}


class StorageError(HeadraceError):
    """A file could not be written; what was written before is safe."""


@contextmanager
def guarded(folder: str | Path, *, make: bool = False) -> Generator[None]:
    """Keep all writing below `folder` in this very folder within the block.

    If the folder is removed, renamed, unmounted or replaced by another, writing below its old name is an
    error and makes nothing; and so is writing through a link below it, which a folder received from
    someone else may hold.

    Args:
        folder: An existing folder, or a link to one.
        make: Make it if it is missing.

    Raises:
        StorageError: The folder cannot be opened or made.
    """
    path = _absolute(Path(folder))
    if path in _guards:
        yield
        return
    with storing(path):
        if make:
            path.mkdir(parents=True, exist_ok=True)
        # Open until the end, so that no other folder can be given the same identity.
        descriptor = os.open(path, _FOLDER)
    try:
        with guarding({path: _identity(descriptor)}):
            yield
    finally:
        os.close(descriptor)


def guards() -> dict[Path, Identity]:
    """The guarded folders of this process, for the processes that write on its behalf."""
    return dict(_guards)


@contextmanager
def guarding(folders: Mapping[Path, Identity]) -> Generator[None]:
    """Guard within the block what `guards` named in another process of this machine."""
    added = folders.keys() - _guards.keys()
    _guards.update({path: folders[path] for path in added})
    try:
        yield
    finally:
        for path in added:
            del _guards[path]


@contextmanager
def storing(path: str | Path) -> Generator[None]:
    """Say of an error of the operating system within the block that a file or folder could not be written.

    Raises:
        StorageError: There was one.
    """
    try:
        yield
    except OSError as error:
        raise _explained(Path(path), error) from error


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file completely or not at all; missing folders are made.

    Args:
        path: The file; a former one is replaced at once.
        content: All of it.

    Raises:
        StorageError: The disk is full or read-only, the guarded folder is gone, a link leads out of it, or
            the file cannot be written for another reason.
    """
    with writing(path) as file:
        file.write(content)


@contextmanager
def writing(path: str | Path) -> Generator[BinaryIO]:
    """Like `write_whole`, piece by piece; an error within the block keeps the former file.

    Raises:
        StorageError: As `write_whole`.
    """
    path = Path(path)
    beside = f".{path.name[:100]}.{secrets.token_hex(16)}.partial"
    with storing(path), _opened(path.parent) as folder:
        try:
            with _created(beside, folder) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.rename(beside, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside, dir_fd=folder)
            raise
        _flush(folder)


def remove(path: str | Path) -> None:
    """Remove a file if it is there, never through a link within a guarded folder.

    Raises:
        StorageError: It cannot be removed.
    """
    path = Path(path)
    if not path.parent.exists():
        return
    with storing(path), _opened(path.parent) as folder, suppress(FileNotFoundError):
        os.unlink(path.name, dir_fd=folder)


def rename(path: str | Path, name: str) -> None:
    """Give a file of this writer another name in its folder, at once; a file of that name is replaced.

    Raises:
        StorageError: It cannot be renamed.
    """
    path = Path(path)
    with storing(path), _opened(path.parent) as folder:
        os.rename(path.name, name, src_dir_fd=folder, dst_dir_fd=folder)
        _flush(folder)


def clean(folder: Path) -> None:
    """Remove what killed writers left in a folder and below it; only for its single writer."""
    for place, _, names in os.walk(folder):
        for name in names:
            if _LEFTOVER.fullmatch(name):
                remove(Path(place, name))


def _created(name: str, folder: int) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(name, flags, 0o666, dir_fd=folder), "w+b")


@contextmanager
def _opened(folder: Path) -> Generator[int]:
    """A folder as a descriptor, with its missing parts made; below a guarded one, without following links."""
    folder = _absolute(folder)
    base = _guard_of(folder)
    if base is None:
        base = next(place for place in (folder, *folder.parents) if place.exists())
    descriptor = os.open(base, _FOLDER)
    try:
        _check_guard(base, descriptor)
        for name in folder.relative_to(base).parts:
            inner = _entered(name, descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _entered(name: str, folder: int) -> int:
    """The descriptor of a folder within another; it is made if it is missing."""
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
        _flush(folder)
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)


def _guard_of(folder: Path) -> Path | None:
    """The outermost guarded folder that holds it."""
    return next((place for place in reversed((folder, *folder.parents)) if place in _guards), None)


def _check_guard(base: Path, descriptor: int) -> None:
    identity = _identity(descriptor)
    if _guards.get(base, identity) != identity:
        raise FileNotFoundError(errno.ENOENT, "another folder has taken its place", str(base))


def _identity(descriptor: int) -> Identity:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def _flush(folder: int) -> None:
    """Flush the names in a folder to the disk."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  (without following links, unlike Path.resolve)


def _explained(path: Path, error: OSError) -> StorageError:
    base = _guard_of(_absolute(path))
    if error.errno in _FULL:
        what, fix = _FULL[error.errno], "Make room and run again"
    elif error.errno == errno.EROFS:
        what, fix = "the disk is read-only", "Make it writable, or choose another folder, and run again"
    elif base is not None and error.errno in _GONE:
        path, what = base, "the folder was removed, renamed or unmounted while it was in use"
        fix = "Bring it back and run again"
    elif base is not None and (link := _link_within(base, path)) is not None:
        path, what = link, "is a link, and nothing is written through links within a folder"
        fix = "Replace it by a real folder and run again"
    else:
        what, fix = f"cannot be written ({error.strerror or error})", "Fix the cause and run again"
    return StorageError(f"{path}: {what}. {fix}: everything stored before is safe and is not repeated.")


def _link_within(base: Path, path: Path) -> Path | None:
    """The outermost link between a guarded folder and a file in it."""
    between = [place for place in _absolute(path).parents if place.is_relative_to(base) and place != base]
    return next((place for place in reversed(between) if place.is_symlink()), None)
