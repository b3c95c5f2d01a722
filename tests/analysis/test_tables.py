"""Users' tables: what is read, and what the errors say."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.analysis.tables import read_comparison_table, read_scaling_table, read_strata
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
        (
            "batch_size,steps\n8,1\n16,nan\n",
            ["line 3, column steps", "finite", "got 'nan'", "Leave out points"],
        ),
        ("batch_size,steps\n8,1\n\nx,2\n", ["line 4, column batch_size", "got 'x'"]),
        ("batch_size,steps\n8,\n16,-1\n", ["2 errors", "line 2, column steps", "line 3, column steps"]),
        ("batch_size,steps\n8,1,5\n", ["line 2", "a cell for each column"]),
        ("batch_size,steps\n8,1\n", ["two different batch sizes", "Add rows"]),
        ("batch_size,steps\n8,1\n8,2\n", ["two different batch sizes"]),
        ("batch_size,steps\n", ["no rows"]),
        ("", ["the file is empty"]),
        ("batch_size,steps\n8,1\n16.5,2\n", ["line 3, column batch_size", "whole number", "16.5"]),
        ("batch_size,steps\n8,1e400\n16,2\n", ["line 2, column steps", "too large"]),
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
    with pytest.raises(
        InputError, match=r"line 4, column seed: the same group and seed as in line 2"
    ) as caught:
        read_comparison_table(path)
    assert "Remove one of the two, or name the column of the seeds with --seed." in str(caught.value)


def test_a_thousand_errors_are_not_all_told(written):
    path = written("batch_size,steps\n" + "8,x\n" * 1000)
    with pytest.raises(InputError, match="and 970 more") as caught:
        read_scaling_table(path)
    # Every line names the file, whose path may be of any length.
    assert len(str(caught.value).replace(str(path), "table.csv")) < 5000


def test_a_missing_or_binary_file(tmp_path):
    with pytest.raises(InputError, match="the file does not exist"):
        read_scaling_table(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-16 text"):
        read_scaling_table(tmp_path / "binary.csv")


WANDB = "Name,State,policy,seed,val/error\n"


def test_columns_of_trackers_by_their_own_names(written):
    mlflow = "run_id,status,metrics.error,params.rule,params.seed\nx,FINISHED,0.1,a,0\ny,FINISHED,0.2,b,0\n"
    expected = (["a", "b"], ["0", "0"], [0.1, 0.2])
    assert read_comparison_table(written(mlflow), metric="error", group="rule") == expected
    rows = "r0,finished,a,0,0.1\nr1,finished,b,0,0.2\n"
    assert read_comparison_table(written(WANDB + rows), metric="val/error", group="policy") == expected
    steps = "run_id,params.batch_size,metrics.steps\nx,8,100\ny,16,50\n"
    assert read_scaling_table(written(steps)) == ([8.0, 16.0], [100.0, 50.0])
    with pytest.raises(InputError, match=r"no column 'group'; got 'Name,State.*--group.*missing: --group"):
        read_comparison_table(written(WANDB + rows), metric="val/error")
    twice = "params.seed,tags.seed,group,metric\n0,1,a,0.1\n"
    with pytest.raises(InputError, match=r"several columns go by the name 'seed'.*--seed"):
        read_comparison_table(written(twice))


@pytest.mark.parametrize(
    "column", ["reached", "Goal_Reached", "summary.converged", "reached_goal", "hit the goal"]
)
@pytest.mark.parametrize("word", ["False", "no", "0"])
def test_the_budget_of_a_run_that_did_not_reach_the_goal_is_no_number_of_steps(written, column, word):
    path = written(f"batch_size,steps,{column}\n8,1000,True\n16,500,True\n32,9999,{word}\n")
    with pytest.raises(
        InputError, match=rf"line 4, column {column}: this run did not reach the goal.*--only {column}=True"
    ):
        read_scaling_table(path)
    assert read_scaling_table(path, only={column: "True"}) == ([8.0, 16.0], [1000.0, 500.0])
    rest = written(f"batch_size,steps,{column}\n8,1000,yes\n16,500,\n")
    assert read_scaling_table(rest)[1] == [1000.0, 500.0]


def test_a_column_of_steps_may_be_called_reached(written):
    path = written("batch_size,reached\n8,1000\n16,0.5e3\n")
    assert read_scaling_table(path, steps="reached")[1] == [1000.0, 500.0]


@pytest.mark.parametrize("state", ["crashed", "RUNNING", "Failed", "killed", "PRUNED"])
def test_a_run_that_did_not_finish_has_no_result(written, state):
    path = written(WANDB + f"r0,finished,a,0,0.1\nr1,{state},a,1,\nr2,finished,b,0,0.2\n")
    with pytest.raises(
        InputError, match=r"line 3, column State: this run did not finish.*--only State=finished"
    ):
        read_comparison_table(path, metric="val/error", group="policy")
    table = read_comparison_table(path, metric="val/error", group="policy", only={"State": "finished"})
    assert table[0] == ["a", "b"]


@pytest.mark.parametrize("header", ["Wall time,Step,Value", '"Step","run - loss","run - loss__MIN"'])
def test_curves_are_not_results(written, header):
    with pytest.raises(InputError, match="its rows are steps, not runs"):
        read_comparison_table(written(f"{header}\n1,2,3\n"))


def test_seeds_are_paired_by_their_number(written):
    path = written("group,seed,metric\na,7,1\na,08,2\nb,7.0,3\nb,8,4\n")
    assert read_comparison_table(path)[1] == ["7", "8", "7", "8"]
    path = written("group,seed,metric\na,7,1\na,007,2\n")
    with pytest.raises(InputError, match="same group and seed as in line 2"):
        read_comparison_table(path)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("group;seed;metric\na;0;0,05\na;1;12,5\na;2;3\n", [0.05, 12.5, 3.0]),
        ("sep=|\ngroup|seed|metric\na|0|0.5\na|1|2\na|2|3e-1\n", [0.5, 2.0, 0.3]),
        ('"group", "seed", "metric"\n"a", "0", " .5 "\n"a", "1", "-2."\n"a", "2", "+3"\n', [0.5, -2.0, 3.0]),
        ("group\tseed\tmetric\na\t0\t1.234\na\t1\t2.345\na\t2\t3.456\n", [1.234, 2.345, 3.456]),
        ("group;seed;metric\na;0;1.234\na;1;0.5\na;2;3\n", [1.234, 0.5, 3.0]),
    ],
)
def test_separators_and_decimal_commas_that_are_certain(written, text, values):
    assert read_comparison_table(written(text))[2] == values


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("group;seed;metric\na;0;1,234\na;1;5,678\n", "a decimal comma or separate thousands"),
        ("group;seed;metric\na;0;1.234\na;1;5.678\n", "its point may separate thousands"),
        ("group;seed;metric;size\na;0;0.1;0,5\na;1;0.2;1,5\n", "its point may separate thousands"),
        ("group;seed;metric\na;0;0,1\na;1;0.2\n", "decimal comma"),
        ('group,seed,metric\na,0,"0,1"\na,1,"0,2"\n', "decimal comma"),
        ("group,seed,metric\na\u200b,0,0.1\na,1,0.2\n", r"U\+200B"),
        ('group,seed,metric\n"a\nb",0,0.1\na,1,0.2\n', r"U\+000A"),
    ],
)
def test_what_is_not_certain_is_refused_by_name(written, text, reason):
    with pytest.raises(InputError, match=rf"line 2, column \w+: .*{reason}"):
        read_comparison_table(written(text))


ROWS = [(group, seed, base + seed / 100) for group, base in (("p", 0.1), ("q", 0.2)) for seed in range(3)]


def table(header: str, rows: list[tuple[object, ...]]) -> str:
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [
        ("State", "COMPLETED", "OUT_OF_MEMORY"),
        ("State", "COMPLETED", "CANCELLED by 1000"),
        ("run.status", "success", "Preempting"),
        ("attributes_state", "finished", ""),
        ("status", "Completed", "Published"),
        ("done", "True", "False"),
        ("done", "TRUE", ""),
    ],
)
def test_beside_runs_that_finished_any_other_word_is_a_run_that_did_not(written, column, good, bad):
    rows = [(*row, good) for row in ROWS]
    path = written(table(f"group,seed,metric,{column}", rows))
    assert read_comparison_table(path)[0] == ["p"] * 3 + ["q"] * 3
    path = written(table(f"group,seed,metric,{column}", [*rows, ("q", 3, 0.9, bad)]))
    with pytest.raises(
        InputError, match=rf"line 8, column {column}: this run did not .*--only {column}={good}"
    ):
        read_comparison_table(path)
    assert len(read_comparison_table(path, only={column: good})[0]) == 6


def test_a_column_that_only_looks_like_a_state_is_left_alone(written):
    rows = [(*row, word) for row, word in zip(ROWS, ["Ohio", "Utah", "Iowa"] * 2, strict=True)]
    assert len(read_comparison_table(written(table("group,seed,metric,state", rows)))[0]) == 6


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("16", "16.0"),
        ("0.1", "1e-1"),
        ("caf\u00e9", "cafe\u0301"),
        ("with w", "with\u00a0w"),
        ("a  b", "a b"),
    ],
)
def test_one_name_in_two_spellings_is_refused(written, first, second):
    rows = [(first, 0, 0.1), ("p", 0, 0.2), (second, 1, 0.1), ("p", 1, 0.3)]
    path = written(table("group,seed,metric", rows))
    with pytest.raises(InputError, match=r"line 4, column group: this is the same name .* in line 2"):
        read_comparison_table(path)
    with pytest.raises(InputError, match=r"line 4, column group: this is the same name"):
        read_strata(path, "group")


def test_names_that_differ_in_capitals_or_numbers_are_others(written):
    rows = [(name, seed, 0.1) for name in ("Adam", "adam", "16", "16.5", "v1.1", "v1.10") for seed in (0, 1)]
    assert len(set(read_comparison_table(written(table("group,seed,metric", rows)))[0])) == 6


def test_a_data_set_without_a_name_is_refused(written):
    path = written("group,seed,metric,data\np,0,0.1,\nq,0,0.1,d\n")
    with pytest.raises(InputError, match="line 2, column data: must not be empty"):
        read_strata(path, "data")


def test_seeds_as_r_and_spreadsheets_write_them_are_the_same_seeds(written):
    path = written("group,seed,metric\np,1e+05,1\np,2,1\nq,100000,2\nq,2.0,2\n")
    assert read_comparison_table(path)[1] == ["100000", "2", "100000", "2"]


def test_steps_of_one_run_are_not_replicates(written):
    curve = [(f"r{size}", size, steps) for size in (8, 16) for steps in (10, 20, 30)]
    with pytest.raises(InputError, match=r"line 3, column run_id: the same run as in line 2"):
        read_scaling_table(written(table("run_id,batch_size,steps", curve)))
    sweep = [("one", size, 100 / size) for size in (8, 16, 32)]
    assert len(read_scaling_table(written(table("run_id,batch_size,steps", sweep)))[0]) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "My results\n\ngroup,seed,metric\np,0,1\n",
            r"line 3: the first line must name .*Remove the lines above",
        ),
        ("group seed metric\np 0 1\n", "Separate them by commas"),
        ('"group,seed,metric"\n"p,0,1"\n', "Separate them by commas, and quote single cells"),
        ("group,seed,metric\np,0,0.1 ± 0.02\n", "an uncertainty after a number"),
        ("group,seed,metric\np,0,\n", "Remove the row, or write diverged"),
    ],
)
def test_tables_that_people_make_by_hand_are_refused_with_what_to_do(written, text, words):
    with pytest.raises(InputError, match=f"(?s){words}"):
        read_comparison_table(written(text))


@pytest.mark.parametrize("places", [[0], [2], [1, 3], [0, 1, 2, 3]])
@pytest.mark.parametrize(("bad", "what"), [('""', "must not be empty"), ("a\u200bb", r"U\+200B")])
def test_every_bad_name_is_found_wherever_it_is(written, places, bad, what):
    cells = [bad if place in places else f"group {place}" for place in range(4)]
    path = written("group,seed,metric\n" + "".join(f"{cell},0,{place}\n" for place, cell in enumerate(cells)))
    with pytest.raises(InputError, match=what) as caught:
        read_comparison_table(path)
    found = [line for line in range(2, 6) if f"line {line}, column group" in str(caught.value)]
    assert found == [place + 2 for place in places]
