"""The parts of a store: trials and their measurements, as two files that are whole and unaltered, or refused.

`NNNNN.parquet` holds the measurements and is written first; `NNNNN.json` holds the records and both
checksums, and its appearance makes the part count. A part holds one trial, or many. The first line of
the JSON file is the checksum of all bytes after it. A part that is replaced stays until the new one is
safe: then `NNNNN.parquet.next` holds the measurements for a moment.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError

from headrace.errors import DamagedError
from headrace.records import Record
from headrace.sealed import finish_pair, read_table_of, unsealed, write_pair
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
        import polars as pl

        path = self.path.with_suffix(".parquet")
        try:
            content = read_table_of(path, self.content.measurements_sha256)
        except OSError as error:
            raise _damaged(self.path, path, f"cannot be read ({error.strerror})") from None
        except ValueError:
            raise _damaged(self.path, path, "is truncated or was altered") from None
        return pl.read_parquet(BytesIO(content))


def write_part(path: Path, records: tuple[TrialRecord, ...], measurements: pl.DataFrame) -> Part:
    """Store trials and their measurements; a part of the same name is replaced once the new one is safe.

    Args:
        path: The JSON file.
        records: At least one trial.
        measurements: Their rows: trial, step, and the metrics.

    Raises:
        StorageError: The disk is full, or the files cannot be written.
    """
    buffer = BytesIO()
    measurements.write_parquet(buffer, compression="zstd")
    table = buffer.getvalue()
    content = Content(
        measurements_sha256=hashlib.sha256(table).hexdigest(), rows=measurements.height, records=records
    )
    write_pair(path, content.model_dump_json().encode(), path.with_suffix(".parquet"), table)
    return Part(path=path, content=content)


def finish_part(part: Part) -> None:
    """Finish the replacement of a part that was interrupted; only for the folder's single writer.

    Raises:
        StorageError: The folder cannot be written.
    """
    finish_pair(part.path.with_suffix(".parquet"), part.content.measurements_sha256)


def read_part(path: Path) -> Part:
    """Read the JSON file of a part.

    Raises:
        DamagedError: It is truncated or was altered, or another program wrote it.
    """
    try:
        body = unsealed(path)
    except ValueError:
        raise _damaged(path, path, "is truncated or was altered") from None
    try:
        return Part(path=path, content=Content.model_validate_json(body))
    except ValidationError as error:
        raise _damaged(path, path, f"does not hold trials ({error.errors()[0]['msg']})") from None


def _damaged(part: Path, path: Path, what: str) -> DamagedError:
    return DamagedError(
        what,
        where=str(path),
        fix=f"Delete {part.name} and {part.with_suffix('.parquet').name} there and run again: "
        "only their trials are repeated.",
    )
