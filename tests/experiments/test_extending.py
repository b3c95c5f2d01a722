"""An experiment that is extended in its folder: the bytes of one made at once, and a plan before that."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.analysis.results import analyse, write_results
from headrace.cli.app import execute
from headrace.cli.experiments import _agrees
from headrace.engines.registry import ENGINES
from headrace.experiments.runner import run
from headrace.specs.experiment import Experiment
from headrace.specs.extending import Extension, extend
from headrace.store import experiments as store
from headrace.store.extending import Plan

from .conftest import CONTENT, merged
from .inline_engine import Given, InlineEngine

pytestmark = pytest.mark.usefixtures("tiny")
BASE = {"training.budget": {"steps": 24}, "report.portrait_epochs": 1.0, "search.trials": 3}
WIDER = {
    "learning_rate": {"low": 1e-2, "high": 1e4, "scale": "log"},
    "momentum": {"low": 0.5, "high": 0.99, "scale": "one-minus-log"},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a finished experiment, the file of which is next to it."""
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    monkeypatch.setattr("headrace.report.write_report", lambda _, directory: directory / "report.html")
    monkeypatch.chdir(tmp_path)
    run(asked({}), tmp_path / "run", processes=1)
    return tmp_path / "run"


def asked(changes: dict) -> Experiment:
    return Experiment.from_dict(merged(CONTENT, BASE | changes))


def written(changes: dict) -> str:
    Path("e.toml").write_text(asked(changes).to_toml())
    return "e.toml"


def results(folder: Path) -> tuple[bytes, bytes]:
    write_results(analyse(store.load(folder)), folder)
    return (folder / "results.json").read_bytes(), (folder / "experiment.toml").read_bytes()


def settled(folder: Path) -> dict[Path, bytes]:
    return {
        p: p.read_bytes()
        for p in (folder / "studies").rglob("*.json")
        if b'"failed":true' not in p.read_bytes()
    }


STEPS = [
    ({"grid.batch_size": [4, 8, 16]}, "adds 2 studies: sgd,batch_size=8; nesterov,batch_size=8"),
    ({"search.trials": 5}, "asks for 5 trials per study instead of 3"),
    ({"search.max_trials": 30}, "tries up to 30 trials per study instead of 12"),
    pytest.param(
        {"grid.policy": ["shuffle", "focal"], "search.policy.focal": {"gamma": 2.0}},
        "adds 4 studies",
        marks=pytest.mark.slow,
    ),
    pytest.param({"grid.subset": ["random:0.5", "full"]}, "adds 4 studies", marks=pytest.mark.slow),
    pytest.param(
        {"grid.optimizer": ["momentum", "sgd", "nesterov"], "grid.workers": [1, 2]},
        "adds 8 studies",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("changes", "plan"), STEPS)
def test_extended_is_made_at_once_to_the_byte(
    changes: dict, plan: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = settled(folder)
    file = written(changes)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert execute(["run", file, "--out", "run"]) == 2
    error = capsys.readouterr().err
    assert plan in error
    assert "Extend it with --extend." in error
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert execute(["run", file, "--out", "run", "--extend"]) == 0
    assert plan in capsys.readouterr().err
    run(asked(changes), folder.parent / "once", processes=1)
    assert results(folder) == results(folder.parent / "once")
    # What needs no more training was not trained again.
    if "search.trials" not in changes:
        assert {path: path.read_bytes() for path in kept} == kept
    assert execute(["run", file, "--out", "run"]) == 0


def test_a_wider_range_keeps_what_it_may_and_is_that_of_the_file_it_leaves(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = settled(folder)
    changes = {"search.space": WIDER, "search.trials": 4}
    assert execute(["run", written(changes), "--out", "run", "--extend"]) == 0
    assert "widens the space of 4 studies: the trials of before cover 83% of it" in capsys.readouterr().err
    stored = store.load(folder)
    assert len(stored.experiment.search.before) == 1
    for study in stored.experiment.studies():
        judged = stored.judgement(study)
        assert judged is not None
        order = list(stored.experiment.order(study))
        assert [trial.outcome.trial for trial in judged.trials] == order[: len(judged.trials)]
        assert any(trial < 12 for trial in order[:4])
        assert judged.counted == 4 or len(judged.trials) == len(order)
    assert all(path.exists() for path in kept)
    (folder.parent / "left.toml").write_bytes((folder / "experiment.toml").read_bytes())
    run(Experiment.from_toml("left.toml"), folder.parent / "once", processes=1)
    assert results(folder) == results(folder.parent / "once")
    # The user's own file resumes the folder, and extends it again.
    assert execute(["run", written(changes), "--out", "run"]) == 0
    assert (
        execute(["run", written(changes | {"grid.batch_size": [4, 8, 16]}), "--out", "run", "--extend"]) == 0
    )


@pytest.mark.parametrize(("answer", "agreed"), [("y\n", True), ("Yes\n", True), ("\n", False), ("", False)])
def test_a_terminal_is_asked(
    answer: str,
    agreed: bool,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = extend(asked({}), asked({"search.trials": 5}))
    assert isinstance(found, Extension)
    plan = Plan(stored=store.load(folder), extension=found)
    typed = io.StringIO(answer)
    monkeypatch.setattr("sys.stdin", typed)
    assert not _agrees(False, plan)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(typed, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert _agrees(False, plan) is agreed
    error = capsys.readouterr().err
    assert "asks for 5 trials per study instead of 3" in error
    assert "Extend it? [y/N]" in error


@pytest.mark.slow
def test_replicates_are_those_of_the_extended_experiment(folder: Path) -> None:
    """With more trials other settings may be the best."""
    fresh = {"replicates": {"seeds": 2}}
    run(asked(fresh), folder.parent / "fresh", processes=1)
    more = fresh | {"search.trials": 6, "grid.batch_size": [4, 8, 16]}
    run(asked(more), folder.parent / "fresh", processes=1, extend=lambda _: True)
    run(asked(more), folder.parent / "once", processes=1)
    assert results(folder.parent / "fresh") == results(folder.parent / "once")


@pytest.mark.slow
def test_an_extension_that_is_killed_anywhere_continues(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"grid.batch_size": [4, 8, 16], "grid.subset": ["full", "random:0.5"]}

    class Killed(BaseException):
        pass

    original: Callable[..., object] = store.write_facts

    def killed(*arguments: object, **options: object) -> object:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(store, "write_facts", killed)
        run(asked(changes), folder, processes=1, extend=lambda _: True)
    assert store.write_facts is original
    assert execute(["report", "run"]) == 0
    run(asked(changes), folder, processes=1)
    run(asked(changes), folder.parent / "once", processes=1)
    assert results(folder) == results(folder.parent / "once")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": 9}, "seed: every trial was drawn and trained with the random streams of that seed"),
        ({"grid.batch_size": [4, 8]}, "grid: studies that the folder holds are missing"),
        ({"training.budget": {"steps": 30}}, "training: every trial was trained as it says"),
    ],
)
def test_what_would_change_stored_trials_is_refused(
    changes: dict, reason: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert execute(["run", written(changes), "--out", "run", "--extend"]) == 2
    error = capsys.readouterr().err
    assert "It cannot be extended: " in error
    assert reason in error
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
