"""Writing a folder's trials in the layout of the published batch-science archive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors import InputError
from headrace.experiments.archive import COLUMNS, HYPERPARAMETERS, OPTIMIZERS, SCALES, STUDY_FILE
from headrace.experiments.records import StudyKey, TrialRecord
from headrace.experiments.space import AnyEntry, Choices, Range
from headrace.experiments.store import StoredExperiment, study_directory

if TYPE_CHECKING:
    import polars as pl

_OPTIMIZERS = {ours: theirs for theirs, ours in OPTIMIZERS.items()}
_HYPERPARAMETERS = {ours: theirs for theirs, ours in HYPERPARAMETERS.items()}
_COLUMNS = {ours: theirs for theirs, ours in COLUMNS.items()}
_SCALES = {ours: theirs for theirs, ours in SCALES.items() if theirs}


def export_archive(
    stored: StoredExperiment, target: str | Path, *, dataset: str | None = None, model: str | None = None
) -> Path:
    """Write every trial in the archive's layout.

    A trial that was stopped is INCOMPLETE there, for the archive has no word for it. Trial ids begin with 1.

    Args:
        stored: The experiment.
        target: The folder to write into.
        dataset: The outer folder's name; by default the workload's name up to its last slash.
        model: The inner folder's name; by default the rest of the workload's name.

    Returns:
        The folder `target/dataset/model`.

    Raises:
        InputError: The archive has no place for a study of this experiment.
    """
    before, _, after = stored.experiment.workload.name.replace(":", "/").rpartition("/")
    root = Path(target) / (dataset or before or after) / (model or after)
    for study in stored.experiment.studies():
        if stored.study_records(study.name):
            _export_study(stored, study, root)
    return root


def _export_study(stored: StoredExperiment, study: StudyKey, root: Path) -> None:
    configuration = study.configuration
    if (configuration.subset, configuration.policy, configuration.workers) != ("full", "shuffle", 1):
        raise InputError("the archive has no place for this study", where="export", got=study.name)
    optimizer = _OPTIMIZERS.get(study.optimizer, study.optimizer)
    folder = root / optimizer / str(configuration.batch_size)
    folder.mkdir(parents=True, exist_ok=True)
    content = _content(stored, study, root)
    _write_json(folder / STUDY_FILE, content)
    tables = stored.study_measurements(study.name).partition_by("trial", as_dict=True, include_key=False)
    for record in stored.study_records(study.name):
        trial = folder / str(record.trial + 1)
        trial.mkdir(exist_ok=True)
        table = tables.get((record.trial,))
        _write_json(trial / "metadata.json", _metadata(stored, study, record, content, table))
        _write_table(trial / "measurements.csv", table, stored)


def _content(stored: StoredExperiment, study: StudyKey, root: Path) -> dict[str, Any]:
    """`study.json`: as it was imported, or made from the experiment."""
    imported = study_directory(stored.directory, study.name) / STUDY_FILE
    if imported.exists():
        return json.loads(imported.read_bytes())
    budget = stored.budget_steps(study)
    configs = {
        _HYPERPARAMETERS.get(name, name): _config(name, entry, budget)
        for name, entry in sorted(stored.experiment.space_of(study).items())
    }
    return {
        "batch_size": study.configuration.batch_size,
        "dataset": root.parent.name,
        "early_stopping": stored.experiment.training.stop == "bound",
        "model": root.name,
        "optimizer": _OPTIMIZERS.get(study.optimizer, study.optimizer),
        "parameter_configs": configs,
        "train_steps": budget,
    }


def _config(name: str, entry: AnyEntry, budget: int) -> dict[str, Any]:
    if isinstance(entry, Range) and name == "decay_fraction":
        low, high = round(entry.low * budget), round(entry.high * budget)
        return {"max_value": high, "min_value": low, "scale": "", "type": "INTEGER"}
    if isinstance(entry, Range):
        return {
            "max_value": entry.high,
            "min_value": entry.low,
            "scale": _SCALES[entry.scale],
            "type": "DOUBLE",
        }
    points = list(entry.choices) if isinstance(entry, Choices) else [entry]
    return {"feasible_points": points, "type": "DISCRETE"}


def _metadata(
    stored: StoredExperiment,
    study: StudyKey,
    record: TrialRecord,
    content: Mapping[str, Any],
    table: pl.DataFrame | None,
) -> dict[str, Any]:
    steps = table["step"].max() if table is not None and table.height else 0
    return {
        "parameters": {
            _HYPERPARAMETERS.get(name, name): _parameter(name, value, content)
            for name, value in record.hyperparameters.items()
        },
        "status": _status(record, stored.budget_steps(study)),
        "steps": steps,
        "trial_id": record.trial + 1,
    }


def _parameter(name: str, value: float | str, content: Mapping[str, Any]) -> float | int | str:
    if name == "decay_fraction" and not isinstance(value, str):
        return round(value * content["train_steps"])
    return value


def _status(record: TrialRecord, budget: int) -> str:
    if record.failed:
        return "INCOMPLETE"
    if record.reached is not None:
        return "COMPLETE"
    if record.diverged is not None:
        return "INFEASIBLE"
    return "COMPLETE" if record.trained >= budget else "INCOMPLETE"


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _write_table(path: Path, table: pl.DataFrame | None, stored: StoredExperiment) -> None:
    """The measurements under the archive's names; metrics that were never measured are left out."""
    import polars as pl

    if table is None:
        path.write_text("step\n", encoding="utf-8")
        return
    named = table.rename(
        {f"{split}/{stored.metric_name}": f"{split}/error" for split in ("validation", "test")}, strict=False
    )
    columns = [name for name in _COLUMNS if name in named.columns]
    named.select("step", *(pl.col(name).alias(_COLUMNS[name]) for name in columns)).write_csv(path)
