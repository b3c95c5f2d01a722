"""The example that compares policies: tuned alike, fresh seeds, tables to compare, resumable."""

from __future__ import annotations

import csv
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from headrace import random
from headrace.analysis.comparison import compare
from headrace.analysis.tables import read_comparison_table
from headrace.engines._base import Job
from headrace.specs.experiment import Experiment
from headrace.trials.replicate import Replicate

from .inline_engine import InlineEngine

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "compare_policies.py"


class Counting(InlineEngine):
    """Counts what is trained."""

    trained: ClassVar[list[Replicate]] = []

    def submit(self, worker: int, job: Job) -> None:
        assert isinstance(job, Replicate)
        self.trained.append(job)
        super().submit(worker, job)


@pytest.fixture
def compared(content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Replicate]]:
    """Runs the example on a tiny experiment with so many seeds; returns what it trained."""
    changes = {
        "grid": {"batch_size": [4], "policy": ["shuffle", "rs2", "selective-backprop"]},
        "search.trials": 3,
        "search.space.momentum": None,
        "search.policy": {"rs2": {"share": {"low": 0.2, "high": 1.0, "scale": "linear"}}},
    }
    file = tmp_path / "experiment.toml"
    file.write_text(Experiment.from_dict(content(changes)).to_toml())
    example = runpy.run_path(str(EXAMPLE), run_name="compare_policies")
    example["main"].__globals__["LocalEngine"] = Counting

    def run(seeds: int, *more: str) -> list[Replicate]:
        Counting.trained = []
        command = [str(EXAMPLE), str(file), "--out", str(tmp_path / "out"), "--seeds", str(seeds), *more]
        monkeypatch.setattr(sys, "argv", command)
        example["main"]()
        return Counting.trained

    return run


@pytest.mark.usefixtures("tiny")
def test_policies_are_tuned_alike_and_trained_with_fresh_seeds(compared, tmp_path: Path) -> None:
    trained = compared(2)
    assert len(trained) == 3 * 3 + 3 * 2
    policies = ["shuffle", "rs2", "selective-backprop"]
    fresh = [job.study.configuration.policy for job in trained[9:]]
    assert fresh == policies * 2, "seeds are the outer loop"
    with (tmp_path / "out" / "tuning.csv").open() as file:
        tuning = list(csv.DictReader(file))
    best = {
        policy: min(
            (float(row["validation"]), int(row["trial"])) for row in tuning if row["policy"] == policy
        )[1]
        for policy in policies
    }
    runs = tmp_path / "out" / "runs.csv"
    groups, seeds, steps = read_comparison_table(runs, metric="steps")
    assert len(set(seeds)) == 6
    assert all(0 < step <= 60 for step in steps)
    _, _, forwarded = read_comparison_table(runs, metric="forwarded")
    for group, step, count in zip(groups, steps, forwarded, strict=True):
        assert count == 4 * step * (3 if group == "selective-backprop" else 1)
    _, _, reached = read_comparison_table(runs, metric="reached")
    assert all(done == 1 for done, step in zip(reached, steps, strict=True) if step < 60)
    more = compared(3)
    assert [(job.study.configuration.policy, job.trial) for job in more] == [(p, 0) for p in best]
    asked = Experiment.from_toml(tmp_path / "experiment.toml")
    for job in more:
        alone, policy = Experiment.model_validate_json(job.experiment), job.study.configuration.policy
        assert alone.seed == random.integer_seed(asked.seed, "fresh", policy, 2)
        assert alone.studies() == [job.study]
        tuned = next(row for row in tuning if (row["policy"], int(row["trial"])) == (policy, best[policy]))
        assert str(alone.search.space["learning_rate"]) in tuned["values"]
        assert set(alone.search.policy) == ({"rs2"} if policy == "rs2" else set())
    assert compared(3) == []
    more = compared(3, "--baseline-seeds", "5")
    assert [job.study.configuration.policy for job in more] == ["shuffle"] * 2
    assert {"shuffle-3", "shuffle-4"} <= set(read_comparison_table(runs, metric="steps")[1])
    result = compare(*read_comparison_table(runs, metric="test_error"), baseline="shuffle")
    assert result.baseline_seeds == 5
    assert {group.group for group in result.groups} == {"rs2", "selective-backprop"}


def test_its_experiment_file_is_accepted() -> None:
    made = Experiment.from_toml(ROOT / "examples" / "compare_policies.toml")
    assert len(made.grid.policy) == 23


def test_the_page_of_results_shows_what_its_tables_say() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "results" / "policies" / "tables.py"))
    page = (ROOT / "docs" / "results" / "policies" / "README.md").read_text()
    there = [name for name in made["DATA"] if (made["HERE"] / name / "runs.csv").exists()]
    assert "mnist-noisy" in there
    for metric in made["METRICS"]:
        compared = {name: made["comparison"](name, metric) for name in there}
        assert made["table"](metric, compared) in page
