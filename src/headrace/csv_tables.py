"""CSV files of a user's own, read without guesses: what is not certain is refused with its line and the fix.

The separator is the one that makes the columns asked for; the encoding is UTF-8, or UTF-16 or UTF-32
with its mark. Lines end where files end them (LF, CR LF, CR), at no other character.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TextIO

from headrace.csv_cells import given_text, is_number
from headrace.csv_files import CsvFile, read_csv_file
from headrace.errors import InputError, InputErrors, closest
from headrace.printable import cut

Row = tuple[int, Mapping[str, str]]
"""The line where a row begins, and its cells by column."""

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
MOST_ROWS = 1_000_000
MOST_CELLS = 4_000_000
MOST_ERRORS = 1_000
"""After this many errors a file is read no further."""
_NAMED, _COMPARED = 500, 1_000
_LIMIT = Lock()
_BEFORE = "# \ufeff"
"""A comment, or what may be before its mark."""


@dataclass(frozen=True, kw_only=True)
class CsvTable:
    """A table as its file holds it, without white space around cells.

    Attributes:
        path: The file.
        columns: The names of the header, in its order.
        header_line: The line of the header.
        separator: What separates the columns.
        rows: The rows; a column that the header names twice is in none of them.
    """

    path: Path
    columns: tuple[str, ...]
    header_line: int
    separator: str
    rows: tuple[Row, ...]

    def require(self, names: Sequence[str], *, fix: str | None = None) -> None:
        """Refuse the table if it lacks one of these columns, has one of them twice, or has no rows.

        Args:
            names: The columns.
            fix: What to do if one is missing; by default the names themselves.

        Raises:
            InputError: The column and the columns that exist.
        """
        where = f"{self.path}, line {self.header_line}"
        for name in names:
            if self.columns.count(name) > 1:
                raise InputError(
                    f"the column {name!r} is named twice",
                    where=where,
                    got=self.names,
                    fix="Remove or rename one of the two.",
                )
        missing = [name for name in names if name not in self.columns]
        if missing:
            guess = closest(missing[0], self.columns, among=_COMPARED)
            if len(self.columns) == 1 and set(names) <= set(re.split(r"[\s,;]+", self.columns[0])):
                fix, guess = "Separate them by commas, and quote single cells, not whole lines.", ""
            advice = fix or f"The columns needed are {','.join(names)}; the first line must name them."
            raise InputError(
                f"there is no column {', '.join(map(repr, missing))}",
                where=where,
                got=self.names,
                fix=f"{guess} {advice}".lstrip(),
            )
        if not self.rows:
            raise InputError("the table has no rows", where=str(self.path), fix="Add them below its header.")

    @property
    def names(self) -> str:
        """The names of the columns, for a message."""
        return cut(self.separator.join(self.columns), _NAMED)

    def place(self, line: int, column: str) -> str:
        """A cell, for a message."""
        return f"{self.path}, line {line}, column {column}"


def read_csv(path: str | Path, *, likely: Sequence[str]) -> CsvTable:
    """Read a CSV file.

    Args:
        path: The file.
        likely: The columns that are looked for; they show which separator the file uses.

    Raises:
        InputError: It cannot be read, is not a CSV file, is too large, or a quote is never closed.
        InputErrors: Every row with more or fewer cells than the header, and every other doubtful line.
    """
    file = read_csv_file(path, "".join(SEPARATORS))
    with _LIMIT:
        # A cell may be of any length, such as a whole configuration; the limit is the process's.
        limit = csv.field_size_limit(len(file.content) + 1)
        try:
            separator = file.separator or _likeliest(file, likely)
            return _parsed(file, separator, likely)
        finally:
            csv.field_size_limit(limit)


def raise_all(errors: Sequence[InputError], path: str | Path) -> None:
    """Raise these errors as one if there are any."""
    if errors:
        raise InputErrors(errors, where=str(path))


class _Record(NamedTuple):
    """A record of the file: the line where it begins, its cells, its first line as it is, and its lines.

    There are up to a million of them.
    """

    line: int
    cells: list[str]
    begin: str
    lines: int


def _records(file: CsvFile, separator: str) -> Iterator[_Record]:
    """The records that are not blank."""
    begin = ""

    def lines(text: TextIO) -> Iterator[str]:
        nonlocal begin
        for row in text:
            begin = begin or row
            yield row

    with file.text() as text:
        reader = csv.reader(lines(text), delimiter=separator, strict=True, skipinitialspace=True)
        line = first = 1 + file.lines_before
        try:
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                following = first + reader.line_num
                if any(stripped):
                    yield _Record(line, stripped, begin, following - line)
                line, begin = following, ""
        except csv.Error as error:
            raise _not_csv(file.path, line, str(error)) from None


def _not_csv(path: Path, line: int, reason: str) -> InputError:
    if "end of data" in reason:
        what, fix = (
            "a quote is opened and never closed",
            "Close it, or double a quote that belongs to the text.",
        )
    elif "expected after" in reason:
        what, fix = "text follows a closing quote", "Quote the whole cell, and double the quotes in its text."
    else:
        what, fix = f"this is not CSV ({reason})", "Save the file again as CSV UTF-8."
    return InputError(what, where=f"{path}, line {line}", fix=fix)


def _likeliest(file: CsvFile, likely: Sequence[str]) -> str:
    """The separator that makes the most of these columns, then the most columns; else the comma."""

    def fitness(separator: str) -> tuple[int, int]:
        try:
            names = _names(next(_records(file, separator)))
        except (InputError, StopIteration):
            return 0, 0
        return sum(name in names for name in likely), len(names)

    return max(SEPARATORS, key=fitness)


def _names(header: _Record) -> list[str]:
    """The columns' names; empty ones at the end come of separators at the end of lines."""
    names = [given_text(name) for name in header.cells]
    while names and not names[-1]:
        names.pop()
    return names


