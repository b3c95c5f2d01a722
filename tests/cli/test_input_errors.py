"""What a user's mistakes look like: the text, the exit code, and that nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.cli.app import execute

FILE = """
[workload]
name = "digits-mlp"
[grid]
batch_size = [8, 16]
[search]
trials = 4
[search.space]
learning_rate = { low = 1e-3, high = 1.0, scale = "log" }
[training]
budget = { steps = 60 }
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit code and standard error; nothing may stand on standard output."""
    code = execute(arguments)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    return code, shown.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("trials = 4", "trails = 4"),
            "search.trails: unknown key 'trails'. Did you mean 'trials'?",
        ),
        (("[grid]", "[gird]"), "gird: unknown key 'gird'. Did you mean 'grid'?"),
        (("low =", "lo ="), "search.space.learning_rate.lo: unknown key 'lo'. Did you mean 'low'?"),
        (("trials = 4", 'trials = "4"'), "search.trials: input should be a valid integer; got '4'"),
        (("[8, 16]", "[]"), "grid.batch_size: must be a list that is not empty; got []"),
        (("[8, 16]", "8"), "grid.batch_size: must be a list that is not empty; got 8"),
        (("budget = { steps = 60 }", ""), "training.budget: is missing. Add it."),
    ],
)
def test_a_wrong_experiment_file(here: Path, capsys: object, change: tuple[str, str], message: str) -> None:
    (here / "wrong.toml").write_text(FILE.replace(*change))
    code, shown = said(capsys, "run", "wrong.toml")
    assert code == 2
    assert shown.startswith("headrace: wrong.toml: ")
    assert f"  - {message}" in shown
    assert not (here / "runs").exists()


def test_all_errors_of_a_file_at_once(here: Path, capsys: object) -> None:
    (here / "wrong.toml").write_text(FILE.replace("8, 16", '8, "x", -1').replace("steps = 60", "steps = 0"))
    assert said(capsys, "run", "wrong.toml") == (
        2,
        "headrace: wrong.toml: 3 errors\n"
        "  - grid.batch_size[1]: input should be a valid integer; got 'x'\n"
        "  - grid.batch_size[2]: input should be greater than or equal to 1; got -1\n"
        "  - training.budget.steps: input should be greater than or equal to 1; got 0\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "none.toml"), "none.toml: the file does not exist. Check the path."),
        (("status", "none"), "none: there is no experiment in this folder. Check the path."),
        (("report", "none"), "none: there is no experiment in this folder. Check the path."),
        (("fit", "none.csv"), "none.csv: the file does not exist. Check the path."),
        (("rnu",), 'Unknown command "rnu". Did you mean "run"?'),
        (("fit", "x.csv", "--jsno"), "Unknown option: --jsno. Did you mean --json?"),
    ],
)
def test_what_is_not_there(here: Path, capsys: object, arguments: tuple[str, ...], message: str) -> None:
    code, shown = said(capsys, *arguments)
    assert code == 2
    assert shown.startswith(f"headrace: {message}")
    assert list(here.iterdir()) == []


def test_no_processes(here: Path, capsys: object) -> None:
    (here / "right.toml").write_text(FILE)
    assert said(capsys, "run", "right.toml", "--processes", "0") == (
        2,
        "headrace: --processes: must be at least 1; got 0\n",
    )
    assert not (here / "runs").exists()


NOT_POSITIVE = (
    "must be a positive finite number; got '-3'. Leave out points at which the goal was not reached."
)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "batch_size,steps\n1,9\n2,NaN\n",
            "t.csv: 1 error\n  - t.csv, line 3, column steps: must be a finite number; a value",
        ),
        (
            "batch_size,steps\n1,9\n2,many\n",
            "t.csv: 1 error\n  - t.csv, line 3, column steps: must be a finite number; this is text",
        ),
        ("batch_size,steps\n1,9\n2,-3\n", f"t.csv: 1 error\n  - t.csv, line 3, column steps: {NOT_POSITIVE}"),
        ("batch_size,steps\n1,9\n", "t.csv: a fit needs at least two different batch sizes; got [1.0]."),
        ("batch_size,steps\n", "t.csv: the table has no rows."),
        ("batch_size,step\n1,9\n2,5\n", "t.csv, line 1: there is no column 'steps'; got 'batch_size,step'."),
        ("", "t.csv: the file is empty."),
        ("batch_size,steps\n1,9\n2,5,1\n", "t.csv: 1 error\n  - t.csv, line 3: a cell for each column"),
    ],
)
def test_a_wrong_table_for_a_fit(here: Path, capsys: object, table: str, message: str) -> None:
    (here / "t.csv").write_text(table)
    code, shown = said(capsys, "fit", "t.csv")
    assert code == 2
    assert shown.startswith(f"headrace: {message}")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "a,1,0.1\na,2,n.n\nb,1,1\nb,2,1\n",
            "t.csv: 1 error\n  - t.csv, line 3, column metric: must be a fin",
        ),
        (
            "b,1,0.1\nb,2,0.2\nc,1,1\nc,2,1\n",
            "baseline: unknown group; got 'a'. The groups are b, c.",
        ),
        ("a,1,0.1\na,2,0.2\n", "baseline: there is no group other than the baseline; got 'a'"),
        ("a,1,0.1\nb,1,0.2\n", "group 'a': a group needs at least two seeds; got 1."),
    ],
)
def test_a_wrong_table_for_a_comparison(here: Path, capsys: object, rows: str, message: str) -> None:
    (here / "t.csv").write_text("group,seed,metric\n" + rows)
    code, shown = said(capsys, "compare", "t.csv", "--baseline", "a")
    assert code == 2
    assert shown.startswith(f"headrace: {message}")


def test_a_figure_of_no_known_form(here: Path, capsys: object) -> None:
    (here / "t.csv").write_text("group,seed,metric\na,1,0.1\na,2,0.2\nb,1,0.1\nb,2,0.3\n")
    code, shown = said(capsys, "compare", "t.csv", "--baseline", "a", "--figure", "t.gif")
    assert code == 2
    assert shown.startswith("headrace: --figure: a figure's name ends in .svg, .pdf, .png; got 't.gif'")
