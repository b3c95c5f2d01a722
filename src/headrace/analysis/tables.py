"""Tables of a user's own, read with errors that name the file, the line, the column and the fix."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from headrace.errors import InputError, InputErrors

Value = TypeVar("Value")
Row = tuple[int, dict[str, str]]
"""The line of the file, and its cells by column."""

_MOST_ERRORS = 20


def read_scaling_table(path: str | Path) -> tuple[list[float], list[float]]:
    """Batch sizes and steps from a CSV file with the columns `batch_size,steps`.

    Args:
        path: The file. Several rows of one batch size are replicates; other columns are left alone.

    Raises:
        InputError: The file cannot be read, a column is missing, or there are fewer than two batch sizes.
        InputErrors: Every cell that is not a positive number.
    """
    rows = _read(path, ("batch_size", "steps"))
    batch_sizes, steps = _columns(path, rows, {"batch_size": _positive, "steps": _positive})
    if len(set(batch_sizes)) < 2:
        raise InputError(
            "a fit needs at least two different batch sizes",
            where=str(path),
            got=sorted(set(batch_sizes)),
            fix="Add rows of other batch sizes.",
        )
    return batch_sizes, steps


def read_comparison_table(
    path: str | Path, *, metric: str = "metric", only: Mapping[str, str] | None = None
) -> tuple[list[str], list[str], list[float]]:
    """Groups, seeds and the metric from a CSV file with the columns `group,seed` and `metric`.

    Args:
        path: The file, one row for each group and seed.
        metric: The name of the metric's column.
        only: Column -> the value that rows must have there to count.

    Raises:
        InputError: The file cannot be read, a column is missing, or there are no rows.
        InputErrors: Every cell that is empty or not a finite number, every seed that a group has twice.
    """
    rows = _rows_with(only or {}, path, _read(path, ("group", "seed", metric, *(only or ()))))
    first: dict[tuple[str, str], int] = {}
    twice = [
        InputError(
            f"the same group and seed as in line {before}",
            where=_place(path, line, "seed"),
            got=cells["seed"],
            fix=_several(cells, metric),
        )
        for line, cells in rows
        if (before := first.setdefault((cells["group"], cells["seed"]), line)) != line
    ]
    _raise(twice, path)
    groups, seeds = _columns(path, rows, {"group": _text, "seed": _text})
    (values,) = _columns(path, rows, {metric: _finite})
    return groups, seeds, values


def _rows_with(only: Mapping[str, str], path: str | Path, rows: list[Row]) -> list[Row]:
    """The rows that have these values."""
    for name, value in only.items():
        left = [row for row in rows if row[1][name] == value]
        if not left:
            fix = f"There are: {', '.join(sorted({cells[name] for _, cells in rows})[:10])}."
            raise InputError(f"no row has this {name}", where=str(path), got=value, fix=fix)
        rows = left
    return rows


def _several(cells: Mapping[str, str], metric: str) -> str | None:
    """What to do where further columns tell the rows of a group and seed apart."""
    further = [name for name in cells if name not in ("group", "seed", metric)]
    return f"Choose rows, for example: --only {further[0]}={cells[further[0]]}." if further else None


def _read(path: str | Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV file that has `columns`; empty lines are left out."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError("there is no such file", where=str(path), fix="Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the file cannot be read as text ({error})", where=str(path)) from None
    lines = _lines(text)
    _, header = next(lines, (0, []))
    _check_header(path, header, columns)
    body = list(lines)
    _raise(
        [
            InputError(
                "a cell for each column is needed",
                where=f"{path}, line {line}",
                got=len(cells),
                fix=f"The header has {len(header)} columns.",
            )
            for line, cells in body
            if len(cells) != len(header)
        ],
        path,
    )
    if not body:
        raise InputError("the table has no rows", where=str(path), fix="Add at least two.")
    return [(line, dict(zip(header, cells, strict=True))) for line, cells in body]


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text.splitlines())
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, [cell.strip() for cell in cells]


def _check_header(path: str | Path, header: Sequence[str], columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in header]
    if not missing:
        return
    close = get_close_matches(missing[0], header, n=1)
    fix = f"Did you mean {close[0]!r}? " if close else ""
    raise InputError(
        f"there is no column {', '.join(map(repr, missing))}",
        where=f"{path}, line 1",
        got=",".join(header),
        fix=f"{fix}The columns needed are {','.join(columns)}.",
    )


def _columns(
    path: str | Path, rows: Sequence[Row], readers: dict[str, Callable[[str], Value]]
) -> list[list[Value]]:
    """The values of each column of `readers`, in their order; all errors at once."""
    errors: list[InputError] = []
    columns: list[list[Value]] = [[] for _ in readers]
    for line, cells in rows:
        for column, (name, read) in zip(columns, readers.items(), strict=True):
            try:
                column.append(read(cells[name]))
            except ValueError as error:
                errors.append(InputError(str(error), where=_place(path, line, name), got=cells[name]))
    _raise(errors, path)
    return columns


def _place(path: str | Path, line: int, column: str) -> str:
    return f"{path}, line {line}, column {column}"


def _raise(errors: Sequence[InputError], path: str | Path) -> None:
    if len(errors) > _MOST_ERRORS:
        rest = InputError(f"and {len(errors) - _MOST_ERRORS} more of the kind")
        raise InputErrors([*errors[:_MOST_ERRORS], rest], where=str(path))
    if errors:
        raise InputErrors(errors, where=str(path))


def _finite(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _positive(cell: str) -> float:
    try:
        value = _finite(cell)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise ValueError(
            "must be a positive finite number; leave out points at which the goal was not reached"
        )
    return value


def _text(cell: str) -> str:
    if not cell:
        raise ValueError("must not be empty")
    return cell
