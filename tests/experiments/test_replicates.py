"""Fresh runs of real experiments: killed and resumed, added later, in any order of workers; and paired."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from headrace.analysis.results import analyse, write_results
from headrace.cli import main
from headrace.cli.failures import failure_lines
from headrace.engines.inline import InlinePlace
from headrace.engines.registry import ENGINES
from headrace.errors import DamagedError
from headrace.experiments.runner import run
from headrace.store import experiments as store
from headrace.store import replicates
from headrace.store.experiments import StoredExperiment, load
from headrace.store.live import progress_of
from headrace.store.progress import State
from headrace.trials.advance import MakeBench
from headrace.trials.fresh import FreshRun

from .inline_engine import Given, InlineEngine

pytestmark = pytest.mark.usefixtures("tiny")

GRID: dict[str, Any] = {
    "seed": 7,
    "grid.batch_size": [16],
    "grid.optimizer": ["sgd"],
    "grid.policy": ["shuffle", "importance-prediction-variance"],
    "grid.subset": ["full", "random:0.5"],
    "search.space.momentum": None,
    "search.trials": 4,
    "training.budget": {"steps": 40},
    "report.portrait_epochs": 0.0,
}
FRESH = GRID | {"replicates.seeds": 3}


class Killed(BaseException):
    """What a test ends a run with, at a moment of its choice."""


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without processes, the jobs in random order."""
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))


