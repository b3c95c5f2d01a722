"""Cells of CSV files: numbers that are read only if they are certain, and texts that no spreadsheet runs.

Pure functions of texts; imports nothing but the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

SMALLEST, LARGEST = 1e-60, 1e60
"""Numbers of tables are 0, or of a size between these.

Tests compare the squares of variances: the fourth power of a number, and of the smallest difference that two
numbers can have, is then finite and not 0.
"""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+(?:,[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_GROUPED = {mark: re.compile(rf"[+-]?[1-9][0-9]{{0,2}}(?:\{mark}[0-9]{{3}})+") for mark in (",", ".")}
_MONTH = r"(?:jan|feb|m[aä]r|mrz|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-z]*"
_REASONS: tuple[tuple[str, str], ...] = (
    (r"", "the cell is empty"),
    (r"[+-]?(?:nan|inf|infinity)", "a value that is not finite cannot be used"),
    (r"n/?a|null|none|-+|–|—|\?|missing", "this is a mark for a missing value"),
    (r"true|false|yes|no", "this is a truth value"),
    (r"#.*[!?/].*", "this is an error message of a spreadsheet"),
    (r"[+-]?0[xob][0-9a-f]+", "only decimal digits are read"),
    (rf"[0-9]{{1,4}}[.\-/ ]+(?:{_MONTH}|[0-9]{{1,2}}[.\-/][0-9]{{2,4}}).*|{_MONTH}[.\-/ ]*[0-9].*",
     "this looks like a date that a spreadsheet made of a number"),
    (r"[−–—‐-].*", "only the minus sign - of ASCII is read"),
    (r".*_.*", "underscores between digits are not read"),
    (r".*(?:±|\+/-|\+-).*", "an uncertainty after a number is not read: write the number alone"),
    (r".*%", "percent signs are not read: write 0.05 for 5%"),
    (r"[+-]?[0-9]+,[0-9]+(?:e[+-]?[0-9]+)?",
     "a comma may be a decimal comma or separate thousands: write a decimal point and no separators"),
    (r"[+-]?[0-9]+(?:[.,'’\s][0-9]+)+", "separators between thousands are not read"),
    (r"[+-]?[0-9.]+(?:e[+-]?[0-9]+)?\s*\D+", "units and text after a number are not read"),
)  # fmt: skip
_FORMULA = re.compile(r"['\s]*[=+\-@＝＋－＠]|'*[\t\r\n]")
_LOOKED_AT = 100
_QUOTED = re.compile(r"[\",;|\t\r\n]|^\s|\s$")


def number(cell: str, *, decimal_comma: bool = False) -> float:
    """The number of a cell: ASCII digits, a sign, a decimal point and an exponent, nothing else.

    Args:
        cell: The text, without white space around it.
        decimal_comma: Commas are decimal points; see `has_decimal_commas`.

    Raises:
        ValueError: It is not certainly a number, or too small or large for arithmetic; the text says why.
    """
    text = cell.replace(",", ".") if decimal_comma and _DECIMAL_COMMA.fullmatch(cell) else cell
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"must be a finite number; {_reason(cell)}")
    value = float(text)
    if abs(value) > LARGEST:
        raise ValueError(
            f"must be a finite number of at most {LARGEST:g}; this one is too large for arithmetic"
        )
    if abs(value) < SMALLEST and re.search("[1-9]", re.split("[eE]", text)[0]):
        raise ValueError(f"must be 0 or at least {SMALLEST:g}; this one is too small for arithmetic")
    return value


def is_number(cell: str) -> bool:
    """Whether a cell is written as a number, of any size."""
    return _NUMBER.fullmatch(cell) is not None


def has_decimal_commas(cells: Sequence[str], separator: str) -> bool:
    """Whether a whole column says that its commas are decimal points.

    It does if the columns are not separated by commas, every cell is a number with at most one comma and no
    point, and at least one cell cannot be thousands (`0,05`; `1,234` could).

    Args:
        cells: The column.
        separator: What separates the columns of the file.
    """
    with_comma = [cell for cell in cells if "," in cell]
    return (
        separator != ","
        and all(_DECIMAL_COMMA.fullmatch(cell) for cell in cells)
        and any(not _GROUPED[","].fullmatch(cell) for cell in with_comma)
    )


def has_unsure_points(cells: Sequence[str], separator: str) -> bool:
    """Whether every point of a column may separate thousands, as in `2.048` of a file with semicolons.

    Args:
        cells: The column.
        separator: What separates the columns of the file.
    """
    with_point = [cell for cell in cells if "." in cell]
    return separator == ";" and bool(with_point) and all(_GROUPED["."].fullmatch(c) for c in with_point)


def _reason(cell: str) -> str:
    for pattern, reason in _REASONS:
        if re.fullmatch(pattern, cell[:_LOOKED_AT], re.IGNORECASE | re.DOTALL):
            return reason
    if any(char.isdigit() and not char.isascii() for char in cell):
        return "only the digits 0 to 9 are read"
    return "this is text"


def safe_text(text: str) -> str:
    """A text as a cell that no spreadsheet runs: an apostrophe is put before what begins like a formula.

    Formulas begin with `=`, `+`, `-`, `@` (also in full width), tab, CR or LF. Numbers are left as they are.
    `given_text` gives every text back.
    """
    return f"'{text}" if _begins_a_formula(text) else text


def given_text(cell: str) -> str:
    """The text that `safe_text` made this cell of."""
    return cell[1:] if cell[:1] == "'" and _begins_a_formula(cell) else cell


def _begins_a_formula(text: str) -> bool:
    return bool(_FORMULA.match(text)) and not _NUMBER.fullmatch(text.lstrip("'"))


def csv_text(columns: Iterable[object], rows: Iterable[Iterable[object]], *, line_end: str = "\n") -> str:
    """A table as CSV (RFC 4180), its texts made safe, floats in full precision, None as an empty cell.

    Texts that hold any of the usual separators are quoted, so that no other separator splits them.
    """
    return "".join(",".join(map(_written, cells)) + line_end for cells in (columns, *rows))


def _written(value: object) -> str:
    if not isinstance(value, str):
        return "" if value is None else repr(float(value)) if isinstance(value, float) else str(value)
    text = safe_text(value)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
