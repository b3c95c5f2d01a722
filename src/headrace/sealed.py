"""Sealed files: what decides a result carries a checksum over all of itself, so that a change is found.

JSON keeps its checksum in its first line and stays JSON; a Parquet table keeps it in its metadata, over the
columns and the rest of the metadata.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import DamagedError
from headrace.files import write_whole

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

_SUM = "sha256"
_HEAD = b'{"sha256":"'
_TRACE = re.compile(rb'\s*\{\s*"[^"]{0,8}"\s*:\s*"[^"]{60,}"')
"""A seal, whole or altered: no file from before it begins so."""


def sealed(body: bytes) -> bytes:
    """A JSON object with the checksum of all that follows as its first line and first key.

    Args:
        body: A JSON object with at least one key, in any layout.
    """
    rest = body.removeprefix(b"{")
    return _HEAD + hashlib.sha256(rest).hexdigest().encode() + b'",\n' + rest


def unsealed(path: Path, *, older: bool = False) -> bytes:
    """The JSON object in a file that `sealed` made, without the checksum.

    Args:
        path: The file.
        older: Return a file that never had a seal as it is: files of this kind were once written without.

    Raises:
        ValueError: The file is truncated or was altered.
        OSError: It cannot be read.
    """
    content = path.read_bytes()
    rest = content.partition(b"\n")[2]
    if sealed(b"{" + rest) == content:
        return b"{" + rest
    if older and not _TRACE.match(content):
        with suppress(RecursionError):
            json.loads(content)
            return content
    raise ValueError("the checksum does not fit")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(columns: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of names, types and values; one NaN is like another."""
    import numpy as np

    found = hashlib.sha256()
    for name, values in columns.items():
        plain = np.where(np.isnan(values), np.nan, values) if values.dtype.kind == "f" else values
        found.update(f"{name}:{values.dtype}:".encode() + np.ascontiguousarray(plain).tobytes())
    return found.hexdigest()


def write_table(path: Path, columns: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write the columns as Parquet, with `metadata` and a checksum of both.

    Args:
        path: The file.
        columns: Name -> values [rows].
        metadata: Plain text by name.

    Raises:
        StorageError: It cannot be written.
    """
    import polars as pl

    buffer = BytesIO()
    with_sum = {**metadata, _SUM: _sum(columns, metadata)}
    pl.DataFrame(dict(columns)).write_parquet(buffer, metadata=with_sum)
    write_whole(path, buffer.getvalue())


def read_table(path: Path, what: str) -> tuple[pl.DataFrame, dict[str, str]]:
    """What `write_table` wrote, and its metadata.

    Args:
        path: The file.
        what: It holds, in the plural, for the message.

    Raises:
        DamagedError: It is truncated or was altered.
    """
    frame, metadata = parquet(path, what, _REPEATED)
    plain = {key: value for key, value in metadata.items() if key not in (_SUM, "ARROW:schema")}
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    if metadata.get(_SUM) != _sum(columns, plain):
        raise damaged(path, what)
    return frame, plain


def parquet(path: Path, what: str, fix: str) -> tuple[pl.DataFrame, dict[str, str]]:
    """Any Parquet file and its metadata.

    Raises:
        DamagedError: It cannot be read.
    """
    import polars as pl

    content = path.read_bytes()
    try:
        return pl.read_parquet(BytesIO(content)), pl.read_parquet_metadata(BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise DamagedError(
            f"{what} cannot be read ({type(error).__name__})", where=str(path), fix=fix
        ) from None


_REPEATED = "Delete it and run again: only what it held is done again."


def damaged(path: Path, what: str) -> DamagedError:
    """The error for a file of the folder that can be made again."""
    return DamagedError(f"{what} are truncated or were altered", where=str(path), fix=_REPEATED)


def _sum(columns: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    return hashlib.sha256(f"{digest(columns)}{sorted(metadata.items())}".encode()).hexdigest()
