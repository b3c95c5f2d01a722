"""Users' tables: what is read, and what the errors say."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.analysis.tables import read_comparison_table, read_scaling_table
from headrace.errors import InputError


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_columns_in_any_order_among_others_with_blank_lines(written):
    path = written("\ufeffsteps, note ,batch_size\n100,a,8\n\n 50 ,b,16\n1e3,c,4\n")
    assert read_scaling_table(path) == ([8.0, 16.0, 4.0], [100.0, 50.0, 1000.0])


def test_rows_of_a_larger_table(written):
    path = written("group,size,seed,error\na,1,0,0.1\na,2,0,0.2\nb,2,0,0.3\n")
    assert read_comparison_table(path, metric="error", only={"size": "2"}) == (
        ["a", "b"],
        ["0", "0"],
        [0.2, 0.3],
    )
    with pytest.raises(InputError, match=r"line 3.*the same group and seed.*--only size=2"):
        read_comparison_table(path, metric="error")
    with pytest.raises(InputError, match=r"no row has this size; got '3'. There are: 1, 2"):
        read_comparison_table(path, metric="error", only={"size": "3"})
    with pytest.raises(InputError, match="there is no column 'rank'"):
        read_comparison_table(path, metric="error", only={"rank": "3"})


def test_a_comparison_table_with_its_own_metric(written):
    path = written('group,seed,error\na,0,0.1\n"b, c",x,-2\n')
    assert read_comparison_table(path, metric="error") == (["a", "b, c"], ["0", "x"], [0.1, -2.0])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("batch,steps\n8,1\n", ["line 1", "no column 'batch_size'", "Did you mean 'batch'?"]),
        ("batch_size,steps\n8,1\n16,nan\n", ["line 3, column steps", "positive finite", "got 'nan'"]),
        ("batch_size,steps\n8,1\n\nx,2\n", ["line 4, column batch_size", "got 'x'"]),
        ("batch_size,steps\n8,\n16,-1\n", ["2 errors", "line 2, column steps", "line 3, column steps"]),
        ("batch_size,steps\n8,1,5\n", ["line 2", "a cell for each column"]),
        ("batch_size,steps\n8,1\n", ["two different batch sizes", "Add rows"]),
        ("batch_size,steps\n8,1\n8,2\n", ["two different batch sizes"]),
        ("batch_size,steps\n", ["no rows"]),
        ("", ["no column"]),
    ],
)
def test_errors_name_line_column_value_and_fix(written, text, parts):
    path = written(text)
    with pytest.raises(InputError) as caught:
        read_scaling_table(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_a_seed_that_a_group_has_twice_names_both_lines(written):
    path = written("group,seed,metric\na,0,1\nb,0,1\na,0,2\n")
    with pytest.raises(InputError, match=r"line 4, column seed: the same group and seed as in line 2"):
        read_comparison_table(path)


def test_a_thousand_errors_are_not_all_told(written):
    path = written("batch_size,steps\n" + "8,x\n" * 1000)
    with pytest.raises(InputError, match="and 980 more") as caught:
        read_scaling_table(path)
    assert len(caught.value.errors) == 21
    # Every line names the file, whose path may be of any length.
    assert len(str(caught.value).replace(str(path), "table.csv")) < 4000


def test_a_missing_or_binary_file(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_scaling_table(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as text"):
        read_scaling_table(tmp_path / "binary.csv")
