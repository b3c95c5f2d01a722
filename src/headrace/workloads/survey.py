"""Which data sets are found where, and whether their files are sound."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headrace.errors import InputError
from headrace.workloads.locations import DATA_SETS, DataSet, file_in, find, places


@dataclass(frozen=True, kw_only=True)
class Place:
    """What was found of one data set.

    Args:
        name: The data set.
        path: The folder, or None.
        looked_at: Every folder looked at, in order.
        verdict: In a few words: missing, found, or how the check went.
        how_to_get: Commands, for the user.
        sound: Whether the check passed; None where nothing was checked.
    """

    name: str
    path: str | None
    looked_at: tuple[str, ...]
    verdict: str
    how_to_get: str
    sound: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)


def survey(*, check: bool = False) -> list[Place]:
    """What was found of every data set.

    Args:
        check: Also read what was found and hold it against the known checksums.
    """
    return [_look(name, check=check) for name in DATA_SETS]


def _look(name: str, *, check: bool) -> Place:
    found = find(name)
    sound: bool | None = None
    verdict = "missing" if found is None else "found"
    if found is not None and check:
        sound, verdict = _check(DATA_SETS[name], found)
    return Place(
        name=name,
        path=str(found) if found else None,
        looked_at=tuple(map(str, places(name))),
        verdict=verdict,
        how_to_get=DATA_SETS[name].how_to_get,
        sound=sound,
    )


def _check(data: DataSet, folder: Path) -> tuple[bool | None, str]:
    """Whether the files are sound (None where that cannot be known), and the verdict in words."""
    if not data.md5:
        return _read_whole(_READERS[data.name], folder)
    from headrace.workloads.readers.idx import read_bytes

    for name, expected in data.md5.items():
        path = file_in(folder, name)
        if path is None:
            return False, f"{name} is missing"
        try:
            digest = hashlib.md5(read_bytes(path), usedforsecurity=False).hexdigest()
        except InputError as error:
            return False, str(error)
        if digest != expected:
            return False, f"{path.name} differs: MD5 {digest}, not {expected}"
    return True, f"{len(data.md5)} of {len(data.md5)} checksums are right"


def _read_whole(read: Callable[[Path], int], folder: Path) -> tuple[bool | None, str]:
    try:
        return True, f"readable, {read(folder):,} examples; no checksums are published"
    except InputError as error:
        return False, str(error)


def _count_cifar10(folder: Path) -> int:
    from headrace.workloads.cifar10 import read_cifar10

    return sum(len(part) for part in read_cifar10(folder))


_READERS: dict[str, Callable[[Path], int]] = {"cifar-10": _count_cifar10}
"""Data sets without published checksums -> reads all of it and counts the examples."""
