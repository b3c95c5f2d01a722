"""The idx form of MNIST and its relatives: a big-endian header and raw numbers, gzipped or not."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from jaxtyping import Shaped

from headrace.errors import InputError

TYPES: dict[int, str] = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The third byte of the file -> NumPy's name of the type."""
_GZIP = b"\x1f\x8b"


MOST_BYTES = 1 << 30
"""The largest content that is read without a header that says how large it is."""
_MOST_RATIO, _FREE_BYTES = 100, 256 << 20
"""A compressed file may be this many times larger than on disk, or this many bytes; images come to 10."""
_CHUNK = 1 << 20
_MOST_AXES = 8


def read_bytes(path: Path) -> bytes:
    """The file's content, uncompressed if it is gzipped, regardless of its name.

    Raises:
        InputError: The file cannot be read, its compressed form is damaged, or the content is too large.
    """
    with _reading(path) as (file, _):
        content = _read(file, MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise InputError(f"the content is larger than {MOST_BYTES:,} bytes", where=str(path))
    return content


@contextmanager
def _reading(path: Path) -> Generator[tuple[BinaryIO, bool]]:
    """The file, to be read uncompressed, and whether it is compressed: its first two bytes say so."""
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == _GZIP
            file.seek(0)
            if not compressed:
                yield file, False
                return
            with gzip.open(file) as unpacked:
                yield cast("BinaryIO", unpacked), True
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"the file cannot be read: {error}", where=str(path), fix="Get it again; it may be truncated."
        ) from error


def _read(file: BinaryIO, most: int) -> bytes:
    """Up to `most` bytes; memory grows with what is there, not with what is asked for."""
    parts: list[bytes] = []
    left = most
    while left and (part := file.read(min(left, _CHUNK))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def read_idx(path: Path | str) -> Shaped[np.ndarray, "examples ..."]:
    """Read one idx file, for example `train-images-idx3-ubyte.gz`: uint8 [examples height width].

    Format: two zero bytes, the type, the number of axes, each axis as a 32-bit big-endian number, then the
    values, row-major (http://yann.lecun.com/exdb/mnist/).

    Raises:
        InputError: Not an idx file, or shorter or longer than its header says; names the file.
    """
    path = Path(path)
    with _reading(path) as (file, compressed):
        kind, shape = _header(file, path)
        start, size = 4 + 4 * len(shape), math.prod(shape) * kind.itemsize
        on_disk = path.stat().st_size
        most = max(_FREE_BYTES, _MOST_RATIO * on_disk) if compressed else on_disk - start
        values = _read(file, size + 1) if size <= most else b""
        got = start + len(values) if compressed and size <= most else on_disk
    if len(values) != size:
        state = "truncated" if len(values) < size else "longer than its header says"
        raise InputError(
            f"{state}: {start + size} bytes are needed for {' x '.join(map(str, shape))} values",
            where=str(path),
            got=f"{got} bytes{' compressed' if compressed and size > most else ''}",
            fix="Get it again.",
        )
    return np.frombuffer(values, dtype=kind).reshape(shape)


def _header(file: BinaryIO, path: Path) -> tuple[np.dtype, tuple[int, ...]]:
    """The type and the axes that the file says it has."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not 1 <= magic[3] <= _MOST_AXES:
        raise InputError(
            "not an idx file: its magic number is wrong",
            where=str(path),
            got=magic.hex(),
            fix="Get it again; a web page may have been saved under this name.",
        )
    axes = magic[3]
    raw = file.read(4 * axes)
    if len(raw) < 4 * axes:
        raise InputError(
            f"truncated in the header of {axes} axes", where=str(path), got=f"{4 + len(raw)} bytes"
        )
    return np.dtype(TYPES[magic[2]]), struct.unpack(f">{axes}I", raw)
