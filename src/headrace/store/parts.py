"""The parts of a store: trials and their measurements, as two files that are whole and unaltered, or refused.

`NNNNN.parquet` holds the measurements and is written first; `NNNNN.json` holds the records and both
checksums, and its appearance makes the part count. A part holds one trial, or many. The first line of
the JSON file is the checksum of all bytes after it. A part that is replaced stays until the new one is
safe: then `NNNNN.parquet.next` holds the measurements for a moment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from headrace.errors import DamagedError
from headrace.records import Record
from headrace.sealed import finish_pair, read_record, read_table_of, write_pair
from headrace.sealed_tables import plain_parquet
from headrace.store.records import TrialRecord

if TYPE_CHECKING:
    import polars as pl


class Content(Record):
    """What the JSON file of a part holds, after its checksum."""

    format: Literal[1] = 1
    measurements_sha256: str
    rows: int = Field(ge=0)
    records: tuple[TrialRecord, ...] = Field(min_length=1)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stored part whose JSON file was found whole."""

    path: Path
    content: Content

    def measurements(self) -> pl.DataFrame:
        """The measurements: trial, step, and the metrics.

        Raises:
            DamagedError: The Parquet file is missing, truncated or altered.
        """
        table = self.path.with_suffix(".parquet")
        return read_table_of(table, self.content.measurements_sha256, fix=_fix(self.path))


def write_part(path: Path, records: tuple[TrialRecord, ...], measurements: pl.DataFrame) -> Part:
    """Store trials and their measurements; a part of the same name is replaced once the new one is safe.

    Args:
        path: The JSON file.
        records: At least one trial.
        measurements: Their rows: trial, step, and the metrics.

    Raises:
        StorageError: The disk is full, or the files cannot be written.
    """
    table = plain_parquet(measurements)
    content = Content(
        measurements_sha256=hashlib.sha256(table).hexdigest(), rows=measurements.height, records=records
    )
    write_pair(path, content, path.with_suffix(".parquet"), table)
    return Part(path=path, content=content)


def finish_part(part: Part) -> None:
    """Finish the replacement of a part that was interrupted; only for the folder's single writer.

    Raises:
        StorageError: The folder cannot be written.
    """
    finish_pair(part.path.with_suffix(".parquet"), part.content.measurements_sha256)


def read_parts(folder: Path, study: str) -> tuple[Part, ...]:
    """The parts in a study's folder, in the order of their numbers.

    Raises:
        DamagedError: One is truncated or was altered, or belongs to another study.
    """
    # Copies that sync clients and editors leave, such as "00001 2.json", are not parts.
    paths = [path for path in folder.glob("[0-9]*.json") if path.stem.isascii() and path.stem.isdigit()]
    parts = in_order(map(read_part, paths))
    for part in parts:
        wrong = next((record for record in part.content.records if record.study != study), None)
        if wrong is not None:
            raise DamagedError(
                f"belongs to study {wrong.study!r}",
                where=str(part.path),
                fix="Move it to that study's folder.",
            )
    return parts


def in_order(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Parts in the order of their numbers."""
    return tuple(sorted(parts, key=lambda part: int(part.path.stem)))


def read_part(path: Path) -> Part:
    """Read the JSON file of a part.

    Raises:
        DamagedError: It is truncated or was altered, or another program wrote it.
    """
    content = read_record(path, Content, fix=_fix(path), older=False)
    if content is None:
        raise DamagedError("is missing", where=str(path), fix=_fix(path))
    return Part(path=path, content=content)


def _fix(part: Path) -> str:
    table = part.with_suffix(".parquet").name
    return f"Delete {part.name} and {table} there and run again: only their trials are repeated."