def _parsed(file: CsvFile, separator: str, likely: Sequence[str]) -> CsvTable:
    records = _records(file, separator)
    header = next(records)
    columns, header_line = _names(header), header.line
    errors = [error] if (error := _comment(file.path, header)) else []
    count = Counter(columns)
    once = [name if name and count[name] == 1 else None for name in columns]
    headless = bool(likely) and not set(likely) & set(columns)
    rows: list[Row] = []
    for record in records:
        if headless and not errors and set(likely) <= set(_names(record)):
            raise _late_header(file.path, record)
        if len(rows) >= MOST_ROWS or len(rows) * len(columns) > MOST_CELLS:
            raise _too_large(file.path, len(rows), len(columns))
        plain = record.lines == 1 and len(record.cells) == len(columns) and record.begin[0] not in _BEFORE
        error = None if plain else _doubt(file.path, record, columns, separator, likely)
        if error is not None:
            errors.append(error)
            if len(errors) == MOST_ERRORS:
                break
            continue
        cells = {name: given_text(c) for name, c in zip(once, record.cells, strict=False) if name is not None}
        rows.append((record.line, cells))
    raise_all(errors, file.path)
    return CsvTable(
        path=file.path,
        columns=tuple(columns),
        header_line=header_line,
        separator=separator,
        rows=tuple(rows),
    )


def _late_header(path: Path, header: _Record) -> InputError:
    return InputError(
        "the first line must name the columns; this one does",
        where=f"{path}, line {header.line}",
        got=header.begin.strip(),
        fix="Remove the lines above it.",
    )


def _too_large(path: Path, rows: int, columns: int) -> InputError:
    return InputError(
        "the table is too large",
        where=str(path),
        got=f"more than {rows:,} rows of {columns:,} columns",
        fix="Keep only the columns and rows that are needed.",
    )


def _doubt(
    path: Path, record: _Record, columns: Sequence[str], separator: str, likely: Sequence[str]
) -> InputError | None:
    """What is not certain about a row."""
    if (comment := _comment(path, record)) is not None:
        return comment
    count = len(record.cells)
    if count < len(columns) or any(record.cells[len(columns) :]):
        return InputError(
            "a cell for each column is needed",
            where=f"{path}, line {record.line}",
            got=count,
            fix=f"The header has {len(columns)} columns, separated by {SEPARATORS[separator]}.",
        )
    places = [place for place, name in enumerate(columns) if name in likely]
    for line in (
        line for cell in record.cells if "\n" in cell or "\r" in cell for line in cell.splitlines()[1:]
    ):
        if _is_like(line, record.cells, places, len(columns), separator):
            return InputError(
                "a quoted cell holds what looks like a row of its own",
                where=f"{path}, line {record.line}",
                got=line,
                fix="Close the quote in the first of these lines, or remove the line break from the cell.",
            )
    return None


def _comment(path: Path, record: _Record) -> InputError | None:
    if not record.begin.lstrip(_BEFORE[1:]).startswith("#"):
        return None
    return InputError(
        "a line that begins with # is a comment for some programs and a row for others",
        where=f"{path}, line {record.line}",
        got=record.begin.strip(),
        fix="Remove the line, or quote its first cell.",
    )


def _is_like(line: str, row: Sequence[str], places: Sequence[int], count: int, separator: str) -> bool:
    """Whether a line within a cell looks like a row: as many cells, and numbers where the row has numbers."""
    cells = [cell.strip(' \t"') for cell in line.split(separator)]
    return (
        len(cells) >= count
        and bool(places)
        and all(cells[p] and (is_number(cells[p]) or not is_number(row[p])) for p in places)
    )
