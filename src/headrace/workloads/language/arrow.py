"""Tokenized Hugging Face data sets as `save_to_disk` leaves them: each row of a list column is a document."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from headrace.errors import InputError
from headrace.workloads.language.corpus import MAPPED_BYTES, Corpus
from headrace.workloads.language.mapped import Chunked
from headrace.workloads.language.text import Unit, documents
from headrace.workloads.readers.hugging_face_files import saved_files, saved_folder


def read_token_rows(
    folder: Path | str, split: str = "train", *, column: str = "input_ids", vocabulary: int | None = None
) -> Corpus:
    """The rows of a column of token lists, each a document.

    With pyarrow installed the files are mapped into memory; without it, up to 1 GiB of them is read.

    Args:
        folder: What `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote.
        split: The split's name.
        column: The column of lists of token numbers.
        vocabulary: How many different tokens there are. None: as many as occur.

    Raises:
        InputError: The data set or the column does not exist, a row is missing or holds something other than
            token numbers (names it), or the files are too large to be read without pyarrow.
    """
    where = f"{folder} ({split})"
    chunks: list[np.ndarray] = []
    ends: list[np.ndarray] = [np.zeros(1, dtype=np.int64)]
    rows = 0
    for lists in _columns(Path(folder), split, column, where):
        values, starts = _lists(lists, f"{where}, column {column!r}", rows)
        chunks.append(values)
        ends.append(ends[-1][-1] + starts[1:])
        rows += len(starts) - 1
    if not rows:
        raise InputError("the split has no rows", where=where)
    edges = np.concatenate(ends)
    return Corpus(
        tokens=Chunked(chunks),
        vocabulary=vocabulary,
        documents=np.stack([edges[:-1], edges[1:]], axis=1),
        where=where,
    )


def read_text_rows(
    folder: Path | str, split: str = "train", *, column: str = "text", unit: Unit = "bytes"
) -> Corpus:
    """The rows of a column of texts, each a document, as bytes or characters.

    Args:
        folder: What `save_to_disk` wrote.
        split: The split's name.
        column: The column of texts.
        unit: As in `read_text`.

    Raises:
        InputError: The data set or the column does not exist, or a row is missing or is not a text; names it.
    """
    where = f"{folder} ({split})"
    texts: list[bytes] = []
    for part in _columns(Path(folder), split, column, where):
        for value in part.to_pylist() if hasattr(part, "to_pylist") else part.to_list():
            if not isinstance(value, str):
                raise InputError(
                    "must be a text", where=f"{where}, column {column!r}, row {len(texts)}", got=value
                )
            texts.append(value.encode())
    return documents(texts, unit, where=where)


def _columns(folder: Path, split: str, column: str, where: str) -> Iterator[Any]:
    """The parts of a column, in order: of pyarrow's kind if it is installed, or of polars'."""
    place = saved_folder(folder, split)
    if place is None:
        raise InputError(
            "no data set that save_to_disk wrote is here", where=where, fix="Give the folder with state.json."
        )
    paths = saved_files(place)
    mapped = find_spec("pyarrow") is not None
    size = sum(path.stat().st_size for path in paths)
    if not mapped and size > MAPPED_BYTES:
        raise InputError(
            "only with pyarrow can so much be mapped into memory",
            where=where,
            got=f"{size / 2**30:.1f} GiB",
            fix="pip install pyarrow",
        )
    for path in paths:
        yield from _by_pyarrow(path, column, where) if mapped else _by_polars(path, column, where)


def _by_polars(path: Path, column: str, where: str) -> Iterator[Any]:
    try:
        table = pl.read_ipc_stream(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"the file cannot be read: {error}", where=str(path)) from error
    _check_column(column, table.columns, where)
    yield table[column]


def _by_pyarrow(path: Path, column: str, where: str) -> Iterator[Any]:
    pa: Any = import_module("pyarrow")

    try:
        table: Any = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"the file cannot be read: {error}", where=str(path)) from error
    _check_column(column, table.column_names, where)
    yield from table[column].chunks


def _check_column(column: str, there: list[str], where: str) -> None:
    if column not in there:
        raise InputError(f"there is no column {column!r}", where=where, got=f"columns {', '.join(there)}")


def _lists(lists: Any, where: str, first: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of a part of the column, and where each row's begin."""
    if isinstance(lists, pl.Series):
        lists = lists.rechunk()
        kind = lists.dtype
        if not (isinstance(kind, pl.List) and kind.inner.is_integer()):
            raise InputError("must be a column of lists of whole numbers", where=where, got=str(kind))
        _check_no_nulls(lists.is_null().to_numpy(), where, first)
        edges = np.r_[0, lists.list.len().to_numpy().astype(np.int64).cumsum()]
        values = lists.explode(empty_as_null=False)
        return _numbers(values.to_numpy(), values.null_count(), edges, where, first)
    pa: Any = import_module("pyarrow")

    if not (pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type)) or not pa.types.is_integer(
        lists.type.value_type
    ):
        raise InputError("must be a column of lists of whole numbers", where=where, got=str(lists.type))
    _check_no_nulls(lists.is_null().to_numpy(zero_copy_only=False), where, first)
    values, offsets = lists.flatten(), lists.offsets.to_numpy().astype(np.int64)
    numbers = values.to_numpy(zero_copy_only=values.null_count == 0)
    return _numbers(numbers, values.null_count, offsets - offsets[0], where, first)


def _check_no_nulls(missing: np.ndarray, where: str, first: int) -> None:
    if missing.any():
        raise InputError("a row is missing", where=f"{where}, row {first + int(missing.argmax()):,}")


def _numbers(
    values: np.ndarray, missing: int, edges: np.ndarray, where: str, first: int
) -> tuple[np.ndarray, np.ndarray]:
    if missing:
        row = int(np.searchsorted(edges, np.isnan(values.astype(np.float64)).argmax(), side="right")) - 1
        raise InputError("a token is missing", where=f"{where}, row {first + row:,}")
    return values, edges
