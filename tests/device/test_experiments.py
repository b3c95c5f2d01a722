"""Whole experiments and searches on an accelerator: nothing mixes, and chance changes nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments import conftest as experiments
from experiments.inline_engine import Given, InlineEngine
from experiments.test_runner import canonical
from headrace import random as names
from headrace.engines.registry import ENGINES
from headrace.experiments import runner
from headrace.search.runner import search_subset
from headrace.specs.experiment import Experiment
from headrace.specs.search import SubsetSearch
from headrace.store.portraits import portraits
from headrace.subsets.file import Subset
from headrace.training import stream
from headrace.trials import bench as worker
from headrace.trials import search_bench
from search import conftest as searches
from subsets.test_subset_axis import save

from .pretend import DEVICE, NAME, Pretend

TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def there(monkeypatch):
    """Every worker's device is the pretend one, and its generators' first states are made on the host."""
    for room in ("experiments", "search"):
        monkeypatch.syspath_prepend(str(TESTS / room))
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    for module in (worker, search_bench):
        monkeypatch.setattr(module, "pick_device", lambda wanted, rank: DEVICE)
    monkeypatch.setattr(names, "ACCELERATORS", (*names.ACCELERATORS, NAME))
    monkeypatch.setattr(stream, "ACCELERATORS", names.ACCELERATORS)
    made = names.torch_generator
    monkeypatch.setattr(stream, "torch_generator", lambda *path, device="cpu": made(*path, device="cpu"))


GRIDS: dict[str, dict[str, Any]] = {
    "workers and checkpoints": {
        "grid.workers": [1, 2],
        "grid.optimizer": ["nesterov"],
        "training.microbatch": 3,
        "training.checkpoints": 2,
    },
    "policies": {
        "grid.policy": ["shuffle", "importance-difficulty", "selective-backprop", "rho-loss", "recency-bias"],
        "search.policy": {"rho-loss": {"candidates": 3}},
    },
    "subsets": {"grid.subset": ["full", "random:0.25", "s.parquet"], "grid.policy": ["gradient-norm"],
                "search.policy": {"gradient-norm": {"always": True}}},
}  # fmt: skip
SMALL = {"grid.batch_size": [4], "grid.optimizer": ["sgd"], "search.space.momentum": None, "search.trials": 2,
         "training.budget": {"steps": 12}, "workload.goal": 0.45}  # fmt: skip


def experiment(grid: str) -> Experiment:
    changes = {**SMALL, **GRIDS[grid]}
    if "nesterov" in changes["grid.optimizer"]:
        del changes["search.space.momentum"]
    return Experiment.from_dict(experiments.merged(experiments.CONTENT, changes))


@pytest.mark.parametrize(
    ("grid", "float64"),
    [
        ("workers and checkpoints", True),
        pytest.param("policies", False, marks=pytest.mark.slow),
        pytest.param("policies", True, marks=pytest.mark.slow),
        pytest.param("subsets", False, marks=pytest.mark.slow),
        pytest.param("subsets", True, marks=pytest.mark.slow),
    ],
)
def test_an_experiment_runs_and_its_interruptions_change_nothing(grid, float64, tmp_path, monkeypatch):
    if not float64:
        monkeypatch.setattr("headrace.arrays.WITHOUT_FLOAT64", frozenset({NAME}))
    found = []
    with Pretend(float64=float64):
        for chance in (0, 1):
            monkeypatch.setattr(InlineEngine, "chance", random.Random(chance))
            save(tmp_path / str(chance) / "s.parquet")
            stored = runner.run(experiment(grid), tmp_path / str(chance), processes=2)
            found.append(canonical(stored))
            errors = [found.portrait.error for found in portraits(stored)]
            assert errors
            assert not any(errors)
    assert found[0] == found[1]
    assert not {row[2] for row in found[0] if len(row) > 3} & {"FAILED"}


SEARCHES = {
    "scores": {"search.acquisition": ["mutual_information"], "comparison": {"seeds": 1}},
    "k_center": {"search.select.name": "k_center"},
    "batch_bald": {"search.select.name": "batch_bald"},
}


@pytest.mark.parametrize(
    "way", ["k_center", *(pytest.param(name, marks=pytest.mark.slow) for name in ("scores", "batch_bald"))]
)
def test_a_search_chooses_on_the_device(way, tmp_path):
    content = searches.merged(searches.CONTENT, {"search.sizes": [0.125, 0.25], **SEARCHES[way]})
    with Pretend():
        outcome = search_subset(SubsetSearch.from_dict(content), tmp_path, processes=1)
    subset = Subset.load(outcome.subset)
    assert len(np.unique(subset.indices)) == 60
    assert isinstance(subset.scores, np.ndarray)
    assert pl.read_parquet(outcome.subset).height == 60
