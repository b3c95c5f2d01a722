"""Experiments run for real, on a tiny workload: bound and budget, one process and two, killed and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from headrace.engines._base import WorkerDied
from headrace.engines.registry import ENGINES
from headrace.errors import InputError
from headrace.exchange.archive import steps_to_goal
from headrace.experiments.runner import run
from headrace.specs.experiment import Experiment
from headrace.store import experiments as store
from headrace.store.bound import Judgement
from headrace.store.experiments import StoredExperiment
from headrace.store.live import progress_of
from headrace.store.progress import State
from headrace.store.records import Status

from .inline_engine import Given, InlineEngine

pytestmark = pytest.mark.usefixtures("tiny")


def judgements(stored: StoredExperiment) -> dict[str, Judgement]:
    found = {study.name: stored.judgement(study) for study in stored.experiment.studies()}
    return {name: judgement for name, judgement in found.items() if judgement is not None}


def canonical(stored: StoredExperiment) -> list[tuple]:
    """All that analysis may use: what each trial counts as, and its measurements up to there."""
    rows: list[tuple] = []
    for name, judgement in judgements(stored).items():
        table = stored.study_measurements(name)
        rows.append((name, judgement.decided, judgement.best))
        for trial in judgement.trials:
            index = trial.outcome.trial
            kept = table.filter((pl.col("trial") == index) & (pl.col("step") <= trial.trained))
            curve = kept.select("step", "train/loss", "validation/loss", "validation/error").rows()
            rows.append((name, index, trial.status, trial.trained, trial.reached, str(curve)))
    return rows


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without processes, the tasks in random order."""
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))


