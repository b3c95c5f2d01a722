"""Stores made up for tests: trials whose steps to the goal follow a known law."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from headrace import random
from headrace.specs.experiment import Experiment
from headrace.specs.studies import StudyKey
from headrace.store.experiments import StoredExperiment, create, load, write_facts, write_trials
from headrace.store.facts import WorkloadFacts
from headrace.store.records import TrialRecord
from headrace.training.budget import evaluation_steps

GOAL = 0.1
Law = Callable[[StudyKey, dict[str, Any]], float]
"""Study and hyperparameters -> the steps to the goal; NaN where the trial diverges."""


def experiment(batch_sizes: list[int], **overrides: Any) -> Experiment:
    """An experiment on a workload that is never loaded."""
    return Experiment.from_dict(
        {
            "seed": overrides.get("seed", 3),
            "workload": {"name": "digits-mlp"},
            "grid": {"batch_size": batch_sizes, "optimizer": overrides.get("optimizer", ["sgd"])},
            "search": {
                "trials": overrides.get("trials", 16),
                "space": overrides.get(
                    "space", {"learning_rate": {"low": 1e-3, "high": 10.0, "scale": "log"}}
                ),
            },
            "training": {
                "budget": {"steps": overrides.get("budget", 100_000)},
                "stop": overrides.get("stop", "budget"),
            },
            "report": overrides.get("report", {}),
        }
    )


def two_regimes(best_rate: Callable[[int], float], steps_min: float = 100, critical: float = 64) -> Law:
    """Steps of Smin (1 + Bcrit/B) at the best learning rate, more away from it; too large a rate diverges."""

    def law(study: StudyKey, values: dict[str, Any]) -> float:
        batch = study.configuration.batch_size
        off = math.log(values["learning_rate"] / best_rate(batch))
        return math.nan if off > 3 else steps_min * (1 + critical / batch) * (1 + 0.1 * off**2)

    return law


def make_store(
    directory: Path, asked: Experiment, law: Law, *, order: int = 0, extra: bool = False
) -> StoredExperiment:
    """Write every trial's record and measurements as a run to the budget would have left them.

    Args:
        directory: The folder.
        asked: The experiment.
        law: When each trial reaches the goal.
        order: The seed of the order in which the trials are written.
        extra: Whether trials beyond those that count are there too.
    """
    create(directory, asked)
    write_facts(
        directory,
        WorkloadFacts(name="made", goal=GOAL, train_examples=4096, validation_examples=512, parameters=7),
    )
    trials = asked.search.limit if extra else 2 * asked.search.trials
    for study in asked.studies():
        shuffled = random.generator(order, "order", study.name).permutation(trials).tolist()
        for part, members in enumerate((shuffled[: trials // 2], shuffled[trials // 2 :])):
            made = [_trial(asked, study, trial, law) for trial in members]
            write_trials(
                directory, [record for record, _ in made], pl.concat([r for _, r in made]), part=part
            )
    return load(directory)


def _trial(asked: Experiment, study: StudyKey, trial: int, law: Law) -> tuple[TrialRecord, pl.DataFrame]:
    budget = asked.budget_steps(study, 4096)
    values = asked.hyperparameters(study, trial)
    steps = np.array(evaluation_steps(budget))
    needed = law(study, values)
    reached = None if math.isnan(needed) or needed > budget else int(steps[steps >= needed][0])
    diverged = int(steps[3]) if math.isnan(needed) else None
    end = diverged if diverged is not None else budget
    steps = steps[steps <= end]
    error = GOAL * (1.5 - 0.5 * steps / (math.inf if math.isnan(needed) else max(needed, 1e-9)))
    error = np.where(
        steps >= (reached if reached is not None else math.inf), np.minimum(error, GOAL * 0.99), error
    )
    rows = pl.DataFrame(
        {
            "trial": np.full(len(steps), trial),
            "step": steps,
            "train/loss": error,
            "validation/loss": error,
            "validation/error": np.maximum(error, 0.0),
            "test/loss": error,
            "test/error": np.maximum(error, 0.0) + 0.01,
        }
    )
    record = TrialRecord(
        trial=trial,
        reached=reached,
        diverged=diverged,
        trained=end,
        study=study.name,
        hyperparameters=values,
        examples_forwarded=end * study.configuration.batch_size,
        examples_backpropagated=end * study.configuration.batch_size,
        seconds=0.1 * trial,
    )
    return record, rows
