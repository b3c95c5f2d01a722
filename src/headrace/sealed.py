"""Sealed files: what decides a result carries a checksum of its whole content, so that a change is found.

All that is kept so has one of these forms; readers take the older ones too.

- A record is JSON: its checksum is its first line, and it stays JSON (`write_record`, `read_record`).
- A table next to a record is plain Parquet, and its SHA-256 is in that record (`write_pair`, `read_table_of`,
  `finish_pair`). One by itself holds its checksums: see `headrace.sealed_tables`.
- What users may read and copy is TOML: its checksum is a comment (`write_toml`, `read_toml`).
- Tensors: see `headrace.tensors`, which needs torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from headrace.errors import DamagedError
from headrace.files import remove, rename, write_whole
from headrace.records import Record, first_finding

if TYPE_CHECKING:
    import polars as pl

_MOST_BYTES = 2**28
"""Of a record."""
_HEAD = b'{"sha256":"'
_TOML = b"# sha256: "
_TOML_TRACE = re.compile("sha256: |[0-9a-f]{60}")
"""A seal in a first line, whole or altered."""

_TRACE = re.compile(rb'\s*\{\s*"[^"]{0,8}"\s*:\s*"[^"]{60,}"')
"""A seal, whole or altered: no file from before it begins so."""

R = TypeVar("R", bound=Record)


def write_record(path: Path, record: Record, *, indent: int | None = None, body: bytes | None = None) -> None:
    """Write a record as sealed JSON.

    Args:
        path: The file.
        record: What it holds.
        indent: Of its lines, the last of which is ended; None: all in one line that is not.
        body: The record as JSON where its bytes were once laid out otherwise, and must stay.

    Raises:
        StorageError: The file cannot be written.
    """
    if body is None:
        body = (record.model_dump_json(indent=indent) + ("" if indent is None else "\n")).encode()
    write_whole(path, sealed(body))


def read_record(path: Path, kind: type[R], *, fix: str, older: bool = True) -> R | None:
    """What `write_record` or `write_pair` wrote; None without a file.

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
        return _as_record(kind, unsealed(path, older=older))
    except ValidationError as error:
        what = f"is truncated or was altered ({first_finding(error)})"
    except (ValueError, RecursionError):
        what = "is truncated or was altered"
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
    raise DamagedError(what, where=str(path), fix=fix)


def _as_record(kind: type[R], body: bytes) -> R:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        if error.errors()[0]["type"] != "json_invalid":
            raise
        # The standard library writes, and reads, names that are not Unicode; pydantic does not.
        return kind.model_validate(json.loads(body))


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
    raise ValueError("the checksum does not match")


def write_toml(path: Path, text: str) -> None:
    """Write TOML with the checksum of all that follows in its first line, a comment.

    Raises:
        StorageError: It cannot be written.
    """
    write_whole(path, _sealed_toml(text))


def _sealed_toml(text: str) -> bytes:
    body = text.encode()
    return _TOML + hashlib.sha256(body).hexdigest().encode() + b" (written by Headrace: do not edit)\n" + body


def read_toml(path: Path) -> str:
    """The TOML text in a file that `write_toml` wrote, without its first line; or in one from before.

    Raises:
        DamagedError: The file is truncated or was altered.
        OSError: It cannot be read.
    """
    try:
        text = path.read_bytes().decode()
        first, _, rest = text.partition("\n")
        if not _TOML_TRACE.search(first):
            return text
        if _sealed_toml(rest) == text.encode():
            return rest
    except UnicodeDecodeError:
        pass
    raise DamagedError(
        "was altered since Headrace wrote it",
        where=str(path),
        fix="Undo the change. To run something else, give a file of your own and a new folder.",
    )


def has_seal(path: Path) -> bool:
    """Whether a TOML file has a checksum in its first line; one that is taken out leaves no trace."""
    return path.read_bytes().startswith(_TOML)


def write_pair(path: Path, record: Record, table: Path, content: bytes, *, body: bytes | None = None) -> None:
    """Write a table and the JSON record that holds its SHA-256: at every moment there is a whole pair.

    A former table stays until the record of the new one is safe; until then the new one is next to it as
    `NAME.next`. `read_table_of` reads the one that the record names, `finish_pair` ends what was interrupted.

    Args:
        path: The record's file; its appearance makes the pair count.
        record: The record, which holds the table's SHA-256.
        table: The table's file, in the same folder.
        content: The table, see `sealed_tables.plain_parquet`.
        body: As in `write_record`.

    Raises:
        StorageError: One of them cannot be written; the former pair is still there.
    """
    if not path.exists():
        write_whole(table, content)
        write_record(path, record, body=body)
        return
    write_whole(_coming(table), content)
    write_record(path, record, body=body)
    rename(_coming(table), table.name)


def read_table_of(table: Path, checksum: str, *, fix: str) -> pl.DataFrame:
    """The table with this SHA-256, as `write_pair` left it.

    Args:
        table: The table's file.
        checksum: The one in its record.
        fix: What to do if it cannot be read.

    Raises:
        DamagedError: It is missing, truncated, or was altered.
    """
    import polars as pl

    try:
        return pl.read_parquet(BytesIO(_with_checksum(table, checksum)))
    except ValueError:
        what = "is truncated or was altered"
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
    raise DamagedError(what, where=str(table), fix=fix)


def _with_checksum(table: Path, checksum: str) -> bytes:
    # Once more at the end, because the writer may be between the two names.
    for path in (table, _coming(table), table):
        if path == table or path.exists():
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == checksum:
                return content
    raise ValueError("the checksum does not match")


def finish_pair(table: Path, checksum: str) -> None:
    """Put a table in its place whose writer was interrupted, or remove one that never came to count.

    Raises:
        StorageError: The folder cannot be written.
    """
    if not _coming(table).exists():
        return
    if sha256(_coming(table)) == checksum:
        rename(_coming(table), table.name)
    else:
        remove(_coming(table))


def _coming(table: Path) -> Path:
    return table.with_name(table.name + ".next")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
