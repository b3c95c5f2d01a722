"""The bytes of a CSV file: which encoding they have, and which files are given as CSV without being it."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path

from headrace.errors import InputError

MOST_BYTES = 128 * 2**20
_CSV = "Open it in the program that made it and save it as CSV (UTF-8)."
_WRITE = "Write it as CSV, with the columns' names in the first line."
_UNPACK = "Unpack it and give the CSV file in it."
_FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip file", _UNPACK),
    (b"BZh", "a bzip2 file", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz file", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd file", _UNPACK),
    (b"PK\x03\x04", "a zip file, as .xlsx, .ods and .numbers files are", _CSV),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls)", _CSV),
    (
        b"PAR1",
        "a Parquet file",
        "Write it as CSV, for example with polars.read_parquet(FILE).write_csv(NEW).",
    ),
    (b"ARROW1", "an Arrow file", "Write it as CSV, for example with polars.read_ipc(FILE).write_csv(NEW)."),
    (b"SQLite format 3\x00", "an SQLite database", "Export the table as CSV."),
    (b"\x89HDF", "an HDF5 file", "Export the table as CSV."),
    (b"\x93NUMPY", "a NumPy file", _WRITE),
    (b"%PDF", "a PDF file", _CSV),
    (b"\x80\x04", "a pickle", "Write it as CSV; pickles are never read."),
    (b"\x80\x05", "a pickle", "Write it as CSV; pickles are never read."),
)
_TEXTS = (
    (re.compile(r"\s*(?:\{\s*[\"}]|\[\s*[\[{\"\d\]])"), "JSON", _WRITE),
    (re.compile(r"\s*<(?:!doctype|html|\?xml|table|head|body)", re.IGNORECASE), "a web page or XML", _CSV),
)  # fmt: skip
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATOR_LINE = re.compile(r'"?sep=(.*?)"?', re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class CsvFile:
    """A file that is text.

    Attributes:
        path: The file.
        content: Its bytes.
        encoding: How they are decoded.
        separator: What its first line `sep=` says, as Excel writes it; None without such a line.
    """

    path: Path
    content: bytes
    encoding: str
    separator: str | None = None

    @property
    def lines_before(self) -> int:
        """How many lines are before the table."""
        return 0 if self.separator is None else 1

    def text(self) -> TextIOWrapper:
        """The lines of the table, their ends as they are in the file."""
        text = TextIOWrapper(BytesIO(self.content), encoding=self.encoding, newline="")
        for _ in range(self.lines_before):
            text.readline()
        return text


def read_csv_file(path: str | Path, separators: str) -> CsvFile:
    """Read a file that should be CSV; only text is accepted.

    Args:
        path: The file.
        separators: Which characters may separate columns.

    Raises:
        InputError: It cannot be read, is empty, too large, of another format, or in an unknown encoding.
    """
    path = Path(path)
    content = bounded(path, MOST_BYTES, "Keep only the columns and rows that are needed.")
    if not content.strip():
        raise InputError("the file is empty", where=str(path), fix="Check that it was saved.")
    for begin, name, fix in _FORMATS:
        if content.startswith(begin):
            raise InputError(f"this is {name}, not a CSV file", where=str(path), fix=fix)
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    text = _decoded(path, content, encoding)
    for pattern, name, fix in _TEXTS:
        if pattern.match(text):
            raise InputError(f"this is {name}, not a CSV file", where=str(path), fix=fix)
    return CsvFile(
        path=path, content=content, encoding=encoding, separator=_separator_line(path, text, separators)
    )


def bounded(path: Path, most: int, fix: str) -> bytes:
    """The bytes of a user's file; at most `most` are ever held.

    Args:
        path: The file.
        most: The number of bytes that it may have.
        fix: What to do about a larger one.

    Raises:
        InputError: The file is missing, cannot be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        raise InputError("the file does not exist", where=str(path), fix="Check the path.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"the file cannot be read ({error})", where=str(path), fix="Check it.") from None
    if len(content) > most:
        raise InputError(f"the file has more than {most:,} bytes", where=str(path), fix=fix)
    return content


def _decoded(path: Path, content: bytes, encoding: str) -> str:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = 1 + len(re.findall(rb"\r\n|\n|\r", content[: error.start]))
        raise InputError(
            f"the file is not {encoding.removesuffix('-sig').upper()} text",
            where=f"{path}, line {line}",
            got=content[error.start : error.start + 1],
            fix="Save it as CSV UTF-8, or convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW.",
        ) from None
    if (nul := text.find("\0")) >= 0:
        raise InputError(
            "the file holds a NUL character, so it is not text",
            where=f"{path}, line {1 + text.count(chr(10), 0, nul)}",
            fix="Save it as CSV UTF-8; it may be UTF-16 without its mark, or damaged.",
        )
    return text


def _separator_line(path: Path, text: str, separators: str) -> str | None:
    first = re.split(r"[\r\n]", text[:20], maxsplit=1)[0].lstrip("\ufeff")
    found = _SEPARATOR_LINE.fullmatch(first)
    if found is None:
        return None
    if len(found[1]) != 1 or found[1] not in separators:
        raise InputError(
            "the separator must be a comma, a semicolon, a tab or a vertical bar",
            where=f"{path}, line 1",
            got=first,
            fix="Save the file with one of these.",
        )
    return found[1]