def fresh_files(folder: Path) -> dict[str, bytes]:
    paths = (folder / "replicates").rglob("*.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def results(stored: StoredExperiment) -> bytes:
    return write_results(analyse(stored), stored.directory).read_bytes()


@pytest.mark.usefixtures("inline")
def test_killed_at_any_moment_and_resumed_and_added_later_it_comes_to_the_same_bytes(
    experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, seen = experiment(FRESH), list[State]()
    monkeypatch.setattr("headrace.experiments.progress.Watch.INTERVAL_SECONDS", 0.0)
    whole = run(asked, tmp_path / "whole", processes=3, progress=seen.append)
    expected, files = results(whole), fresh_files(whole.directory)
    # Four studies from three seeds, the settings, and the pilots of those whose choices differ.
    assert len([name for name in files if "pilot" not in name]) == 4 * 3 + 1
    assert [name for name in files if "pilot" in name]
    assert seen[-1].replicates[0] == seen[-1].replicates[1] > 0
    assert all(a.share <= b.share + 1e-9 for a, b in pairwise(seen))

    chance, kills = Random(1), 0
    write = replicates.write_replicate

    def fragile(stored: StoredExperiment, made: replicates.Replicate) -> replicates.Replicate:
        nonlocal kills
        if chance.random() < 0.25:
            kills += 1
            raise Killed
        return write(stored, made)

    monkeypatch.setattr("headrace.experiments.fresh.write_replicate", fragile)
    for _ in range(100):
        try:
            killed = run(asked, tmp_path / "killed", processes=2)
            break
        except Killed:
            continue
    assert kills > 3
    assert results(killed) == expected
    assert fresh_files(killed.directory) == files
    monkeypatch.undo()


@pytest.mark.usefixtures("inline")
def test_asked_for_later_and_for_more_seeds_later_they_are_as_from_the_start(
    experiment, tmp_path: Path
) -> None:
    whole = run(experiment(FRESH), tmp_path / "whole", engine="inline")
    expected, files = results(whole), fresh_files(whole.directory)
    bare = run(experiment(GRID), tmp_path / "later", engine="inline")
    assert "replicates" not in json.loads(results(bare))
    trials = {path: path.stat().st_mtime_ns for path in bare.directory.glob("studies/*/*")}
    run(experiment(GRID | {"replicates.seeds": 2}), tmp_path / "later", engine="inline")
    two = fresh_files(bare.directory)
    assert progress_of(bare.directory).replicates == (8, 8)
    more = run(experiment(FRESH), tmp_path / "later", engine="inline")
    assert (results(more), fresh_files(more.directory)) == (expected, files)
    assert two.items() <= files.items()
    assert {path: path.stat().st_mtime_ns for path in bare.directory.glob("studies/*/*")} == trials
    # Fewer than are there: those are shown that are asked for.
    fewer = run(experiment(GRID | {"replicates.seeds": 2}), tmp_path / "later", engine="inline")
    assert json.loads(results(fewer))["replicates"]["runs"] == 8
    assert fresh_files(fewer.directory) == files


def test_steps_are_the_same_whether_they_end_at_the_goal_or_at_the_budget(experiment, tmp_path: Path) -> None:
    """A folder that ended at the goal is trained on to the budget when that is asked for."""
    goal = FRESH | {"replicates.until": "goal"}
    short = run(experiment(goal), tmp_path / "one", engine="inline")
    ended = {run.key: run for run in replicates.read(short).runs.values() if not run.pilot}
    assert any(run.trained < run.budget for run in ended.values())
    assert all(run.trained == run.reached for run in ended.values() if run.reached is not None)
    long = run(experiment(FRESH), tmp_path / "one", engine="inline")
    trained = {run.key: run for run in replicates.read(long).runs.values() if not run.pilot}
    assert trained.keys() == ended.keys()
    for key, one in trained.items():
        before = ended[key]
        assert one.trained == one.budget or one.diverged
        if before.reached is not None:
            assert (one.reached, one.examples_forwarded) == (before.reached, before.examples_forwarded)
    assert results(long) == results(run(experiment(FRESH), tmp_path / "two", engine="inline"))


@pytest.mark.slow
def test_two_processes_come_to_the_same_bytes_as_one(experiment, tmp_path: Path) -> None:
    one = run(experiment(FRESH), tmp_path / "one", processes=1)
    two = run(experiment(FRESH), tmp_path / "two", processes=2)
    assert results(one) == results(two)
    assert fresh_files(one.directory) == fresh_files(two.directory)


def test_runs_of_one_seed_begin_alike_in_all_studies_and_differ_between_seeds(experiment) -> None:
    asked = experiment(FRESH)
    bench = MakeBench.of(asked)(InlinePlace(len(asked.studies())))
    first: dict[int, list[list[torch.Tensor]]] = {0: [], 1: []}
    for seed, models in first.items():
        for study in asked.studies():
            setting = bench.fresh(study.configuration.subset, "replicate", seed, endless=True)
            models.append(list(setting.new_model(study, seed).parameters()))
    for models in first.values():
        assert all(torch.equal(a, b) for model in models for a, b in zip(models[0], model, strict=True))
    assert not torch.equal(first[0][0][0], first[1][0][0])
    pilot = bench.fresh("full", "pilot", 0, endless=True).new_model(asked.studies()[0], 0)
    assert not torch.equal(next(iter(pilot.parameters())), first[0][0][0])


def test_a_random_subset_is_drawn_anew_for_each_seed_and_is_one_for_all_studies(experiment) -> None:
    bench = MakeBench.of(experiment(FRESH))(InlinePlace(8))

    def part(seed: int) -> torch.Tensor:
        setting = bench.fresh("random:0.5", "replicate", seed, endless=True)
        return torch.as_tensor(setting.workload.example_ids)

    assert torch.equal(part(0), part(0))
    assert not torch.equal(part(0), part(1))
    assert not torch.equal(part(0), torch.as_tensor(bench.on("random:0.5").workload.example_ids))


def test_a_study_without_a_best_trial_is_said_to_have_none_and_the_others_are_replicated(
    experiment, tmp_path: Path
) -> None:
    """With a budget of so few steps only the largest batches get anywhere."""
    asked = experiment(
        FRESH
        | {"grid.batch_size": [1, 48], "training.budget": {"steps": 6}, "grid.subset": ["full"], "seed": 5}
    )
    stored = run(asked, tmp_path, engine="inline")
    settings = replicates.read(stored).settings
    assert settings is not None
    without = [one.study for one in settings.studies if one.trial is None]
    assert 0 < len(without) < 4
    found = json.loads(results(stored))
    (said,) = [text for text in found["warnings"] if text.startswith("No replicates of")]
    assert without[0] in said
    assert found["replicates"]["finished"]
    assert progress_of(stored.directory).finished


def test_an_error_of_the_users_code_is_kept_named_and_tried_again(experiment, tmp_path: Path) -> None:
    asked = experiment(FRESH | {"workload.name": "tiny_workload:broken"})
    study = asked.studies()[0]
    bench = MakeBench.of(asked)(InlinePlace(8))
    values = asked.hyperparameters(study, 0)
    job = FreshRun(study=study, trial=0, values=values, seed=0, pilot=False, until="budget")
    made = job.do(bench)
    assert made.error is not None
    assert "the user's model is broken" in made.error
    assert not made.ended("budget")
    assert not made.ended("goal")
    store.create(tmp_path, asked)
    replicates.write_replicate(load(tmp_path), made)
    (line,) = failure_lines(replicates.failed(load(tmp_path)))
    assert line.startswith(f"a fresh run of {study.name}, trial 0: ")
    assert "the user's model is broken" in line


def test_an_altered_record_and_one_of_another_workload_are_refused(experiment, tmp_path: Path) -> None:
    stored = run(experiment(FRESH), tmp_path, engine="inline")
    path = next(path for path in sorted((tmp_path / "replicates").rglob("0????-0????.json")))
    content = path.read_text()
    path.write_text(content.replace('"trained":', '"trained": '))
    with pytest.raises(DamagedError, match="Delete it and run again: it is made again if it is needed"):
        replicates.read(stored)
    path.unlink()
    run(experiment(FRESH), tmp_path, engine="inline")
    assert path.read_text() == content
    other = replicates.read(stored).runs[_key(path)].model_copy(update={"fingerprint": "0" * 16})
    from headrace.sealed import write_record

    write_record(path, other)
    with pytest.raises(DamagedError, match="another workload"):
        replicates.read(load(tmp_path))


def _key(path: Path) -> replicates.Key:
    made = json.loads(path.read_text())
    return made["study"], made["trial"], made["seed"], made["pilot"]


@pytest.mark.slow
def test_the_command_runs_them_and_status_and_report_tell_them(
    content, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from headrace.specs.experiment import Experiment

    file = tmp_path / "asked.toml"
    file.write_text(Experiment.from_dict(content(FRESH)).to_toml())
    with pytest.raises(SystemExit) as end:
        main(["run", str(file), "--out", str(tmp_path / "out"), "--engine", "inline"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "comparisons showed a difference. They rest on 3 fresh seeds" in said
    with pytest.raises(SystemExit):
        main(["status", str(tmp_path / "out")])
    assert "12 of 12 replicates" in capsys.readouterr().out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "What fresh seeds show" in page
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(found["studies"][0]["replicates"]["runs"]) == 3
    assert {row["setting"] for row in found["replicates"]["verdicts"]} <= {"shared", "own"}