def test_bound_and_budget_and_any_number_of_processes_agree(
    experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Really with two processes; in one process with one worker and with five that take turns at random."""
    seen: list[State] = []
    two = run(experiment(), tmp_path / "two", processes=2, progress=seen.append)
    expected = canonical(two)
    assert len(judgements(two)) == 4
    statuses = {trial.status for j in judgements(two).values() for trial in j.trials}
    assert statuses == {Status.COMPLETE, Status.STOPPED, Status.INFEASIBLE}
    assert seen
    assert all(0 <= state.share <= 1 for state in seen)
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    assert canonical(run(experiment(), tmp_path / "one", processes=1)) == expected
    assert canonical(run(experiment(), tmp_path / "five", processes=5)) == expected
    full = run(experiment({"training.stop": "budget"}), tmp_path / "full", processes=2)
    assert canonical(full) == expected
    assert sum(r.trained for r in two.records) < sum(r.trained for r in full.records)
    _check_test_metrics(two, full)
    _check_goals(full)
    _check_repair(two, expected)


def _check_goals(full: StoredExperiment) -> None:
    """Reached is the first measurement strictly below the goal, which some trials meet exactly and miss."""
    assert full.goal is not None
    errors = full.measurements["validation/error"]
    assert (errors == full.goal).any()
    for study in full.parts:
        table = full.study_measurements(study)
        below = dict(steps_to_goal(table, full.goal).rows())
        assert {r.trial: r.reached for r in full.study_records(study) if r.reached is not None} == below


def _check_test_metrics(raced: StoredExperiment, full: StoredExperiment) -> None:
    """With the bound, test metrics stand at the end of trials that reached the goal; else everywhere."""
    for record in raced.records:
        table = raced.study_measurements(record.study).filter(pl.col("trial") == record.trial)
        ended = record.reached is not None or record.trained == 60
        measured = table.filter(pl.col("test/error").is_not_null())["step"].to_list()
        assert measured == ([record.trained] if ended and record.diverged is None else [])
    assert full.measurements["test/error"].null_count() == 0


def _check_repair(stored: StoredExperiment, expected: list[tuple]) -> None:
    """A part that was deleted, as the error of a damaged one says, is made again as it was."""
    part = sorted(stored.directory.rglob("00001.json"))[0]
    part.unlink()
    part.with_suffix(".parquet").unlink()
    assert not all(study.finished for study in progress_of(stored.directory).studies)
    again = run(stored.experiment, stored.directory, processes=1)
    assert canonical(again) == expected
    before = {path: path.stat().st_mtime_ns for path in stored.directory.rglob("*.json")}
    run(stored.experiment, stored.directory, processes=1)
    assert {path: path.stat().st_mtime_ns for path in stored.directory.rglob("*.json")} == before


SCRIPT = """
import sys
from headrace.experiments import Experiment
from headrace.experiments.runner import run
if __name__ == "__main__":
    run(Experiment.from_toml(sys.argv[1]), sys.argv[2], processes=2)
"""


def started(experiment: Experiment, folder: Path, tmp_path: Path) -> subprocess.Popen[bytes]:
    """A run in a process of its own that has stored a trial and is not at its end."""
    script, file = tmp_path / "script.py", tmp_path / "experiment.toml"
    script.write_text(SCRIPT)
    file.write_text(experiment.to_toml())
    process = subprocess.Popen(
        [sys.executable, str(script), str(file), str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stderr=subprocess.PIPE,
    )
    while not list(folder.rglob("0*.json")):
        assert process.poll() is None
        time.sleep(0.02)
    return process


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in children.read_text().split()] if children.exists() else []


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_ended_goes_on_to_the_same(
    how: signal.Signals, experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = experiment({"workload.settings": {"pause": 0.004}})
    with monkeypatch.context() as inline:
        inline.setitem(ENGINES, "local", Given(InlineEngine))
        expected = canonical(run(experiment(), tmp_path / "reference", processes=2))
    folder = tmp_path / "ended"
    process = started(slow, folder, tmp_path)
    workers = workers_of(process.pid)
    # Stopped meanwhile: on a busy machine the run could come to its end before the signal.
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(InputError, match=f"is in use by process {process.pid}"):
        run(slow, folder, processes=1)
    process.send_signal(how)
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert (b"KeyboardInterrupt" in errors) == (how is signal.SIGINT)
    deadline = time.monotonic() + 20
    while not all(map(gone, workers)):
        assert time.monotonic() < deadline, "workers outlived their parent"
        time.sleep(0.05)
    assert len(workers) >= 2
    assert len(judgements(store.load(folder))) < 4
    assert canonical(run(slow, folder, processes=2)) == expected


@pytest.mark.usefixtures("inline")
def test_errors_in_the_users_code_are_kept_and_tried_again(experiment, tmp_path: Path) -> None:
    changes = {
        "workload": {"name": "tiny_workload:broken"},
        "grid": {"batch_size": [4]},
        "search.trials": 1,
        "search.max_trials": 2,
        "search.space.momentum": None,
        "search.space.learning_rate": 0.1,
    }
    stored = run(experiment(changes), tmp_path, processes=1)
    errors = [record.error or "" for record in stored.records]
    assert len(errors) == 2
    for error in errors:
        assert error.startswith("RuntimeError: the user's model is broken (")
        assert "tiny_workload.py, line " in error
    judgement = stored.judgement(stored.experiment.studies()[0])
    assert judgement is not None
    assert [trial.status for trial in judgement.trials] == [Status.FAILED] * 2
    assert progress_of(tmp_path).rows() == [("sgd,batch_size=4", 2, 1, 0, 2, None, "yes")]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("0*.json")}
    run(stored.experiment, tmp_path, processes=1)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("0*.json")}
    assert all(after[path] > before[path] for path in before)


@pytest.mark.usefixtures("inline")
def test_what_does_not_fit_the_workload_is_told_before_anything_is_trained(
    experiment, tmp_path: Path
) -> None:
    wrong = experiment({"grid.batch_size": [4, 97], "workload.goal": 2.0})
    with pytest.raises(InputError) as caught:
        run(wrong, tmp_path, processes=1)
    assert "a batch cannot be larger than the training set of 96 examples; got 97" in str(caught.value)
    assert "the goal is met before training: validation/error of an untrained model is" in str(caught.value)
    assert store.load(tmp_path).facts is None


def test_a_worker_that_dies_or_cannot_load_the_workload_is_told(experiment, tmp_path: Path) -> None:
    deadly = experiment({"workload": {"name": "tiny_workload:deadly"}})
    with pytest.raises(WorkerDied, match="a worker process died, perhaps because the memory ran out"):
        run(deadly, tmp_path / "a", processes=1)
    with pytest.raises(InputError, match=r"unknown workload; got 'digits-mpl'\. Did you mean 'digits-mlp'"):
        run(experiment({"workload": {"name": "digits-mpl"}}), tmp_path / "b", processes=1)


def test_headrace_status_needs_no_torch(experiment, tmp_path: Path) -> None:
    store.create(tmp_path, experiment())
    code = (
        "import sys; from headrace.store.live import progress_of\n"
        "import headrace.experiments.runner\n"
        "print(progress_of(sys.argv[1]).summary(), 'torch' in sys.modules, 'scipy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0 of 4 studies finished, 0 trials False False"
