"""The plan of a run: its counts are what the run trains, and nothing is written for it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.app import execute
from headrace.engines.registry import ENGINES
from headrace.errors import InputError
from headrace.experiments import outlook, pilots, planning, work_plan
from headrace.experiments.plan_facts import plan_facts
from headrace.experiments.planning import plan
from headrace.experiments.runner import run
from headrace.experiments.work_plan import Room, WorkPlan, memory_lacks
from headrace.specs.experiment import Experiment
from headrace.specs.shares import Share
from headrace.store.experiments import StoredExperiment, load
from headrace.store.replicates import read

from .conftest import CONTENT, merged
from .inline_engine import Given, InlineEngine
from .test_runner import canonical

pytestmark = pytest.mark.usefixtures("tiny", "inline")
SMALL = {
    "workload.name": "tiny_workload:steady",
    "search.trials": 2,
    "training.budget": {"steps": 20},
    "report.portrait_epochs": 0.0,
}


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    monkeypatch.setattr(pilots, "GAUGE_SECONDS", 0.01)
    # However busy the machine is, the same studies are looked at.
    monkeypatch.setattr(pilots, "SOON", 1e6)
    monkeypatch.setattr(pilots, "LATEST", 1e6)


def _asked(changes: dict[str, Any]) -> Experiment:
    return Experiment.from_dict(merged(CONTENT, SMALL | changes))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


SEARCH = """
[workload]
name = "tiny_workload:steady"
[search]
sizes = [0.25, 0.5]
acquisition = ["margin"]
[training]
runs = 2
checkpoints = 2
batch_size = 8
hyperparameters = { learning_rate = 0.1 }
budget = { steps = 10 }
"""
PART = Share(number=2, of=2)
GRIDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "workers share": {"grid.workers": [1, 2, 4], "grid.optimizer": ["nesterov"]},
    "each is trained": {"grid.workers": [1, 2], "grid.repeat_equal": True, "grid.optimizer": ["nesterov"]},
    "excluded": {
        "grid.policy": ["shuffle", "infobatch"],
        "grid.workers": [1, 2],
        "grid.exclude": [{"workers": 2}],
        "grid.include": [{"workers": 2, "policy": "infobatch", "optimizer": "sgd"}],
    },
    "replicates": {"replicates": {"seeds": 2, "until": "goal"}, "grid.subset": ["full", "random:0.5"]},
    "to the budget": {"training.stop": "budget", "training.budget": {"steps": 9}},
}


@pytest.mark.parametrize(
    ("grid", "share"), [*((grid, None) for grid in GRIDS), ("workers share", PART), ("replicates", PART)]
)
def test_the_counts_are_what_the_run_trains(grid: str, share: Share | None, tmp_path: Path) -> None:
    asked = _asked(GRIDS[grid])
    facts = plan_facts(plan(asked, tmp_path / "run", processes=1, share=share))
    assert not (tmp_path / "run").exists()
    stored = run(asked, tmp_path / "run", processes=1, share=share)
    _check_counts(facts, stored)


def _check_counts(facts: dict[str, Any], stored: StoredExperiment) -> None:
    trained = {record.study for record in stored.records}
    assert facts["studies"]["trained"] == len(trained) == len(facts["by_study"])
    assert facts["studies"]["asked"] == len(stored.studies())
    assert facts["studies"]["shared"] == stored.shared
    assert trained.isdisjoint(facts["studies"]["shared"])
    judged = [stored.judgement(study) for study in stored.trained()]
    counted = sum(judgement.counted for judgement in judged if judgement is not None)
    assert counted <= facts["trials"]["counted"] <= facts["trials"]["at_most"]
    assert facts["trials"]["counted"] == stored.experiment.search.trials * len(trained)
    assert len(stored.records) <= facts["trials"]["at_most"]
    _check_replicates(facts, stored)


def _check_replicates(facts: dict[str, Any], stored: StoredExperiment) -> None:
    asked, made = stored.experiment.replicates, read(stored).runs.values()
    if asked is None:
        assert facts["replicates"] is None
        return
    able = [study for study in stored.trained() if (one := stored.judgement(study)) and one.best]
    runs = 0 if stored.share else asked.seeds * len(stored.trained())
    assert facts["replicates"]["runs"] == runs
    assert sum(not run.pilot for run in made) == (0 if stored.share else asked.seeds * len(able))
    assert sum(run.pilot for run in made) <= facts["replicates"]["to_choose_at_most"]


def test_a_finished_folder_leaves_nothing_to_plan_and_is_left_as_it_is(tmp_path: Path) -> None:
    asked = _asked(GRIDS["replicates"] | {"report.portrait_epochs": 1.0})
    run(asked, tmp_path, processes=1)
    before = _files(tmp_path)
    facts = plan_facts(plan(asked, tmp_path, processes=1))
    assert _files(tmp_path) == before
    assert facts["studies"]["decided"] == facts["studies"]["trained"]
    assert (facts["replicates"]["runs"], facts["portraits"]) == (0, 0)
    assert all(study["finished"] for study in facts["by_study"])
    assert facts["seconds"]["studies"] == facts["seconds"]["replicates"] == 0


def test_of_an_extended_folder_what_is_added_is_planned(tmp_path: Path) -> None:
    run(_asked({"grid.optimizer": ["nesterov"]}), tmp_path, processes=1)
    before, wider = _files(tmp_path), _asked({"grid.optimizer": ["nesterov"], "grid.batch_size": [4, 16, 64]})
    with pytest.raises(InputError, match="--extend"):
        plan(wider, tmp_path, processes=1)
    facts = plan_facts(plan(wider, tmp_path, processes=1, extend=lambda plan: True))
    assert _files(tmp_path) == before
    assert (facts["studies"]["trained"], facts["studies"]["decided"]) == (3, 2)
    _check_counts(facts, run(wider, tmp_path, processes=1, extend=lambda plan: True))


def test_a_subset_that_is_yet_to_be_searched_for_is_stood_in_for(tmp_path: Path) -> None:
    """Its search is planned with it, and not made."""
    (tmp_path / "half.toml").write_text(SEARCH)
    experiment = _asked(
        {"grid.subset": ["full", "half"], "subsets.half": "half.toml", "grid.optimizer": ["nesterov"]}
    )
    asked = experiment.model_copy(update={"subsets": {"half": str(tmp_path / "half.toml")}})
    facts = plan_facts(plan(asked, tmp_path / "run", processes=1))
    assert not (tmp_path / "run").exists()
    (search,) = facts["searches"]
    assert (search["subset"], search["file"], search["examples"]) == ("half", "half.toml", 48)
    # Two runs of 10 steps of 8 examples on a quarter, whose checkpoints score 96 examples.
    assert search["examples_trained"] == 2 * 10 * 8
    assert search["examples_scored"] == 2 * 2 * 96
    assert search["seconds"] > 0
    assert [row["study"] for row in facts["by_study"] if "subset=half" in row["study"]]


def test_a_run_that_announces_its_plan_stores_the_same_results(tmp_path: Path) -> None:
    """Its first trials are those of the calibration."""
    asked = _asked(
        {"search.trials": 5, "grid.policy": ["shuffle", "infobatch"], "grid.optimizer": ["nesterov"]}
    )
    plans: list[WorkPlan] = []
    announced = run(asked, tmp_path / "announced", processes=1, announce=plans.append)
    assert canonical(announced) == canonical(run(asked, tmp_path / "silent", processes=1))
    (made,) = plans
    assert made.expected.known
    _check_counts(plan_facts(made), load(tmp_path / "announced"))


def test_a_race_that_was_seen_whole_is_foretold_exactly(tmp_path: Path) -> None:
    """With time enough, the studies that were looked at are decided in the calibration itself."""
    asked = _asked({"search.trials": 6, "grid.optimizer": ["nesterov"], "grid.batch_size": [4, 16, 48]})
    facts = plan_facts(plan(asked, tmp_path, processes=1))
    stored = run(asked, tmp_path, processes=1)
    for study, row in zip(stored.trained(), facts["by_study"], strict=True):
        judged = stored.judgement(study)
        assert judged is not None
        assert row["decided"] == judged.decided
        assert row["steps"] == sum(trial.trained for trial in judged.trials)


def test_a_slower_model_takes_proportionally_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which nothing but the model's pauses takes time."""
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.append(clock.pop() + seconds))
    monkeypatch.setattr(work_plan, "STORE_SECONDS", 0.0)

    def seconds(pause: float) -> float:
        changes = {
            "workload": {"name": "tiny_workload:blobs", "settings": {"pause": pause}},
            "training": {"budget": {"steps": 40}, "evaluation": {"every": 40}, "stop": "budget"},
        }
        return plan_facts(plan(_asked(changes), tmp_path, processes=1))["seconds"]["studies"]

    assert seconds(0.02) == pytest.approx(4 * seconds(0.005))
    # Four studies of two trials of 40 steps; each evaluates 128 and 64 examples twice, a pass for each.
    assert seconds(0.02) == pytest.approx(4 * 2.3 * (40 + 2 * 2) * 0.02, rel=0.15)


