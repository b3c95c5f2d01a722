"""Writing a folder's trials in the layout of the published batch-science archive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors import InputError
from headrace.exchange.archive_layout import (
    COLUMNS,
    HYPERPARAMETERS,
    OPTIMIZERS,
    SCALES,
    STUDY_FILE,
    StudyFile,
    read_file,
)
from headrace.exchange.frames import status_of
from headrace.files import write_whole
from headrace.folders import making
from headrace.specs.space import AnyEntry, Choices, Range
from headrace.specs.studies import StudyKey
from headrace.store.experiments import StoredExperiment, study_directory
from headrace.store.records import Status, TrialRecord

if TYPE_CHECKING:
    import polars as pl

_OPTIMIZERS = {ours: theirs for theirs, ours in OPTIMIZERS.items()}
_HYPERPARAMETERS = {ours: theirs for theirs, ours in HYPERPARAMETERS.items()}
_COLUMNS = {ours: theirs for theirs, ours in COLUMNS.items()}
_SCALES = {ours: theirs for theirs, ours in SCALES.items() if theirs}


def export_archive(
    stored: StoredExperiment, target: str | Path, *, dataset: str | None = None, model: str | None = None
) -> Path:
    """Write every trial in the archive's layout; the folder appears when all of it is written, or not at all.

    A trial that was stopped is INCOMPLETE there: the archive has no word for it. Trial ids begin with 1.

    Args:
        stored: The experiment.
        target: The folder to write into.
        dataset: The outer folder's name; by default the workload's name up to its last slash.
        model: The inner folder's name; by default the rest of the workload's name.

    Returns:
        The folder `target/dataset/model`.

    Raises:
        InputError: The archive has no place for a study of this experiment, a name cannot be a folder's, no
            trials, or the folder exists.
        DamagedError: A part of the experiment's folder is truncated or was altered.
        StorageError: The folder cannot be written.
    """
    before, _, after = stored.experiment.workload.name.replace(":", "/").rpartition("/")
    names = _Names(dataset=dataset or before or after, model=model or after)
    for name in (*names.dataset.split("/"), *names.model.split("/")):
        if name in ("", ".", "..") or "\0" in name:
            raise InputError(
                "cannot be a folder's name",
                where="export",
                got=name,
                fix="Export from Python with other names: export_archive(..., dataset=..., model=...).",
            )
    studies = [study for study in stored.experiment.studies() if stored.study_records(study.name)]
    if not studies:
        raise InputError("there are no trials", where=str(stored.directory), fix="Run the experiment first.")
    root = Path(target) / names.dataset / names.model
    with making(root) as folder:
        for study in studies:
            _export_study(stored, study, folder, names)
    return root


@dataclass(frozen=True, kw_only=True)
class _Names:
    dataset: str
    model: str


def _export_study(stored: StoredExperiment, study: StudyKey, root: Path, names: _Names) -> None:
    configuration = study.configuration
    if (configuration.subset, configuration.policy, configuration.workers) != ("full", "shuffle", 1):
        raise InputError("the archive has no place for this study", where="export", got=study.name)
    optimizer = _OPTIMIZERS.get(study.optimizer, study.optimizer)
    folder = root / optimizer / str(configuration.batch_size)
    content = _content(stored, study, names)
    _write_json(folder / STUDY_FILE, content)
    tables = stored.study_measurements(study.name).partition_by("trial", as_dict=True, include_key=False)
    for record in stored.study_records(study.name):
        trial = folder / str(record.trial + 1)
        table = tables.get((record.trial,))
        _write_json(trial / "metadata.json", _metadata(stored, study, record, content, table))
        _write_table(trial / "measurements.csv", table, stored)


def _content(stored: StoredExperiment, study: StudyKey, names: _Names) -> dict[str, Any]:
    """`study.json`: as it was imported, or made from the experiment."""
    imported = study_directory(stored.directory, study.name) / STUDY_FILE
    if imported.exists():
        return read_file(imported, StudyFile)[1]
    budget = stored.budget_steps(study)
    configs = {
        _HYPERPARAMETERS.get(name, name): _config(name, entry, budget)
        for name, entry in sorted(stored.experiment.space_of(study).items())
    }
    return {
        "batch_size": study.configuration.batch_size,
        "dataset": names.dataset,
        "early_stopping": stored.experiment.training.stop == "bound",
        "model": names.model,
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
    status = status_of(record, budget)
    return "INCOMPLETE" if status in (Status.FAILED, Status.STOPPED) else status.value


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_whole(path, (json.dumps(content, indent=2, sort_keys=True) + "\n").encode())


def _write_table(path: Path, table: pl.DataFrame | None, stored: StoredExperiment) -> None:
    """The measurements under the archive's names; metrics that were never measured are left out."""
    import polars as pl

    if table is None:
        write_whole(path, b"step\n")
        return
    named = table.rename(
        {f"{split}/{stored.metric_name}": f"{split}/error" for split in ("validation", "test")}, strict=False
    )
    buffer = BytesIO()
    columns = [name for name in _COLUMNS if name in named.columns]
    named.select("step", *(pl.col(name).alias(_COLUMNS[name]) for name in columns)).write_csv(buffer)
    write_whole(path, buffer.getvalue())
