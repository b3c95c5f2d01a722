"""Names in a table that are one name in two spellings: rows would be counted apart without a word."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from headrace.csv_cells import is_number
from headrace.csv_tables import CsvTable, Row
from headrace.errors import InputError


def check_not_alike(table: CsvTable, rows: Sequence[Row], column: str) -> None:
    """Refuse names that look the same, and numbers that are the same: `32` and `32.0`, accents in two forms.

    Capital letters make another name.

    Args:
        table: The table.
        rows: The rows that count.
        column: The column of the names.

    Raises:
        InputError: The second spelling and where the first is.
    """
    first: dict[str | float, tuple[str, int]] = {}
    known: set[str] = set()
    for line, cells in rows:
        cell = cells[column]
        if cell in known:
            continue
        known.add(cell)
        before, where = first.setdefault(_looks(cell), (cell, line))
        if before != cell:
            raise InputError(
                f"this is the same name as {before!a} in line {where}, spelled in another way",
                where=table.place(line, column),
                got=ascii(cell)[1:-1],
                fix="Write it in one way, or give the two different names.",
            )


def _looks(cell: str) -> str | float:
    """What is equal for names that are one."""
    if is_number(cell):
        return float(cell)
    return " ".join(unicodedata.normalize("NFKC", cell).split())
