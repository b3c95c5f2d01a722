"""Trials keep their weights on a schedule; a search takes them as its members."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from safetensors.torch import load_file

from experiments.inline_engine import Given, InlineEngine
from experiments.test_runner import canonical
from headrace.engines.registry import ENGINES
from headrace.errors import InputError, InputErrors
from headrace.experiments.runner import run
from headrace.search.runner import search_subset
from headrace.specs import checkpoints as specs_checkpoints
from headrace.specs.search import SubsetSearch
from headrace.store import checkpoints
from headrace.store import experiments as store
from headrace.store.portraits import portraits
from headrace.store.records import Status
from headrace.subsets.file import Subset
from headrace.training.evaluation import evaluator
from headrace.workloads.registry import load_workload

pytestmark = pytest.mark.usefixtures("tiny")

CHANGES: dict[str, Any] = {
    "grid.batch_size": [4],
    "grid.optimizer": ["sgd"],
    "search.space": {"learning_rate": {"low": 0.03, "high": 0.5, "scale": "log"}},
    "search.trials": 4,
    "training.checkpoints": [0.25, 1.0],
}


@pytest.fixture(autouse=True)
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))


def test_a_number_is_spread_over_the_second_half() -> None:
    assert specs_checkpoints.shares(2) == (0.75, 1.0)
    assert specs_checkpoints.steps(2, [0, 10, 20, 30, 40]) == {30, 40}


def test_the_first_evaluated_step_at_or_after_a_share() -> None:
    assert specs_checkpoints.steps((0.1, 0.25, 0.26, 1.0), [0, 10, 20, 31, 40]) == {10, 20, 40}


def test_shares_must_rise(experiment) -> None:
    with pytest.raises(InputErrors, match=r"training.checkpoints: must rise"):
        experiment({"training.checkpoints": [0.5, 0.5]})


@pytest.mark.parametrize("stop", ["bound", "budget"])
def test_a_checkpoint_is_the_model_that_was_measured(experiment, tmp_path: Path, stop: str) -> None:
    stored = run(experiment({**CHANGES, "training.stop": stop}), tmp_path, processes=2)
    workload = load_workload("tiny_workload:blobs", {})
    measure = evaluator({"validation": workload.validation}, workload.loss, workload.metric)
    paths = checkpoints.members(stored)
    assert len(paths) >= 4
    for path in paths:
        model = workload.build_model()
        model.load_state_dict(load_file(path))
        step, trial = int(path.stem.removeprefix("step-")), int(path.parent.name)
        rows = stored.measurements.filter((pl.col("trial") == trial) & (pl.col("step") == step))
        assert measure(model)["validation/loss"] == pytest.approx(rows["validation/loss"][0], abs=1e-6)


def test_a_model_without_a_truth_value_is_kept_and_shown(experiment, tmp_path: Path) -> None:
    """As `torch.compile` gives it."""
    changes = {**CHANGES, "workload.name": "tiny_workload:doubtful"}
    stored = run(experiment(changes), tmp_path, processes=1)
    assert not [record.error for record in stored.records if record.failed]
    assert len(checkpoints.members(stored)) >= 4
    assert [portrait.portrait.error for portrait in portraits(stored)] == [None]


def test_members_are_the_complete_trials_whatever_the_order(experiment, tmp_path: Path) -> None:
    names = []
    for processes in (1, 3):
        stored = run(experiment(CHANGES), tmp_path / str(processes), processes=processes)
        names.append([str(p.relative_to(stored.directory)) for p in checkpoints.members(stored)])
        (judgement,) = [stored.judgement(key) for key in stored.experiment.studies()]
        complete = {t.outcome.trial for t in judgement.trials if t.status is Status.COMPLETE}
        assert {int(path.split("/")[-2]) for path in names[-1]} == complete
        best = {int(path.parent.name) for path in checkpoints.members(stored, best=1)}
        assert best == {judgement.best[0][1]}
    assert names[0] == names[1]


def test_taking_them_changes_nothing_else(experiment, tmp_path: Path) -> None:
    plain = run(experiment({**CHANGES, "training.checkpoints": None}), tmp_path / "plain", processes=1)
    kept = run(experiment(CHANGES), tmp_path / "kept", processes=1)
    assert canonical(plain) == canonical(kept)
    with pytest.raises(InputError, match="the experiment kept no checkpoints"):
        checkpoints.members(plain)


def search(**members: Any) -> SubsetSearch:
    return SubsetSearch.from_dict(
        {
            "workload": {"name": "tiny_workload:blobs"},
            "search": {"sizes": [0.25], "acquisition": ["entropy"]},
            "members": members,
        }
    )


def test_a_search_takes_an_experiments_checkpoints_as_members(experiment, tmp_path: Path) -> None:
    stored = run(experiment(CHANGES), tmp_path / "e", processes=1)
    paths = [str(path) for path in checkpoints.members(stored)]
    found = search_subset(search(experiment=str(tmp_path / "e")), tmp_path / "one", processes=1)
    named = search_subset(search(checkpoints=paths), tmp_path / "two", processes=1)
    one, two = (Subset.load(outcome.subset) for outcome in (found, named))
    assert [name.partition("@")[0] for name in one.provenance.members[0]] == paths
    assert one.indices.tolist() == two.indices.tolist()
    assert found.trained == 0


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({}, "members: give either checkpoints or experiment"),
        ({"checkpoints": ["a"], "experiment": "b"}, "members: give either checkpoints or experiment"),
        ({"checkpoints": ["a"], "best": 2}, "members.best: has no effect without experiment"),
    ],
)
def test_what_is_refused(members: dict[str, Any], says: str) -> None:
    with pytest.raises(InputErrors) as caught:
        search(**members)
    assert says in str(caught.value)


def test_an_experiment_that_is_not_finished_is_refused(experiment, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no experiment in this folder"):
        search_subset(search(experiment=str(tmp_path / "none")), tmp_path / "one", processes=1)
    store.create(tmp_path / "e", experiment(CHANGES))
    with pytest.raises(InputError, match="nothing was run yet"):
        search_subset(search(experiment=str(tmp_path / "e")), tmp_path / "two", processes=1)
