"""Tables of a user's own, read with errors that name the file, the line, the column and the fix."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from headrace.analysis.alike import check_not_alike
from headrace.analysis.trackers import (
    check_no_curves,
    check_one_row_per_run,
    check_reached,
    finished,
    resolved,
)
from headrace.csv_cells import has_decimal_commas, has_unsure_points, number
from headrace.csv_tables import MOST_ERRORS, CsvTable, Row, raise_all, read_csv
from headrace.errors import InputError

_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u200b\u2028\u2029\u2060\ufeff]")
_DIVERGED = ("nan", "inf", "infinity", "diverged")
_WHOLE = re.compile(r"([+-]?)0*([0-9]+)(?:\.0*)?")
_POWER = re.compile(r"[0-9]\.?[0-9]*[eE]\+?[0-9]{1,2}")


def read_scaling_table(
    path: str | Path,
    *,
    batch_size: str = "batch_size",
    steps: str = "steps",
    tokens: str | None = None,
    tokens_per_example: float = 1.0,
    only: Mapping[str, str] | None = None,
) -> tuple[list[float], list[float]]:
    """Batch sizes and steps from a CSV file with the columns `batch_size,steps`.

    Args:
        path: The file. Several rows of one batch size are replicates; other columns are left alone.
        batch_size: The name of the column of batch sizes; they must be whole numbers.
        steps: The name of the column of steps.
        tokens: The name of a column of tokens to the goal, which stands in for the steps: they are divided by
            the tokens of a batch.
        tokens_per_example: What batch sizes are multiplied by: 1 if they are in examples and stay so, or in
            tokens.
        only: Column -> the value that rows must have there to count.

    Raises:
        InputError: The file cannot be read, a column is missing, a run did not finish, or there are
            fewer than two batch sizes.
        InputErrors: Every cell that is not certainly a positive number.
    """
    cost = {"--steps": steps} if tokens is None else {"--tokens": tokens}
    table = read_csv(path, likely=(batch_size, *cost.values(), *(only or ())))
    check_one_row_per_run(table)
    names = resolved(table, {"--batch-size": batch_size, **cost})
    table.require(tuple(only or ()))
    rows = finished(table, _rows_with(only or {}, table), but=tuple(only or ()))
    check_no_curves(table, rows, names[0])
    check_reached(table, rows, but=(*names, *(only or ())))
    errors: list[InputError] = []
    batch_sizes = _numbers(table, rows, names[0], errors, positive=True, whole=True)
    counts = _numbers(table, rows, names[1], errors, positive=True)
    raise_all(sorted(errors, key=_line), path)
    if len(set(batch_sizes)) < 2:
        raise InputError(
            "a fit needs at least two different batch sizes",
            where=str(path),
            got=sorted(set(batch_sizes)),
            fix="Add rows of other batch sizes.",
        )
    sizes = [size * tokens_per_example for size in batch_sizes]
    if tokens is None:
        return sizes, counts
    return sizes, [count / size for count, size in zip(counts, sizes, strict=True)]


def read_comparison_table(
    path: str | Path,
    *,
    metric: str = "metric",
    group: str = "group",
    seed: str = "seed",
    only: Mapping[str, str] | None = None,
) -> tuple[list[str], list[str], list[float]]:
    """Groups, seeds and the metric from a CSV file with the columns `group,seed` and `metric`.

    Args:
        path: The file, one row for each group and seed.
        metric: The name of the metric's column.
        group: The name of the groups' column.
        seed: The name of the seeds' column; if all seeds are whole numbers, `7`, `07` and `7.0` are one seed.
        only: Column -> the value that rows must have there to count.

    Raises:
        InputError: The file cannot be read, a column is missing, a run did not finish, or there are no rows.
        InputErrors: Every cell that is empty or not certainly a number, every seed that a group has twice.

    Returns:
        The three columns; NaN where the metric's cell is `nan`, `inf` or `diverged`: a run that diverged.
    """
    only = only or {}
    table = read_csv(path, likely=(group, seed, metric, *only))
    check_one_row_per_run(table)
    names = resolved(table, {"--group": group, "--seed": seed, "--metric": metric})
    table.require(tuple(only))
    rows = finished(table, _rows_with(only, table), but=tuple(only))
    errors: list[InputError] = []
    groups = _texts(table, rows, names[0], errors)
    seeds = _as_seeds(_texts(table, rows, names[1], errors))
    raise_all(errors, path)
    check_not_alike(table, rows, names[0])
    raise_all(_repeated(table, rows, groups, seeds, names), path)
    values = _numbers(table, rows, names[2], errors, diverged=True)
    raise_all(errors, path)
    return groups, seeds, values


def read_strata(path: str | Path, column: str, only: Mapping[str, str] | None = None) -> list[str]:
    """The different values of a column, in the order of the file: one per data set.

    Args:
        path: The CSV file.
        column: The column.
        only: Column -> the value that rows must have there to count.

    Raises:
        InputError: The file cannot be read, a column is missing, or two values are one in two spellings.
        InputErrors: Every cell that is empty.
    """
    table = read_csv(path, likely=(column, *(only or ())))
    table.require((column, *(only or ())))
    rows = _rows_with(only or {}, table)
    errors: list[InputError] = []
    values = _texts(table, rows, column, errors)
    raise_all(errors, path)
    check_not_alike(table, rows, column)
    return list(dict.fromkeys(values))


def _line(error: InputError) -> int:
    """The line that an error of a cell names, to put errors of several columns in the file's order."""
    found = re.search(r", line ([0-9]+), column ", error.where or "")
    return int(found[1]) if found else 0