def test_a_model_that_fails_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pilots, "GAUGE_SECONDS", 60.0)
    facts = plan_facts(plan(_asked({"workload.name": "tiny_workload:broken"}), tmp_path, processes=1))
    assert "the user's model is broken" in facts["warnings"][0]


def test_a_machine_that_lacks_the_memory_is_one_error_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "physical_bytes", lambda: 3 << 30)
    with pytest.raises(InputError, match=r"each of 1000 processes takes .* Fix: run with --processes \d+\."):
        plan(_asked({}), tmp_path, processes=1000)
    monkeypatch.setattr(outlook, "physical_bytes", lambda: 1 << 20)
    with pytest.raises(
        InputError, match=r"this machine has 0\.0 GB\. Fix: use a smaller training.microbatch"
    ):
        plan(_asked({}), tmp_path, processes=1)


def test_the_number_of_processes_that_fits_is_named() -> None:
    room = Room(per_process=3 << 30, loaded=1 << 30, machine=16 << 30)
    assert memory_lacks(room, 5) == []
    (lacks,) = memory_lacks(room, 6)
    assert "--processes 5" in lacks


def _plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(_asked({"grid.optimizer": ["nesterov"]}).to_toml())
    return execute(["run", "small.toml", "--processes", "1", *options])


def test_the_command_prints_one_object_or_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _plan(tmp_path, monkeypatch, "--plan", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    docs = Path(__file__).parents[2] / "docs" / "experiments.md"
    missing = [key for key in facts if f"`{key}`" not in docs.read_text()]
    assert not missing
    assert _plan(tmp_path, monkeypatch, "--plan") == 0
    said = capsys.readouterr().out
    assert "2 per study, 4 that count" in said
    assert "Time: about" in said
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


def test_the_command_plans_an_extension_without_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(_asked({"grid.optimizer": ["nesterov"]}), tmp_path / "run", processes=1)
    monkeypatch.chdir(tmp_path)
    wider = _asked({"grid.optimizer": ["nesterov"], "search.trials": 4})
    Path("wider.toml").write_text(wider.to_toml())
    assert execute(["run", "wider.toml", "--out", "run", "--processes", "1", "--plan", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert any("asks for 4 trials per study instead of 2" in line for line in facts["extends"])
    assert facts["trials"]["counted"] == 8
    assert facts["trials"]["stored"] > 0
    assert facts["studies"]["decided"] == 0


def test_a_run_announces_its_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("headrace.cli.experiments.conclude", lambda stored, json: 0)
    assert _plan(tmp_path, monkeypatch, "--json") == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "2 studies of 2 trials to train: about" in printed.err
