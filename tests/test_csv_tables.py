"""CSV files: what is certain is read, everything else is refused with its line."""

from __future__ import annotations

import csv
import gzip
import random
import re
import threading
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.analysis.tables import read_comparison_table
from headrace.csv_cells import csv_text, given_text, is_number, number, safe_text
from headrace.csv_tables import SEPARATORS, CsvTable, read_csv
from headrace.errors import InputError


@pytest.fixture
def read(tmp_path: Path):
    def read(content: str | bytes, *likely: str) -> CsvTable:
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_csv(path, likely=likely or ("index", "label"))

    return read


def refused(read, content, *parts: str) -> None:
    with pytest.raises(InputError) as caught:
        read(content)
    for part in ("t.csv", *parts):
        assert part in str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_separator_line_end_and_encoding_reads_alike(read, end, separator, encoding):
    lines = ["label,note,index", "a\u0085b\u2028c,,1", "", '"x, y",é,2', ",,", "z\u00a0,e,3,,"]
    cells = [next(csv.reader([line])) for line in lines]
    text = end.join(separator.join(f'"{c}"' if "," in c else c for c in row) for row in cells) + end
    table = read(text.encode(encoding))
    assert (table.columns, table.separator, table.header_line) == (("label", "note", "index"), separator, 1)
    assert [(line, row["label"], row["index"]) for line, row in table.rows] == [
        (2, "a\u0085b\u2028c", "1"),
        (4, "x, y", "2"),
        (6, "z", "3"),
    ]


def test_line_numbers_count_the_lines_of_quoted_cells(read):
    table = read('sep=;\n\nindex;label;note\n1;a;"two\r\nlines"\n\n2;b;""\n')
    assert [line for line, _ in table.rows] == [4, 7]
    assert table.header_line == 3
    assert table.rows[0][1]["note"] == "two\r\nlines"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('index,label\n1,a\n2,"b\n3,c\n', ["line 3", "a quote is opened and never closed"]),
        ('index,label\n1,a\n2,"b" c\n3,c\n', ["line 3", "text follows a closing quote"]),
        ('index,label,note\n1,a,"oh\n2,b,"\n3,c,\n', ["line 2", "a row of its own", "2,b,"]),
        ('index,label,note\n1,a,"b\n2,c,""\n3,d,\n', ["line 2", "never closed"]),
        ("index,label\n1,a\n2\n3,c,d\n", ["2 errors", "line 3", "line 4", "got 3", "2 columns", "commas"]),
        ("index,label\n1,a\n#2,b\n", ["line 3", "begins with #"]),
        ("# made by hand\nindex,label\n1,a\n", ["line 1", "begins with #"]),
        ("sep=:\nindex:label\n1:a\n", ["line 1", "sep=:"]),
        (" \n\n", ["the file is empty"]),
        ("index,label\n1,a\x00b\n", ["line 2", "NUL"]),
        ("index,label\n1,ä\n".encode("cp1252"), ["line 2", "not UTF-8", "WINDOWS-1252"]),
        ("index,label\n1,a\n".encode("utf-16-le"), ["NUL", "UTF-16"]),
        ("index,label\n1,a\n".encode("utf-16") + b"\x00", ["not UTF-16 text"]),
        (gzip.compress(b"index,label\n1,a\n", mtime=0), ["a gzip file", "Unpack"]),
        (b"PK\x03\x04xl/workbook", [".xlsx", "save it as CSV"]),
        (b"PAR1\x00\x00", ["a Parquet file", "read_parquet"]),
        ('[{"index": 1, "label": "a"}]', ["JSON"]),
        ("<!DOCTYPE html>\n<table>", ["a web page"]),
    ],
)
def test_what_is_doubtful_is_refused_with_line_and_fix(read, text, parts):
    refused(read, text, *parts)


def test_columns_missing_or_named_twice(read):
    read("index,label,note,note\n1,a,x,y\n").require(("index", "label"))
    with pytest.raises(
        InputError, match=r"line 1: the column 'label' is named twice; got 'index,label, ?label'"
    ):
        read("index,label, label\n1,a,9\n").require(("index", "label"))
    with pytest.raises(InputError, match=r"no column 'label'; got 'index;Label'. Did you mean 'Label'"):
        read("index;Label\n1;a\n").require(("index", "label"))
    with pytest.raises(InputError, match="no rows"):
        read("index,label\n\n").require(("index", "label"))


def test_notes_of_several_lines_are_no_rows(read):
    table = read('note,index,label\n"1, 2\nand 3",1,a\n"a,b,c\nd,e,f",2,b\n')
    assert [row["label"] for _, row in table.rows] == ["a", "b"]


def test_long_cells_leave_the_process_as_it_was(read):
    before = csv.field_size_limit()
    assert len(read("index,label\n1," + "x" * 200_000).rows[0][1]["label"]) == 200_000
    refused(read, 'index,label\n1,"' + "x" * 200_000, "never closed")
    assert csv.field_size_limit() == before


