"""A folder's studies as a storage of Optuna, which optuna-dashboard opens."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from headrace.errors import InputError
from headrace.exchange.frames import status_of
from headrace.specs.space import AnyEntry, Choices, Range
from headrace.specs.studies import StudyKey
from headrace.store.experiments import StoredExperiment
from headrace.store.records import Status, TrialRecord


def write_storage(stored: StoredExperiment, path: Path, inform: Callable[[str], object]) -> None:
    """Write an SQLite file with one Optuna study per study; its value is the steps to the goal, minimised.

    A trial that reached the goal is COMPLETE there, one that diverged or raised an error FAIL, and one that
    ended without the goal PRUNED. Intermediate values are the validation metric at each evaluated step.

    Args:
        stored: The experiment, with trials.
        path: The file to write.
        inform: Called with a line about each study when it is written.

    Raises:
        InputError: Optuna is not installed.
        DamagedError: A part of the experiment's folder is truncated or was altered.
    """
    try:
        optuna = import_module("optuna")
    except ImportError:
        fix = "Give: pip install '.[optuna]'. For its pages: pip install optuna-dashboard."
        raise InputError("needs Optuna, which is not installed", where="--to optuna", fix=fix) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    for study in stored.studies():
        made = optuna.create_study(study_name=study.name, storage=storage, direction="minimize")
        _describe(made, stored, study)
        curves = _curves(stored, study.name)
        for record in sorted(stored.study_records(study.name), key=lambda record: record.trial):
            made.add_trial(_trial(stored, study, record, curves.get(record.trial, {})))
        inform(study.name)
    storage.engine.dispose()
    # One file, without the journal of the database beside it.
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=DELETE")


def _describe(made: Any, stored: StoredExperiment, study: StudyKey) -> None:
    facts = {"optimizer": study.optimizer} | dict(study.configuration) | {"goal": stored.goal}
    for name, value in facts.items():
        made.set_user_attr(name, value)


def _curves(stored: StoredExperiment, study: str) -> dict[int, dict[int, float]]:
    """Trial -> step -> the validation metric, where it is a number."""
    import polars as pl

    metric = pl.col(f"validation/{stored.metric_name}")
    known = stored.study_measurements(study).filter(metric.is_finite()).select("trial", "step", metric)
    curves: dict[int, dict[int, float]] = {}
    for trial, step, value in known.iter_rows():
        curves.setdefault(trial, {})[step] = value
    return curves


def _trial(stored: StoredExperiment, study: StudyKey, record: TrialRecord, curve: Mapping[int, float]) -> Any:
    budget = stored.budget_steps(study)
    reached = None if record.failed else record.reached
    space = stored.experiment.space_of(study)
    facts = {
        "trial": record.trial,
        "status": status_of(record, budget).value,
        "steps trained": record.trained,
    }
    return import_module("optuna.trial").create_trial(
        state=_state(status_of(record, budget), reached),
        value=None if reached is None else float(reached),
        params=record.hyperparameters,
        distributions={
            name: _distribution(space.get(name), value) for name, value in record.hyperparameters.items()
        },
        intermediate_values=dict(curve),
        user_attrs=facts | ({"error": record.error} if record.error else {}),
    )


def _state(status: Status, reached: int | None) -> Any:
    states = import_module("optuna.trial").TrialState
    if reached is not None:
        return states.COMPLETE
    return states.FAIL if status in (Status.FAILED, Status.INFEASIBLE) else states.PRUNED


def _distribution(entry: AnyEntry | None, value: Any) -> Any:
    """The distribution of a hyperparameter; one that is not tuned is a choice of one."""
    kinds = import_module("optuna.distributions")
    if isinstance(entry, Range):
        # A trial of an earlier, wider space stays within.
        low, high = min(entry.low, float(value)), max(entry.high, float(value))
        return kinds.FloatDistribution(low, high, log=entry.scale == "log")
    return kinds.CategoricalDistribution(entry.choices if isinstance(entry, Choices) else (value,))
