"""Sealed tables: Parquet files with a checksum of their bytes, and one of their values, in their metadata.

`write_table` and `read_table` are for tables that Headrace alone knows, `parquet_content` and `parquet` for
those whose metadata another module lays out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import DamagedError, InputError
from headrace.files import write_whole
from headrace.parquet_size import decoded_bytes

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

LARGEST, MOST_TIMES = 1 << 27, 64
"""A table is read if it decodes to at most this many bytes, or to that many times those of its file."""
_SUM, _OF = "sha256", "of"
_BYTES, _STAMP = "headrace.bytes", b"sha256 of the bytes: "


def digest(columns: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of names, types and values (numbers, or texts as objects); one NaN is like another."""
    import numpy as np

    found = hashlib.sha256()
    for name, values in columns.items():
        found.update(f"{name}:{values.dtype}:".encode())
        if values.dtype.kind == "O":
            found.update(json.dumps(values.tolist()).encode())
            continue
        plain = np.where(np.isnan(values), np.nan, values) if values.dtype.kind == "f" else values
        found.update(np.ascontiguousarray(plain).tobytes())
    return found.hexdigest()


def write_table(path: Path, columns: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write the columns as Parquet, with `metadata`, which table of the folder it is, and a checksum of all.

    Args:
        path: The file.
        columns: Name -> values [rows].
        metadata: Plain text by name.

    Raises:
        StorageError: It cannot be written.
    """
    import polars as pl

    told = {**metadata, _OF: _which(path)}
    with_sum = {**told, _SUM: _sum(columns, told)}
    write_whole(path, parquet_content(pl.DataFrame(dict(columns)), with_sum))


def _which(path: Path) -> str:
    """Which table of a folder this is: its name, and that of its folder. So none is mistaken for another."""
    return f"{path.parent.name}/{path.stem}"


def plain_parquet(columns: pl.DataFrame | Mapping[str, np.ndarray]) -> bytes:
    """A table as the content of a Parquet file whose checksum is in a record, see `sealed.write_pair`."""
    import polars as pl

    buffer = BytesIO()
    frame = columns if isinstance(columns, pl.DataFrame) else pl.DataFrame(dict(columns))
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def parquet_content(frame: pl.DataFrame, metadata: Mapping[str, str]) -> bytes:
    """A table as the content of a Parquet file that carries the checksum of its own bytes.

    Altered bytes must be found before any of them is decoded: some end the process that decodes them. The
    checksum is that of the content with zeros in its place.

    Args:
        frame: The table.
        metadata: Plain text by name.
    """
    buffer = BytesIO()
    frame.write_parquet(buffer, metadata={**metadata, _BYTES: _STAMP.decode() + "0" * 64})
    content = buffer.getvalue()
    place = content.rindex(_STAMP) + len(_STAMP)
    return content[:place] + hashlib.sha256(content).hexdigest().encode() + content[place + 64 :]


def _check_bytes(content: bytes) -> None:
    """Check the checksum of the bytes, if there is one: older files have none.

    Raises:
        ValueError: It does not match.
    """
    place = content.rfind(_STAMP) + len(_STAMP)
    if place < len(_STAMP):
        return
    plain = content[:place] + b"0" * 64 + content[place + 64 :]
    if content[place : place + 64] != hashlib.sha256(plain).hexdigest().encode():
        raise ValueError("the checksum does not match")


def read_table(path: Path, what: str) -> tuple[pl.DataFrame, dict[str, str]]:
    """What `write_table` wrote, and its metadata.

    Args:
        path: The file.
        what: It holds, in the plural, for the message.

    Raises:
        DamagedError: It is truncated, was altered, or is another table; older ones do not say which.
    """
    frame, metadata = parquet(path, what, _REPEATED)
    plain = {key: value for key, value in metadata.items() if key not in (_SUM, _BYTES, "ARROW:schema")}
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    if metadata.get(_SUM) != _sum(columns, plain) or plain.pop(_OF, _which(path)) != _which(path):
        raise damaged(path, what)
    return frame, plain


def parquet(
    path: Path, what: str, fix: str, *, content: bytes | None = None
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Any Parquet file and its metadata.

    Args:
        path: The file.
        what: It is or holds, for the message.
        fix: What to do if it cannot be read.
        content: Its bytes, if they were read already.

    Raises:
        DamagedError: It cannot be read.
        InputError: Decoded it would be far larger than such files are.
    """
    import polars as pl

    content = path.read_bytes() if content is None else content
    try:
        _check_bytes(content)
        _check_size(decoded_bytes(content), content, path)
        frame = pl.read_parquet(BytesIO(content))
        texts = (frame[name] for name, kind in frame.schema.items() if kind == pl.String)
        _check_size(sum(int(column.str.len_bytes().sum()) for column in texts), content, path)
        return frame, pl.read_parquet_metadata(BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        kind = type(error).__name__
        said = f"{what} cannot be read because the file is truncated or was altered ({kind})"
        raise DamagedError(said, where=str(path), fix=fix) from None


def _check_size(decoded: int, content: bytes, path: Path) -> None:
    """Refuse what would be too large once it is decoded."""
    if decoded > (most := LARGEST + MOST_TIMES * len(content)):
        raise InputError(
            f"the file has {len(content):,} bytes and decodes to {decoded:,}, more than {most:,}",
            where=str(path),
            fix="Check where it comes from.",
        )


_REPEATED = "Delete it and run again: only what it held is done again."


def damaged(path: Path, what: str) -> DamagedError:
    """The error for a file of the folder that can be made again."""
    return DamagedError(f"{what} are truncated or were altered", where=str(path), fix=_REPEATED)


def _sum(columns: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    return hashlib.sha256(f"{digest(columns)}{sorted(metadata.items())}".encode()).hexdigest()
