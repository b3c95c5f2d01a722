"""Answers files, row by row: which example, and what people said of it. Imports no torch."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.csv_files import bounded
from headrace.csv_tables import read_csv
from headrace.errors import InputError
from headrace.search import studio
from headrace.store.strict_json import parsed

INDEX, MARK = "index", "headrace"
"""The columns of a question: the example's id, and which search has asked."""
LABEL_COLUMNS = ("label", "choice", "choices")
MOST_BYTES = 1 << 30
_KEEP = "Keep the column 'index' of the exported tasks."


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One row of an answers file.

    Attributes:
        place: For messages.
        index: The example's id as the file has it.
        mark: Which search has asked, or None where the file does not say.
        labels: What people said, as the file has it: nothing yet, one label, or several.
        others: Controls other than `label` that have results.
    """

    place: str
    index: Any
    mark: str | None
    labels: tuple[Any, ...]
    others: frozenset[str] = frozenset()


def answers_of(path: Path) -> Iterator[Answer | InputError]:
    """Every row of a file (`.csv`, `.json` or `.jsonl`, as Label Studio exports), or what is wrong with it.

    Raises:
        InputError: The file cannot be read as such.
    """
    for place, row in _rows(path):
        try:
            yield _answer(row, place)
        except InputError as error:
            yield error


def _answer(row: Mapping[str, Any], place: str) -> Answer:
    data: Any = row.get("data", row)
    if not isinstance(data, Mapping) or data.get(INDEX) in (None, ""):
        raise InputError("there is no example's index", where=place, got=None, fix=_KEEP)
    others: set[str] = set()
    if studio.is_task(row):
        labels, others = studio.labels_of(row, place)
    else:
        labels = _plain_labels(row, place)
    return Answer(
        place=place,
        index=data[INDEX],
        mark=str(data[MARK]) if data.get(MARK) else None,
        labels=tuple(labels),
        others=frozenset(others),
    )


def _plain_labels(row: Mapping[str, Any], place: str) -> list[Any]:
    values = [row[column] for column in LABEL_COLUMNS if column in row]
    if not values:
        raise InputError(
            "there is no 'label' or 'choice'", where=place, fix="Name the column or key 'label'."
        )
    found: list[Any] = []
    for value in values:
        if isinstance(value, Mapping) and isinstance(value.get("choices"), list):
            found += value["choices"]
        elif isinstance(value, list):
            found += value
        elif value is not None and not (isinstance(value, str) and not value.strip()):
            found.append(value)
    return found


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(place for messages, row) of every answer in the file."""
    match path.suffix.lower():
        case ".csv":
            yield from _table(path)
        case ".jsonl":
            # Within a text of JSON other characters end lines for `splitlines`.
            lines = ((f"line {n}", line) for n, line in enumerate(_text(path).split("\n"), 1) if line.strip())
            yield from ((place, _object(_json(line, path, place), path, place)) for place, line in lines)
        case ".json":
            tasks = _json(_text(path), path, "")
            for number, task in enumerate(tasks if isinstance(tasks, list) else [tasks], start=1):
                yield f"task {number}", _object(task, path, f"task {number}")
        case _:
            raise InputError("answers are .csv, .json or .jsonl files", where=str(path), got=path.suffix)


def _table(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The lines of a CSV file, whose columns are certain."""
    table = read_csv(path, likely=(INDEX, *LABEL_COLUMNS))
    there = [name for name in (*LABEL_COLUMNS, MARK) if name in table.columns]
    table.require([INDEX, *there], fix=_KEEP)
    if not set(there) & set(LABEL_COLUMNS):
        raise InputError(
            "there is no column 'label' or 'choice'",
            where=f"{path}, line {table.header_line}",
            got=table.names,
            fix="Name the column with the classes 'label'.",
        )
    for line, cells in table.rows:
        yield f"line {line}", cells


def _text(path: Path) -> str:
    content = bounded(path, MOST_BYTES, "Split it.")
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"the file is not UTF-8 ({error.reason})"
        raise InputError(what, where=str(path), fix="Save it so.") from None


def _json(text: str, path: Path, place: str) -> Any:
    try:
        return parsed(text)
    except ValueError as error:
        where = f"{path}, {place}" if place else str(path)
        raise InputError(f"this is not JSON ({error})", where=where, fix="Export it again.") from None


def _object(value: Any, path: Path, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError("an answer must be a JSON object", where=f"{path}, {place}", got=value)
    return value  # pyright: ignore[reportUnknownVariableType]
