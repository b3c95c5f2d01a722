"""`headrace init` writes a workload and an experiment that run as they are, on made-up data or on yours."""

from __future__ import annotations

import io
import sys
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from tests.experiments.inline_engine import Given, InlineEngine

from headrace.cli import starting
from headrace.cli.app import execute
from headrace.cli.starting import EXPERIMENT, MODULE, STARTERS
from headrace.engines.registry import ENGINES
from headrace.experiments import runner
from headrace.specs.experiment import Experiment


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a folder of its own, where `my_workload` is nobody else's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_workload", raising=False)
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))


def ran(folder: Path, monkeypatch: pytest.MonkeyPatch) -> float:
    """Train what was written for a few steps; the last validation metric."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    content = tomllib.loads((folder / EXPERIMENT).read_text())
    content["training"]["budget"] = {"steps": 3}
    content["search"] = {"trials": 1, "space": {"learning_rate": 0.01}}
    content["grid"]["batch_size"] = [8]
    stored = runner.run(Experiment.from_dict(content), folder / "out", processes=1)
    (record,) = stored.records
    assert record.error is None
    return stored.measurements[f"validation/{stored.metric_name}"].drop_nulls()[-1]


@pytest.mark.parametrize(("data", "task"), STARTERS)
def test_made_up_data_run_at_once(
    data: str, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert execute(["init", "new", "--data", data, "--task", task]) == 0
    assert np.isfinite(ran(tmp_path / "new", monkeypatch))


def _pictures(place: Path) -> Path:
    for name, grey in (("cats", 40), ("dogs", 200)):
        (place / "pets" / name).mkdir(parents=True)
        for number in range(20):
            picture = np.full((9, 9, 3), grey + number, dtype=np.uint8)
            Image.fromarray(picture).save(place / "pets" / name / f"{number}.png")
    return place / "pets"


def _table(place: Path) -> Path:
    values = np.arange(60.0)
    table = pl.DataFrame({"one": values, "constant": 0 * values, "target": (values % 3).astype(int)})
    table.write_csv(place / "rows.csv")
    return place / "rows.csv"


def _text(place: Path) -> Path:
    (place / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 60)
    return place / "text.txt"


MADE = {"images": _pictures, "table": _table, "text": _text}


@pytest.mark.parametrize(("data", "task"), [kind for kind in STARTERS if kind[0] in MADE])
def test_data_that_are_named_are_read(
    data: str, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = MADE[data](tmp_path).relative_to(tmp_path)
    assert execute(["init", "new", "--data", data, "--task", task, "--where", str(where)]) == 0
    assert f"WHERE: str | None = '../{where}'" in (tmp_path / "new" / MODULE).read_text()
    assert np.isfinite(ran(tmp_path / "new", monkeypatch))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--data"),
        (["--data", "image"], "Did you mean 'images'"),
        (["--data", "table"], "--task"),
        (["--data", "images", "--task", "numbers"], "classes"),
        (["--data", "images", "--where", "nowhere"], "nowhere"),
        (["--data", "text", "--where", "."], "must be a file"),
        (["--data", "own", "--where", "."], "data of your own"),
    ],
)
def test_a_wrong_answer_is_named_and_nothing_is_written(
    options: list[str], words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert execute(["init", "new", *options]) == 2
    assert words in capfd.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "new").exists()


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / EXPERIMENT).write_text("mine")
    assert execute(["init", "--data", "own"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == [EXPERIMENT]
    assert (tmp_path / EXPERIMENT).read_text() == "mine"


def test_on_a_terminal_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _table(tmp_path)
    monkeypatch.setattr(starting, "_asks", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("tabel\ntable\nnumbers\nrows.csv\n"))
    assert execute(["init"]) == 0
    assert capfd.readouterr().err.count("What are your data?") == 2
    assert "WHERE: str | None = 'rows.csv'" in (tmp_path / MODULE).read_text()
    monkeypatch.setattr(sys, "stdin", io.StringIO("table\n"))
    assert execute(["init", "other"]) == 130
    assert not (tmp_path / "other").exists()
