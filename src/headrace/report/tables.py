"""A small table of values: what a figure shows, as a reader downloads it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from headrace.csv_cells import csv_text

Cell = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns and rows.

    Attributes:
        columns: The names.
        rows: The rows, each as long as `columns`; None is an empty cell.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"every row needs {len(self.columns)} cells: {', '.join(self.columns)}")

    def csv(self) -> str:
        """The table as CSV (RFC 4180, with plain line feeds), floats in full precision, no text a formula."""
        return csv_text(self.columns, self.rows)

    def data_uri(self) -> str:
        """The CSV as a link that needs no other file."""
        return "data:text/csv;charset=utf-8," + quote(self.csv(), safe="", errors="backslashreplace")