def _rows_with(only: Mapping[str, str], table: CsvTable) -> Sequence[Row]:
    """The rows that have these values."""
    rows: Sequence[Row] = table.rows
    for name, value in only.items():
        left = [row for row in rows if row[1][name] == value]
        if not left:
            fix = f"There are: {', '.join(sorted({cells[name] for _, cells in rows})[:10])}."
            raise InputError(f"no row has this {name}", where=str(table.path), got=value, fix=fix)
        rows = left
    return rows


def _repeated(
    table: CsvTable,
    rows: Sequence[Row],
    groups: Sequence[str],
    seeds: Sequence[str],
    names: Sequence[str],
) -> list[InputError]:
    """Every row whose group and seed an earlier row has."""
    first: dict[tuple[str, str], Row] = {}
    errors: list[InputError] = []
    for row, group, seed in zip(rows, groups, seeds, strict=True):
        before = first.setdefault((group, seed), row)
        if before is not row and len(errors) < MOST_ERRORS:
            errors.append(
                InputError(
                    f"the same group and seed as in line {before[0]}",
                    where=table.place(row[0], names[1]),
                    got=row[1][names[1]],
                    fix=_apart(before[1], row[1], names),
                )
            )
    return errors


def _apart(before: Mapping[str, str], row: Mapping[str, str], names: Sequence[str]) -> str:
    """What to do about two rows of one group and seed: another column may distinguish them."""
    further = [name for name in row if name not in names and row[name] and row[name] != before[name]]
    if not further:
        return "Remove one of the two, or name the column of the seeds with --seed."
    return f"Choose rows, for example: --only {further[0]}={row[further[0]]}."


def _numbers(
    table: CsvTable,
    rows: Sequence[Row],
    column: str,
    errors: list[InputError],
    *,
    positive: bool = False,
    whole: bool = False,
    diverged: bool = False,
) -> list[float]:
    """The numbers of a column; what is wrong is added to `errors`."""
    cells = [row[column] for _, row in rows]
    decimal_comma = has_decimal_commas(cells, table.separator)
    unsure = has_unsure_points(cells, table.separator) or (
        any("." in cell for cell in cells) and _commas_elsewhere(table, rows, column)
    )
    values: list[float] = []
    for (line, _), cell in zip(rows, cells, strict=True):
        if diverged and cell.lower().lstrip("+-") in _DIVERGED:
            values.append(math.nan)
            continue
        try:
            value = number(cell, decimal_comma=decimal_comma)
            _check(cell, value, positive=positive, whole=whole, unsure=unsure)
            values.append(value)
        except ValueError as error:
            fix = "Leave out points at which the goal was not reached." if positive and not whole else None
            if diverged and not cell:
                fix = "Remove the row, or write diverged if the run diverged."
            errors.append(InputError(str(error), where=table.place(line, column), got=cell, fix=fix))
            if len(errors) >= MOST_ERRORS:
                break
    return values


def _check(cell: str, value: float, *, positive: bool, whole: bool, unsure: bool) -> None:
    if unsure and "." in cell:
        raise ValueError(
            "its point may separate thousands, because this file has semicolons or decimal commas; "
            "save it with commas between columns and decimal points"
        )
    if positive and value <= 0:
        raise ValueError("must be a positive finite number")
    if whole and not value.is_integer():
        raise ValueError("must be a whole number")


def _commas_elsewhere(table: CsvTable, rows: Sequence[Row], column: str) -> bool:
    """Whether another column of this file has decimal commas."""
    others = [name for name in table.columns if name != column and name in rows[0][1]]
    return table.separator != "," and any(
        has_decimal_commas([row[name] for _, row in rows], table.separator) for name in others
    )


def _texts(table: CsvTable, rows: Sequence[Row], column: str, errors: list[InputError]) -> list[str]:
    """The names in a column; what is wrong is added to `errors`."""
    for line, row in rows:
        if (wrong := _wrong_name(row[column])) is None:
            continue
        errors.append(InputError(wrong, where=table.place(line, column), got=row[column]))
        if len(errors) >= MOST_ERRORS:
            break
    return [row[column] for _, row in rows]


def _wrong_name(cell: str) -> str | None:
    hidden = _INVISIBLE.search(cell)
    if hidden is not None:
        return f"must be in one line and without invisible characters; this has U+{ord(hidden[0]):04X}"
    return None if cell else "must not be empty"


def _as_seeds(cells: Sequence[str]) -> list[str]:
    """Seeds by which rows are paired: whole numbers in one spelling, if all of them are."""
    # R writes 100000 as 1e+05, a spreadsheet a long seed as 1.23457E+09.
    cells = [str(int(float(c))) if _POWER.fullmatch(c) and float(c).is_integer() else c for c in cells]
    found = [_WHOLE.fullmatch(cell) for cell in cells]
    spelled = [("-" if m[1] == "-" and m[2] != "0" else "") + m[2] for m in found if m is not None]
    return spelled if len(spelled) == len(cells) else list(cells)
