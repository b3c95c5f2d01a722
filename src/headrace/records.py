"""Frozen records, and how they are kept as sealed JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from headrace.errors import DamagedError
from headrace.files import write_whole
from headrace.sealed import sealed, unsealed

_MOST_BYTES = 2**28


class Record(BaseModel):
    """A frozen record; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


R = TypeVar("R", bound=Record)


def write_record(path: Path, record: Record, *, indent: int) -> None:
    """Write a record as sealed JSON.

    Raises:
        StorageError: The file cannot be written.
    """
    write_whole(path, sealed((record.model_dump_json(indent=indent) + "\n").encode()))


def read_record(path: Path, kind: type[R], *, fix: str, older: bool = True) -> R | None:
    """What `write_record` wrote; None without a file.

    Args:
        path: The file.
        kind: The record that it holds.
        fix: What to do about a file that cannot be read.
        older: Whether there are files of this kind from before there were seals.

    Raises:
        DamagedError: It is truncated or was altered, or another program wrote it.
    """
    if not path.exists():
        return None
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            raise DamagedError(f"must be a file of at most {_MOST_BYTES:,} bytes", where=str(path), fix=fix)
        return kind.model_validate_json(unsealed(path, older=older))
    except ValidationError as error:
        what = f"is truncated or was altered ({error.errors()[0]['msg']})"
    except ValueError:
        what = "is truncated or was altered"
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
    raise DamagedError(what, where=str(path), fix=fix)
