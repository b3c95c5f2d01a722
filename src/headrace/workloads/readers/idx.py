"""The idx form of MNIST and its relatives: a big-endian header and raw numbers, gzipped or not."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from headrace.errors import InputError

TYPES: dict[int, str] = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The third byte of the file -> NumPy's name of the type."""


def read_bytes(path: Path) -> bytes:
    """The file's content, uncompressed where the name ends in `.gz`.

    Raises:
        InputError: The file cannot be read, or its compressed form is damaged.
    """
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"the file cannot be read: {error}", where=str(path), fix="Get it again; it may be truncated."
        ) from error


def read_idx(path: Path | str) -> Shaped[np.ndarray, "examples ..."]:
    """Read one idx file, for example `train-images-idx3-ubyte.gz`: uint8 [examples height width].

    Format: two zero bytes, the type, the number of axes, each axis as a 32-bit big-endian number, then the
    values, row-major (http://yann.lecun.com/exdb/mnist/).

    Raises:
        InputError: Not an idx file, or shorter or longer than its header says; names the file.
    """
    path = Path(path)
    raw = read_bytes(path)
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in TYPES:
        raise InputError("not an idx file: its magic number is wrong", where=str(path), got=raw[:4].hex())
    kind, axes = np.dtype(TYPES[raw[2]]), raw[3]
    start = 4 + 4 * axes
    if len(raw) < start:
        raise InputError(f"truncated in the header of {axes} axes", where=str(path), got=f"{len(raw)} bytes")
    shape = struct.unpack(f">{axes}I", raw[4:start])
    needed = start + math.prod(shape) * kind.itemsize
    if len(raw) != needed:
        state = "truncated" if len(raw) < needed else "longer than its header says"
        raise InputError(
            f"{state}: {needed} bytes are needed for {' x '.join(map(str, shape))} values",
            where=str(path),
            got=f"{len(raw)} bytes",
            fix="Get it again.",
        )
    return np.frombuffer(raw, dtype=kind, offset=start).reshape(shape)