def test_many_threads_read_long_cells(tmp_path):
    (tmp_path / "t.csv").write_text("index,label\n" + f"1,{'x' * 140_000}\n" * 3)
    counts: list[int] = []

    def run() -> None:
        counts.append(len(read_csv(tmp_path / "t.csv", likely=("index",)).rows))

    threads = [threading.Thread(target=run) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert counts == [3] * 8


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "empty"),
        ("nan", "finite"),
        ("-Infinity", "finite"),
        ("N/A", "missing"),
        ("-", "missing"),
        ("1_04", "underscores"),
        ("10%", "percent"),
        ("5 ms", "units"),
        ("1e", "units"),
        ("0x10", "decimal digits"),
        ("TRUE", "truth"),
        ("1.Mar", "date"),
        ("2024-03-01", "date"),
        ("Mrz 24", "date"),
        ("#DIV/0!", "spreadsheet"),
        ("1,234", "comma"),
        ("1 234", "thousands"),
        ("1\u00a0234", "thousands"),
        ("1'234.5", "thousands"),
        ("−0.1", "minus"),
        ("１６", "digits 0 to 9"),
        ("٣", "digits 0 to 9"),
        ("1e308", "too large"),
        ("-1e61", "too large"),
        ("1e-320", "too small"),
        ("1e-9999", "too small"),
        ("9" * 5000, "too large"),
        ("abc", "text"),
        ("x" * 200_000, "text"),
        ("1 1" * 70_000, "thousands|units|text"),
    ],
)
def test_cells_that_are_no_certain_numbers_say_why(cell, reason):
    with pytest.raises(ValueError, match=reason):
        number(cell)


@given(
    st.floats(-1e59, 1e59).filter(lambda x: x == 0 or abs(x) > 1e-59),
    st.sampled_from(["", ".17e", ".6f", "+.3g"]),
)
def test_numbers_as_python_writes_them_are_read(value, form):
    text = repr(value) if not form else format(value, form)
    assert number(text) == float(text)
    assert number("0e-999") == 0


@given(st.text(st.sampled_from("'=+-@\t\r\n ＝a0.,;\"") | st.characters(codec="utf-8")))
def test_texts_come_back_and_no_cell_begins_a_formula(text):
    cell = safe_text(text)
    assert given_text(cell) == text
    assert is_number(cell) or cell.lstrip(" ")[:1] not in set("=+-@\t\r\n＝") or not cell


@given(
    st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=2))
)
def test_what_is_written_is_read_by_any_program(rows):
    text = csv_text(("a", "=b"), [[*row, -0.5, None] for row in rows])
    first, *others = csv.reader(StringIO(text, newline=""), strict=True)
    assert first == ["a", "'=b"]
    assert [[given_text(cell) for cell in row] for row in others] == [[*row, "-0.5", ""] for row in rows]


def test_numbers_of_every_kind_are_written_plainly():
    row = [0.1, np.float64(0.1), np.float32(0.5), np.int64(3), True, None, "-0.5", "=1+1", "a;b"]
    assert csv_text(range(9), [row]).splitlines()[1] == '0.1,0.1,0.5,3,True,,-0.5,\'=1+1,"a;b"'


WHOLE = 'group,seed,error,note\na,0,0.5,"x, y"\na,1,0.25,\n\nb,0,1e-1,"two\nlines"\nb,1,-3.5,z\n'
ALPHABET = [*"ab01.,;|\t\"'#\n\r =+-_eE%\0é\u0085\u2028\u200b", '""', '"\n', "\r\n", "nan", "1e999", "sep=;"]


def altered(draw: random.Random) -> bytes:
    """A table with one to three characters or bytes added, lost or changed."""
    text = WHOLE.replace(",", draw.choice(",,,;\t|"))
    for _ in range(draw.choice([1, 1, 2, 3])):
        at = draw.randrange(len(text))
        text = text[:at] + draw.choice(["", draw.choice(ALPHABET)]) + text[at + draw.randrange(2) :]
    content = bytearray(text.encode(draw.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16"])))
    if draw.random() < 0.2:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(content)


def looks_like_a_row(line: str, separator: str) -> bool:
    cells = [cell.strip() for cell in line.split(separator)]
    return len(cells) == 4 and is_number(cells[1]) and is_number(cells[2])


def try_alterations(numbers: range, path: Path) -> int:
    """Read altered tables; how many were taken, each with every line that looks like a row."""
    taken = 0
    for seed in numbers:
        path.write_bytes(altered(random.Random(seed)))
        try:
            table = read_csv(path, likely=("group", "seed", "error"))
            read_comparison_table(path, metric="error")
        except InputError as error:
            assert str(path) in str(error), seed
            continue
        content = path.read_bytes()
        text = content.decode("utf-16" if content[:1] in b"\xff\xfe" else "utf-8-sig")
        lines = enumerate(re.split(r"\r\n|\n|\r", text), start=1)
        expected = {number for number, line in lines if looks_like_a_row(line, table.separator)}
        assert expected <= {line for line, _ in table.rows}, (seed, text)
        taken += 1
    return taken


def test_altered_tables_are_refused_or_lose_no_line(tmp_path: Path) -> None:
    assert 50 < try_alterations(range(400), tmp_path / "t.csv") < 350


@pytest.mark.slow
def test_ten_thousand_altered_tables(tmp_path: Path) -> None:
    taken = try_alterations(range(10_000, 20_000), tmp_path / "t.csv")
    print(f"10,000 altered tables: {taken:,} taken, the others refused; 0 tracebacks, no line lost")
