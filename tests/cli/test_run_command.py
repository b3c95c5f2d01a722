"""`run`, `status` and `report` on folders as they come: failed, damaged, in use, of another file."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from tests.experiments.inline_engine import Given, InlineEngine

from headrace.cli import experiments
from headrace.cli.app import execute
from headrace.engines.registry import ENGINES
from headrace.errors import InputError, InputErrors
from headrace.experiments import runner
from headrace.specs.experiment import Experiment
from headrace.store import experiments as store
from headrace.store import lock
from headrace.store import parts as parts_of_store
from headrace.store.live import LiveFile
from headrace.store.progress import State, StudyState

FILE = """
[workload]
name = "tests.experiments.tiny_workload:{workload}"
[grid]
batch_size = [8]
[search]
trials = 2
max_trials = 3
[search.space]
learning_rate = {{ low = 1e-3, high = 1.0, scale = "log" }}
[training]
budget = {{ steps = 8 }}
evaluation = {{ every = 4 }}
"""

_OF_TESTS = "tests.experiments.tiny_workload:"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run of broken trials: every command that reads a folder can be tried on a copy."""
    place = tmp_path_factory.mktemp("ran")
    file = _written(place, "broken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENGINES, "local", Given(InlineEngine))
        runner.run(Experiment.from_toml(file), place / "run", processes=1)
    return place


@pytest.fixture
def folder(ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ran / "run", tmp_path / "run")
    shutil.copy(ran / "broken.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Trials are trained in this process; the folder to write to."""
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("[8]", "[8, 97]"),
            "grid.batch_size: a batch cannot be larger than the training set of 96 examples; got 97. "
            "Use 96 for the full batch.",
        ),
        (
            ('blobs"', 'blobs"\ngoal = 1.5'),
            "workload.goal: the goal is met before training: validation/error of an untrained model is "
            "N; got 1.5. Set a lower goal; a metric must be lower for better models.",
        ),
    ],
)
def test_an_experiment_that_does_not_fit_its_workload_and_then_does(
    inline: Path, capsys: object, change: tuple[str, str], message: str
) -> None:
    file = _written(inline, "blobs")
    right = file.read_text()
    file.write_text(right.replace(*change))
    assert execute(["run", "blobs.toml", "--out", "run"]) == 2
    shown = capsys.readouterr()
    told = re.sub(r"model is [\d.]+", "model is N", shown.err)
    assert (shown.out, told) == ("", f"headrace: blobs.toml: 1 error\n  - {message}\n")
    file.write_text(right)
    runner.run(Experiment.from_toml(file), inline / "run", processes=1)
    assert store.load(inline / "run").experiment == Experiment.from_toml(file)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import nothing_of_the_kind", "No module named 'nothing_of_the_kind'"),
        ("make = 3", "'make' in the module 'mine' is not a function; got 'int'"),
        ("def make(): return 3", "the function must return a headrace.Workload; got 'int'"),
        ("def make(): raise SystemExit('bye')", "the workload's function raised SystemExit: bye ("),
        ("def made(): pass", "the module 'mine' has no function 'make'. Did you mean 'made'?"),
        (
            "from tests.experiments.tiny_workload import blobs\n"
            "from dataclasses import replace\n"
            "def build():\n    raise ValueError('no model')\n"
            "def make(): return replace(blobs(), build_model=build)\n",
            "making and evaluating an untrained model raised ValueError: no model (",
        ),
    ],
)
def test_a_module_that_cannot_be_used(
    inline: Path, capsys: object, monkeypatch: pytest.MonkeyPatch, body: str, message: str
) -> None:
    (inline / "mine.py").write_text(body)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    monkeypatch.syspath_prepend(str(inline))
    (inline / "mine.toml").write_text(_written(inline, "x").read_text().replace(_OF_TESTS + "x", "mine:make"))
    assert execute(["run", "mine.toml", "--out", "run"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert "mine.py, line" in shown.err or " raised " not in shown.err
    assert not (inline / "run" / "studies").exists()


def test_failed_trials_are_told_with_the_place_in_the_users_code(folder: Path, capsys: object) -> None:
    assert execute(["status", "run", "--json"]) == 0
    (study,) = json.loads(capsys.readouterr().out)["studies"]
    assert (study["trials"], study["failed"], study["best_steps"]) == (3, 3, None)
    assert execute(["status", "run"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("run: 1 of 1 studies finished, 3 trials")
    head, line, fix = shown.err.splitlines()
    assert head == "headrace: trials failed with an error and do not count:"
    assert line.startswith(
        "  - 3 trials, first sgd,batch_size=8, trial 0: RuntimeError: the user's model is broken"
    )
    assert "tiny_workload.py, line " in line
    assert fix == "Fix the cause and give the same command again: only these trials are repeated."


def test_a_run_with_failed_trials_ends_with_1_and_one_json_object(
    folder: Path, capsys: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "run", lambda *_, **__: store.load(folder))
    assert execute(["run", "broken.toml", "--out", "run", "--json"]) == 1
    shown = capsys.readouterr()
    results = json.loads(shown.out)
    assert results["studies"][0]["trials"]["failed"] == 3
    assert any("the goal was never reached" in sentence for sentence in results["conclusions"])
    assert "Fix the cause" in shown.err
    assert (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("suffix", "command"),
    [
        ("json", ("report", "run")),
        ("json", ("status", "run")),
        ("json", ("run", "broken.toml", "--out", "run")),
        ("parquet", ("report", "run")),
    ],
)
@pytest.mark.parametrize("altered", [b"", b"x"])
def test_a_truncated_or_altered_part_is_named_and_kept(
    folder: Path, capsys: object, suffix: str, command: tuple[str, ...], altered: bytes
) -> None:
    part = folder / "studies" / "sgd,batch_size=8" / f"00001.{suffix}"
    part.write_bytes(part.read_bytes()[:-1] + altered)
    before = sorted(folder.rglob("*"))
    assert execute(command) == 2
    assert capsys.readouterr().err == (
        f"headrace: {part.relative_to(folder.parent)}: is truncated or was altered. Delete 00001.json and "
        "00001.parquet there and run again: only their trials are repeated.\n"
    )
    assert sorted(folder.rglob("*")) == before


def test_a_folder_of_another_experiment(folder: Path, capsys: object) -> None:
    other = folder.parent / "other.toml"
    other.write_text(FILE.format(workload="broken").replace("trials = 2", "trials = 3"))
    assert execute(["run", "other.toml", "--out", "run"]) == 2
    assert re.sub(r"\d+ s of", "0 s of", capsys.readouterr().err) == (
        "headrace: run: holds another experiment; they differ in search.trials (there 2, here 3). "
        "Extending it keeps 3 of 3 stored trials of 1 study (0 s of training), asks for 3 trials per study "
        "instead of 2. Extend it with --extend. Otherwise: choose another folder, or undo the change.\n"
    )


def test_a_folder_where_nothing_was_trained_is_free(tmp_path: Path) -> None:
    first = Experiment.from_toml(_written(tmp_path, "blobs"))
    store.create(tmp_path / "run", first)
    second = Experiment.from_toml(_written(tmp_path, "broken"))
    store.create(tmp_path / "run", second)
    assert store.load(tmp_path / "run").experiment == second


def test_a_folder_in_use(folder: Path, capsys: object) -> None:
    with lock.exclusive(folder):
        process = lock.holder(folder)
        assert execute(["run", "broken.toml", "--out", "run"]) == 2
        assert capsys.readouterr().err == (
            f"headrace: run: is in use by process {process}. Wait until it ends, or choose another folder.\n"
        )
        assert execute(["status", "run"]) == 0
        assert f"3 trials; running (process {process})" in capsys.readouterr().out
    assert lock.holder(folder) is None


def test_status_believes_a_run_under_way_and_no_dead_one(folder: Path, capsys: object) -> None:
    state = StudyState(
        study="sgd,batch_size=8", trials=2, of=2, infeasible=0, failed=0, best_steps=4, finished=False
    )
    with LiveFile(folder) as live:
        live(State(studies=(state,), share=0.5, seconds=60.0, seconds_left=60.0))
        execute(["status", "run", "--json"])
        assert json.loads(capsys.readouterr().out)["running"] is False
        with lock.exclusive(folder):
            execute(["status", "run", "--json"])
            running = json.loads(capsys.readouterr().out)
            assert (running["running"], running["share"], running["studies"][0]["trials"]) == (True, 0.5, 2)
            execute(["status", "run"])
            assert ", about 60 s left" in capsys.readouterr().out
    assert not (folder / "progress.json").exists()


def test_a_run_that_is_refused_leaves_the_file_of_the_one_under_way(tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_text("{}")
    with LiveFile(tmp_path):
        pass
    assert (tmp_path / "progress.json").exists()


def test_errors_of_a_workload_carry_the_files_name() -> None:
    with (
        pytest.raises(InputError, match=r"^my\.toml: a module is missing$"),
        experiments._named(Path("my.toml")),
    ):
        raise InputError("a module is missing")
    inner = InputError("too large", where="grid.batch_size", got=9)
    with (
        pytest.raises(InputErrors, match=r"^my\.toml: 1 error\n  - grid\.batch_size: too large; got 9$"),
        experiments._named(Path("my.toml")),
    ):
        raise InputErrors([inner], where="the experiment on digits")


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "headrace: interrupted; the same command continues from here\n"),
        (
            PermissionError(13, "Permission denied", "run"),
            1,
            "headrace: run: Permission denied. What was measured is safe; fix this and run again.\n",
        ),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_what_ends_a_command(
    tmp_path: Path,
    capfd: object,
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    code: int,
    message: str,
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(runner, "run", stop)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    file = _written(tmp_path, "blobs")
    assert execute(["run", str(file), "--out", str(tmp_path / "run")]) == code
    assert capfd.readouterr() == ("", message)


def _written(place: Path, workload: str) -> Path:
    file = place / f"{workload}.toml"
    file.write_text(FILE.format(workload=workload))
    return file


def test_a_run_reads_its_folder_once(inline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one, one that resumes, and one with nothing left; and what it passes on is what lies there."""
    calls: list[str] = []
    for room, name in ((store, "load"), (parts_of_store, "read_part")):
        original = getattr(room, name)

        def counted(*given: object, original=original, name=name) -> object:
            calls.append(name)
            return original(*given)

        monkeypatch.setattr(room, name, counted)
    carried: list[store.StoredExperiment] = []
    conclude = experiments.conclude

    def concluded(stored: store.StoredExperiment, json: bool) -> int:
        carried.append(stored)
        return conclude(stored, json)

    monkeypatch.setattr(experiments, "conclude", concluded)
    file = _written(inline, "blobs")
    for kept in (0, 1, None):
        parts = sorted((inline / "run").glob("studies/*/*.json"))
        for part in parts[kept:] if kept else ():
            part.unlink()
        there = len(sorted((inline / "run").glob("studies/*/*.json")))
        assert execute(["run", str(file), "--out", "run"]) == 0
        assert calls == ["load"] + there * ["read_part"]
        assert carried[-1] == store.load(Path("run"))
        calls.clear()
