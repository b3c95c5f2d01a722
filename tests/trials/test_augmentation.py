"""Random augmentations: in training alone, on the trial's own streams, exact under any interruption."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from experiments.inline_engine import Given, InlineEngine
from experiments.test_runner import canonical, started
from headrace.engines.registry import ENGINES
from headrace.errors import InputError
from headrace.experiments.runner import run
from headrace.specs.experiment import Experiment

pytestmark = pytest.mark.usefixtures("tiny")


SMALL: dict[str, Any] = {
    "grid": {"batch_size": [4], "optimizer": ["sgd"], "workers": [1, 3]},
    "search.trials": 3,
    "search.space.momentum": None,
    "training.budget": {"steps": 24},
}


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("name", ["transformed", "fetched", "evaluated"])
def test_results_depend_on_no_order_and_no_interruption(experiment, tmp_path: Path, name: str) -> None:
    """Trials take turns in one process, and are thrown away and begun again, by chance."""
    made = experiment(SMALL | {"workload.name": f"augmented_workload:{name}"})
    states = random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()
    one = canonical(run(made, tmp_path / "one", processes=1))
    np.random.rand(3), random.random(), torch.rand(1)
    assert canonical(run(made, tmp_path / "five", processes=5)) == one
    assert len(one) > 2
    assert states[1] != str(np.random.get_state())


@pytest.mark.usefixtures("inline")
def test_an_augmentation_changes_training_and_no_evaluation(experiment, tmp_path: Path) -> None:
    plain, other, turned = (
        run(experiment(SMALL | {"workload.name": name}), tmp_path / name.partition(":")[2], processes=1)
        for name in ("tiny_workload:blobs", "augmented_workload:transformed", "augmented_workload:evaluated")
    )

    def losses(stored: Any, name: str, step: int) -> list[float]:
        table = stored.measurements.filter((pl.col("step") == step) & pl.col(name).is_not_null())
        return table.sort("study", "trial")[name].to_list()

    assert losses(plain, "validation/loss", 0) == losses(other, "validation/loss", 0)
    assert losses(plain, "validation/loss", 0) != losses(turned, "validation/loss", 0)
    assert losses(plain, "train/loss", 1) != losses(other, "train/loss", 1)


@pytest.mark.usefixtures("inline")
def test_what_cannot_be_seeded_is_refused(experiment, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="random in a way that cannot be seeded"):
        run(experiment({"workload.name": "augmented_workload:unseedable"}), tmp_path / "run", processes=1)


@pytest.mark.slow
def test_a_killed_run_with_an_augmentation_goes_on_to_the_same(
    experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(pause: float) -> Experiment:
        settings = {"workload.name": "augmented_workload:transformed", "workload.settings": {"pause": pause}}
        return experiment(SMALL | settings)

    with monkeypatch.context() as inline:
        inline.setitem(ENGINES, "local", Given(InlineEngine))
        expected = canonical(run(made(0.0), tmp_path / "reference", processes=1))
    process = started(made(0.004), tmp_path / "killed", tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert canonical(run(made(0.004), tmp_path / "killed", processes=1)) == expected
