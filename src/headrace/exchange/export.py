"""Writing what a folder holds for other tools: tables for any of them, a study storage for Optuna's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.csv_cells import csv_text
from headrace.errors import InputError, did_you_mean
from headrace.exchange.frames import measurements_table, replicates_table, trials_table
from headrace.files import write_whole
from headrace.folders import making
from headrace.store.experiments import StoredExperiment

if TYPE_CHECKING:
    import polars as pl

Inform = Callable[[str], object]


def export(
    stored: StoredExperiment, target: str | Path, form: str, *, inform: Inform = lambda line: None
) -> list[str]:
    """Write a folder's trials in a form that other tools read; all of it, or nothing.

    Args:
        stored: The experiment.
        target: The folder to make.
        form: One of `FORMS`. "csv", "parquet" and "pandas" (Feather files, which keep the types) hold the
            tables of `headrace.exchange.frames`; "optuna" is a storage with one Optuna study per study.
        inform: Called with a line about each study, where that takes long.

    Returns:
        The names of the files.

    Raises:
        InputError: The form is unknown or needs a package that is not installed, there are no trials, or
            `target` exists.
        DamagedError: A part of the experiment's folder is truncated or was altered.
        StorageError: The folder cannot be written.
    """
    if form not in FORMS:
        raise InputError("unknown form", where="--to", got=form, fix=did_you_mean(form, FORMS))
    if not stored.records:
        raise InputError("there are no trials", where=str(stored.directory), fix="Run the experiment first.")
    with making(target) as folder:
        FORMS[form](stored, folder, inform)
        return sorted(path.name for path in folder.iterdir())


def _csv(table: pl.DataFrame) -> bytes:
    return csv_text(table.columns, table.iter_rows()).encode()


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def _feather(table: pl.DataFrame) -> bytes:
    import polars as pl

    buffer = BytesIO()
    # pandas reads texts of the older layout only.
    table.write_ipc(buffer, compat_level=pl.CompatLevel.oldest())
    return buffer.getvalue()


def _tables(
    written: Callable[[pl.DataFrame], bytes], suffix: str
) -> Callable[[StoredExperiment, Path, Inform], None]:
    """Writes each table that has rows as one file."""

    def write(stored: StoredExperiment, folder: Path, inform: Inform) -> None:
        for name, table in _TABLES.items():
            frame = table(stored)
            if frame.height:
                write_whole(folder / f"{name}.{suffix}", written(frame))

    return write


def _optuna(stored: StoredExperiment, folder: Path, inform: Inform) -> None:
    from headrace.exchange.optuna import write_storage

    write_storage(stored, folder / "optuna.db", inform)


_TABLES: Mapping[str, Callable[[StoredExperiment], pl.DataFrame]] = {
    "trials": trials_table,
    "measurements": measurements_table,
    "replicates": replicates_table,
}
FORMS: Mapping[str, Callable[[StoredExperiment, Path, Inform], None]] = {
    "csv": _tables(_csv, "csv"),
    "parquet": _tables(_parquet, "parquet"),
    "pandas": _tables(_feather, "feather"),
    "optuna": _optuna,
}
"""Name of a form -> what writes it: (experiment, folder, called with a line about each study)."""
