"""Studies that are the same function are trained once, and come to what training them apart comes to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from headrace.analysis.grid import cells_of
from headrace.analysis.results import analyse
from headrace.experiments.runner import run
from headrace.specs.equal import equal_studies
from headrace.store.experiments import StoredExperiment, load
from headrace.store.live import progress_of
from headrace.workloads.batchwise import batchwise

from . import tiny_workload

pytestmark = pytest.mark.usefixtures("tiny")

GRID: dict[str, Any] = {
    "workload.name": "tiny_workload:steady",
    "grid.batch_size": [8, 16],
    "grid.optimizer": ["sgd"],
    "grid.policy": ["shuffle", "importance-prediction-variance", "partition-stripes"],
    "grid.workers": [1, 2],
    "search.space.momentum": None,
    "search.trials": 4,
    "training.budget": {"steps": 30},
    "report.portrait_epochs": 0.0,
    "replicates.seeds": 2,
    "replicates.until": "goal",
}


def test_shared_is_trained_apart_in_float64(experiment, tmp_path: Path) -> None:
    """All that results.json says of a study but whose trials it has, shared or trained apart."""
    once = run(experiment(GRID), tmp_path / "once", engine="inline")
    apart = run(experiment(GRID | {"grid.repeat_equal": True}), tmp_path / "apart", engine="inline")
    assert set(once.shared) == {
        f"sgd,batch_size={size}{policy},workers=2"
        for size in (8, 16)
        for policy in ("", ",policy=importance-prediction-variance")
    }
    assert not apart.shared
    assert sum(r.trained for r in once.records) < 0.75 * sum(r.trained for r in apart.records)
    mine, theirs = analyse(once).results, analyse(apart).results
    for one, other in zip(mine["studies"], theirs["studies"], strict=True):
        source = one.pop("shared_with", None)
        assert (source is not None) == (one["configuration"]["workers"] == 2 and "partition" not in str(one))
        _check_near(one, other)
    for one, other in zip(mine["scaling"], theirs["scaling"], strict=True):
        _check_near(one, other)
    (said,) = [text for text in mine["conclusions"] if "repeat_equal" in text]
    assert said.startswith(
        "4 of 12 studies were not trained apart: with 2 workers they are the same function"
    )
    assert not [text for text in mine["conclusions"] if text.startswith("SGD, 2 workers:")]
    # The partition with two workers is compared with shuffling by two, whose runs are those of one worker.
    pairs = {(row["study"], row["baseline"]) for row in mine["replicates"]["verdicts"]}
    assert ("sgd,batch_size=8,policy=partition-stripes,workers=2", "sgd,batch_size=8,workers=2") in pairs
    assert ("sgd,batch_size=8,workers=2", "sgd,batch_size=8") not in pairs
    assert progress_of(once.directory).finished
    _check_runs_count_once(once)


def _check_runs_count_once(stored: StoredExperiment) -> None:
    """In the joint model two cells of the same runs weigh as much as one; without partitions there is one."""
    found = analyse(stored).replicated
    cells = cells_of(found)
    partitioned = {(cell.levels["policy"] == "partition-stripes", cell.copies) for cell in cells}
    assert partitioned == {(True, 1), (False, 2)}
    plain = {name: one for name, one in found.items() if "partition" not in name}
    assert [cell.copies for cell in cells_of(plain)] == [1] * 4


def _check_near(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        # In a study whose source has another setting's pilots, the choice is the source's.
        for key in one.keys() - {"replicates"}:
            _check_near(one[key], other[key])
    elif isinstance(one, list):
        for a, b in zip(one, other, strict=True):
            _check_near(a, b)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-6)
    else:
        assert one == other


def test_a_folder_that_has_trials_of_an_equal_study_keeps_them_and_gets_the_rest(
    experiment, tmp_path: Path
) -> None:
    """As one of an older version has, whose facts do not say whether workers are alike."""
    asked = experiment(GRID | {"grid.policy": ["shuffle"], "replicates": None})
    both = experiment(GRID | {"grid.policy": ["shuffle"], "replicates": None, "grid.repeat_equal": True})
    assert asked.digest() == both.digest()
    apart = run(both, tmp_path, engine="inline")
    assert analyse(apart).results["finished"]
    before = {path: path.read_bytes() for path in (tmp_path / "studies").rglob("*.*")}
    kept = run(asked, tmp_path, engine="inline")
    assert not kept.shared
    assert {path: path.read_bytes() for path in (tmp_path / "studies").rglob("*.*")} == before
    # Without its own trials it shares, unless the folder is from before it was known.
    for path in (tmp_path / "studies" / "sgd,batch_size=8,workers=2").iterdir():
        path.unlink()
    found = load(tmp_path)
    assert set(found.shared) == {"sgd,batch_size=8,workers=2"}
    assert found.facts is not None
    older = replace(found, facts=found.facts.model_copy(update={"workers_alike": None}))
    assert not older.shared


@pytest.mark.parametrize(
    ("changes", "shared"),
    [
        ({}, 4),
        ({"workload.name": "tiny_workload:blobs"}, 0),
        ({"training.precision": "bfloat16"}, 0),
        ({"grid.policy": ["partition-stripes"]}, 0),
        ({"grid.workers": [4, 1, 2], "grid.policy": ["shuffle"]}, 4),
    ],
)
def test_what_is_equal(experiment, changes: dict[str, Any], shared: int) -> None:
    asked = experiment(GRID | {"replicates": None} | changes)
    equal = equal_studies(asked)
    model = "blobs" not in asked.workload.name
    assert len(equal) == (shared if model else 4)
    assert not {name for name in equal if "partition" in name}
    assert not set(equal) & set(equal.values())
    assert all("workers" not in source for source in equal.values())


@pytest.mark.parametrize(
    ("layers", "alike"),
    [
        ([nn.Linear(8, 8), nn.LayerNorm(8), nn.GroupNorm(2, 8)], True),
        ([nn.Linear(8, 8), nn.Dropout(0.1)], False),
        ([nn.Linear(8, 8), nn.Dropout(0.0)], True),
        ([nn.Linear(8, 8), nn.BatchNorm1d(8)], False),
        ([nn.Linear(8, 8), nn.BatchNorm1d(8, track_running_stats=False)], False),
        ([nn.Linear(8, 8), nn.Softmax(dim=0)], False),
    ],
)
def test_dropout_and_what_mixes_examples_are_seen(layers: list[nn.Module], alike: bool) -> None:
    workload = tiny_workload.blobs()
    assert batchwise(workload, nn.Sequential(*layers, nn.Linear(8, 2))) is alike


def test_the_facts_of_a_workload_say_it(experiment, tmp_path: Path) -> None:
    plain = run(
        experiment(GRID | {"replicates": None, "grid.policy": ["shuffle"]}), tmp_path / "a", engine="inline"
    )
    assert json.loads((tmp_path / "a" / "workload.json").read_text())["workers_alike"] is True
    assert len(plain.trained()) == 2
