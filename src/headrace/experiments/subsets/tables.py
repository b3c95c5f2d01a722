"""Tables that a job leaves in the folder: Parquet with a checksum, whole and unaltered or refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headrace.errors import DamagedError
from headrace.experiments.files import write_whole

if TYPE_CHECKING:
    import polars as pl

_SUM = "sha256"


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(columns: Mapping[str, np.ndarray]) -> str:
    """A SHA-256 of names, types and values; one NaN is like another."""
    found = hashlib.sha256()
    for name, values in columns.items():
        plain = np.where(np.isnan(values), np.nan, values) if values.dtype.kind == "f" else values
        found.update(f"{name}:{values.dtype}:".encode() + np.ascontiguousarray(plain).tobytes())
    return found.hexdigest()


def write_sealed(path: Path, columns: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write the columns, with `metadata` and a checksum of both, whole and renamed into place.

    Raises:
        StorageError: It cannot be written.
    """
    import polars as pl

    buffer = BytesIO()
    sealed = {**metadata, _SUM: _sum(columns, metadata)}
    pl.DataFrame(dict(columns)).write_parquet(buffer, metadata=sealed)
    write_whole(path, buffer.getvalue())


def read_sealed(path: Path, what: str) -> tuple[pl.DataFrame, dict[str, str]]:
    """What `write_sealed` wrote, and its metadata.

    Args:
        path: The file.
        what: It holds, for the message.

    Raises:
        DamagedError: It is truncated or was altered.
    """
    frame, metadata = parquet(path, what, "Delete it and run again: only what it held is done again.")
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


def damaged(path: Path, what: str) -> DamagedError:
    """The error for a file of the folder that can be made again."""
    fix = "Delete it and run again: only what it held is done again."
    return DamagedError(f"{what} are truncated or were altered", where=str(path), fix=fix)


def _sum(columns: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    return hashlib.sha256(f"{digest(columns)}{sorted(metadata.items())}".encode()).hexdigest()
