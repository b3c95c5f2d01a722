"""What a folder holds as tables, one row a trial, a measurement or a replicate: for a user's own analysis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.specs.studies import StudyKey
from headrace.store import replicates
from headrace.store.experiments import StoredExperiment
from headrace.store.records import Status, TrialRecord

if TYPE_CHECKING:
    import polars as pl

IDENTITY = ("study", "optimizer", "subset", "policy", "workers", "batch_size")
HYPERPARAMETER = "hyperparameters."
"""What the columns of hyperparameters begin with."""
_RESULT = ("trial", "status", "reached", "diverged", "trained", "budget")
_COST = ("examples_forwarded", "examples_backpropagated", "seconds", "error")
_REPLICATE = ("trial", "seed", "pilot", "reached", "diverged", "trained", "budget", "validation", "test")


def trials_table(stored: StoredExperiment) -> pl.DataFrame:
    """Every trial of a folder as it was trained, stopped and failed ones too.

    Args:
        stored: The experiment.

    Returns:
        One row a trial, by study and index: study, optimizer, subset, policy, workers, batch_size; trial,
        status (see `Status`; COMPLETE means that it reached the goal or the budget's end), reached and
        diverged (steps, null if it did not), trained and budget (steps); the last validation and test metric,
        named as the measurements are; examples_forwarded, examples_backpropagated, seconds, error; and
        `hyperparameters.NAME` for each hyperparameter. A study whose trials are those of another, because
        both are the same function, has them too.

    Raises:
        DamagedError: A part is truncated or was altered.
    """
    rows: list[dict[str, Any]] = []
    metrics = [f"{split}/{stored.metric_name}" for split in ("validation", "test")]
    for study in stored.studies():
        last = _last(stored, study.name, metrics)
        rows += [
            _trial(stored, study, record, last.get(record.trial, {})) for record in _records(stored, study)
        ]
    return _frame(rows, (*IDENTITY, *_RESULT, *metrics, *_COST), (row["given"] for row in rows))


def measurements_table(stored: StoredExperiment) -> pl.DataFrame:
    """Every measurement: study, trial, step, the examples it took until then, losses and metrics.

    Raises:
        DamagedError: A part is truncated or was altered.
    """
    return stored.measurements


def replicates_table(stored: StoredExperiment) -> pl.DataFrame:
    """Every training from a fresh seed, pilots too; no row if none were asked for.

    Returns:
        study, optimizer, subset, policy, workers, batch_size; trial (whose setting it is), seed, pilot,
        reached, diverged, trained and budget (steps), validation and test (the metric at the last step),
        examples_forwarded, examples_backpropagated, error; and `hyperparameters.NAME`.

    Raises:
        DamagedError: A record is truncated or was altered.
    """
    keys = {study.name: study for study in stored.studies()}
    columns = (*IDENTITY, *_REPLICATE, *(name for name in _COST if name != "seconds"))
    runs = replicates.read(stored).runs
    found = [(key, run) for key, run in sorted(runs.items()) if run.study in keys]
    rows = [_identity(keys[run.study]) | dict(run) for _, run in found]
    return _frame(rows, columns, (run.hyperparameters for _, run in found))


def _records(stored: StoredExperiment, study: StudyKey) -> list[TrialRecord]:
    return sorted(stored.study_records(study.name), key=lambda record: record.trial)


def _identity(study: StudyKey) -> dict[str, Any]:
    return {"study": study.name, "optimizer": study.optimizer} | dict(study.configuration)


def _trial(
    stored: StoredExperiment, study: StudyKey, record: TrialRecord, last: Mapping[str, float | None]
) -> dict[str, Any]:
    budget = stored.budget_steps(study)
    # The study's own name: the record may be of one that is the same function.
    ending = {"status": status_of(record, budget).value, "budget": budget, "given": record.hyperparameters}
    return {**dict(record), **_identity(study), **ending, **last}


def status_of(record: TrialRecord, budget: int) -> Status:
    """How a trial ended, by what is stored of it.

    Args:
        record: The trial.
        budget: Its step budget.
    """
    if record.failed:
        return Status.FAILED
    if record.reached is not None:
        return Status.COMPLETE
    if record.diverged is not None:
        return Status.INFEASIBLE
    return Status.COMPLETE if record.trained >= budget else Status.STOPPED


def _last(stored: StoredExperiment, study: str, metrics: Sequence[str]) -> dict[int, dict[str, float | None]]:
    """Trial -> its metrics at the last step where each was measured."""
    import polars as pl

    table = stored.study_measurements(study).sort("trial", "step")
    last = table.group_by("trial").agg(pl.col(name).drop_nulls().last() for name in metrics)
    return {row.pop("trial"): row for row in last.to_dicts()}


def _frame(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], given: Iterable[Mapping[str, Any]]
) -> pl.DataFrame:
    """The rows with exactly these columns, then one for each hyperparameter, typed by what it holds."""
    import polars as pl

    settings = list(given)
    names = sorted({name for each in settings for name in each})
    values = {name: [each.get(name) for each in settings] for name in names}
    columns_of = {name: [row.get(name) for row in rows] for name in columns}
    return pl.DataFrame(
        [pl.Series(name, cells, dtype=_type(name), strict=False) for name, cells in columns_of.items()]
        + [pl.Series(f"{HYPERPARAMETER}{name}", *_typed(cells)) for name, cells in values.items()]
    )


def _type(name: str) -> Any:
    import polars as pl

    if name in ("study", "optimizer", "subset", "policy", "status", "error"):
        return pl.String
    if name in ("validation", "test", "seconds") or "/" in name:
        return pl.Float64
    return pl.Boolean if name == "pilot" else pl.Int64


def _typed(cells: Sequence[Any]) -> tuple[list[Any], Any]:
    """The cells of one hyperparameter and their type; numbers are floats, mixed kinds are text."""
    import polars as pl

    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds <= {int, float}:
        return [None if cell is None else float(cell) for cell in cells], pl.Float64
    if kinds == {bool}:
        return list(cells), pl.Boolean
    return [None if cell is None else str(cell) for cell in cells], pl.String
