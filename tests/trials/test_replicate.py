"""A replicate is measured as a run to the budget measures it, and its test error on the test split."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from headrace.engines.inline import InlinePlace
from headrace.experiments.runner import run
from headrace.trials.advance import MakeBench
from headrace.trials.replicate import Replicate


@pytest.mark.usefixtures("tiny")
def test_a_replicate_comes_to_what_a_run_to_the_budget_stores(experiment, tmp_path: Path) -> None:
    asked = experiment({"training.stop": "budget", "search.trials": 3, "grid.batch_size": [4, 16]})
    stored = run(asked, tmp_path, engine="inline")
    bench = MakeBench.of(asked)(InlinePlace())
    reached, apart = 0, 0
    for record in stored.records:
        study = next(key for key in asked.studies() if key.name == record.study)
        found = Replicate(experiment=asked.model_dump_json(), study=study, trial=record.trial).do(bench)
        rows = stored.study_measurements(record.study).filter(pl.col("trial") == record.trial).sort("step")
        last = rows.row(-1, named=True)
        assert found.steps == (60 if record.reached is None else record.reached)
        assert (found.reached, found.diverged) == (record.reached is not None, record.diverged is not None)
        at_goal = last if not found.reached else rows.filter(pl.col("step") == found.steps).row(0, named=True)
        assert found.trained == at_goal["examples_backpropagated"]
        if record.diverged is None:
            assert found.validation == last["validation/error"]
            assert found.test == last["test/error"]
            apart += found.test != found.validation
        reached += found.reached
    assert reached
    assert apart, "validation and test must tell apart"
