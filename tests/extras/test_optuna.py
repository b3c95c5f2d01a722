"""An exported storage as Optuna reads it."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from tests.exchange.made_archive import make_archive

from headrace.exchange.archive import import_archive
from headrace.exchange.export import export
from headrace.exchange.frames import trials_table

_STATES = {"INFEASIBLE": TrialState.FAIL, "FAILED": TrialState.FAIL, "STOPPED": TrialState.PRUNED}


@pytest.mark.filterwarnings("error")
def test_a_storage_holds_every_trial(tmp_path: Path) -> None:
    stored = import_archive(make_archive(tmp_path), tmp_path / "run", goal=0.1, trials=3)
    told: list[str] = []
    assert export(stored, tmp_path / "out", "optuna", inform=told.append) == ["optuna.db"]
    assert told == [study.name for study in stored.studies()]
    for name in told:
        study = optuna.load_study(study_name=name, storage=f"sqlite:///{tmp_path / 'out' / 'optuna.db'}")
        rows = [row for row in trials_table(stored).to_dicts() if row["study"] == name]
        assert study.best_value == min(row["reached"] for row in rows if row["reached"] is not None)
        for trial, row in zip(study.trials, rows, strict=True):
            missed = TrialState.PRUNED if row["reached"] is None else TrialState.COMPLETE
            assert trial.state == _STATES.get(row["status"], missed)
            assert trial.value == row["reached"]
            given = [key for key in row if key.startswith("hyperparameters.")]
            assert trial.params == {key.partition(".")[2]: row[key] for key in given}
            last = row["validation/error"]
            assert last is None or math.isclose(list(trial.intermediate_values.values())[-1], last)
