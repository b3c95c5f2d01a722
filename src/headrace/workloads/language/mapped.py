"""Files of numbers that are mapped into memory: opened at once however large, read where they are used."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Int64

from headrace.errors import InputError


def map_numbers(path: Path, dtype: np.dtype[Any], offset: int = 0) -> tuple[np.ndarray, Callable[[], None]]:
    """The numbers of a file from byte `offset` on, and what gives the memory that they take back.

    Args:
        path: The file.
        dtype: The type of the numbers; little-endian.
        offset: The length of a header.

    Raises:
        InputError: The file cannot be read, is empty, or ends within a number.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size <= offset:
                raise InputError("the file holds no tokens", where=str(path), got=f"{size} bytes")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise InputError(f"the file cannot be read: {error}", where=str(path)) from error
    rest = (size - offset) % dtype.itemsize
    if rest:
        raise InputError(
            f"the file ends within a token: a token of type {dtype.name} takes {dtype.itemsize} bytes",
            where=f"{path}, byte {size - rest:,}",
            got=f"{size:,} bytes",
            fix="Write it again, or give the type of its numbers by dtype=.",
        )
    if hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_RANDOM)
    return np.frombuffer(mapped, dtype.newbyteorder("<"), offset=offset), _releases(mapped)


def _releases(mapped: mmap.mmap) -> Callable[[], None]:
    def release() -> None:
        if hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_DONTNEED)

    return release


class Chunked:
    """Several arrays read as one, without a copy of any.

    Args:
        chunks: Arrays [tokens of each] of one type; at least one.
    """

    def __init__(self, chunks: Sequence[np.ndarray]) -> None:
        self._chunks = [chunk for chunk in chunks if len(chunk)] or list(chunks[:1])
        self._ends = np.cumsum([len(chunk) for chunk in self._chunks])
        self.dtype: np.dtype[Any] = self._chunks[0].dtype
        self.nbytes = sum(chunk.nbytes for chunk in self._chunks)

    def __len__(self) -> int:
        """The numbers in all of them."""
        return int(self._ends[-1])

    def __getitem__(self, places: Int64[np.ndarray, ...] | slice | SupportsIndex) -> Any:
        """The numbers at these places, or of a slice."""
        if isinstance(places, slice):
            places = np.arange(*places.indices(len(self)))
        elif not isinstance(places, np.ndarray):
            return self[np.array([int(places)])][0]
        of = np.searchsorted(self._ends, places, side="right")
        found = np.empty(places.shape, dtype=self.dtype)
        for number in np.unique(of):
            here, chunk = of == number, self._chunks[int(number)]
            found[here] = chunk[places[here] - (self._ends[number] - len(chunk))]
        return found
