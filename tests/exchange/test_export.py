"""Exports hold what the folder holds, whatever the form; all of it, or nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headrace.cli.app import execute
from headrace.errors import InputError
from headrace.exchange.archive import import_archive
from headrace.exchange.export import FORMS, export
from headrace.exchange.frames import measurements_table, replicates_table, trials_table
from headrace.store.experiments import StoredExperiment, load
from headrace.store.replicates import Replicate, write_replicate

from .made_archive import make_archive

_READERS = {"csv": pl.read_csv, "parquet": pl.read_parquet, "pandas": pl.read_ipc}
_SUFFIX = {"csv": "csv", "parquet": "parquet", "pandas": "feather"}


@pytest.fixture
def stored(tmp_path: Path) -> StoredExperiment:
    """Trials of every status, with a choice among the hyperparameters, and a fresh run."""
    folder = tmp_path / "run"
    import_archive(make_archive(tmp_path), folder, goal=0.1, trials=3)
    study = load(folder).studies()[1].name
    run = Replicate(
        study=study,
        trial=4,
        seed=7,
        hyperparameters={"learning_rate": 0.5, "momentum": 0.9},
        budget=1000,
        reached=300,
        trained=300,
        examples_forwarded=10,
        examples_backpropagated=9,
        validation=0.01,
    )
    write_replicate(load(folder), run)
    return load(folder)


def test_a_row_says_what_a_record_says(stored: StoredExperiment) -> None:
    table = trials_table(stored)
    assert table.height == len(stored.records)
    for row, record in zip(table.iter_rows(named=True), stored.records, strict=True):
        for name in ("study", "trial", "diverged", "trained", "examples_forwarded", "seconds", "error"):
            assert row[name] == getattr(record, name)
        assert row["reached"] == record.reached
        assert f"batch_size={row['batch_size']}" in row["study"].split(",")
        assert row["study"].startswith(row["optimizer"])
        given = {name.partition(".")[2]: value for name, value in row.items() if name.startswith("hyper")}
        assert given == record.hyperparameters
        curve = stored.study_measurements(record.study).filter(pl.col("trial") == record.trial)
        errors = curve.sort("step")["validation/error"].drop_nulls().to_list()
        assert row["validation/error"] == (errors[-1] if errors else None)
    wanted = ["INFEASIBLE", "COMPLETE", "FAILED", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert table["status"].to_list()[:6] == wanted


def test_a_fresh_run_is_a_row(stored: StoredExperiment) -> None:
    (row,) = replicates_table(stored).to_dicts()
    assert (row["study"], row["trial"], row["seed"], row["pilot"]) == (stored.studies()[1].name, 4, 7, False)
    assert (row["reached"], row["validation"], row["test"]) == (300, 0.01, None)
    assert row["hyperparameters.learning_rate"] == 0.5


@pytest.mark.parametrize("form", sorted(_READERS))
def test_every_form_gives_the_tables_back(stored: StoredExperiment, tmp_path: Path, form: str) -> None:
    tables = {
        "trials": trials_table(stored),
        "measurements": measurements_table(stored),
        "replicates": replicates_table(stored),
    }
    files = export(stored, tmp_path / "out", form)
    assert files == sorted(f"{name}.{_SUFFIX[form]}" for name in tables)
    for name, table in tables.items():
        path = tmp_path / "out" / f"{name}.{_SUFFIX[form]}"
        read = pl.read_csv(path, schema=table.schema) if form == "csv" else _READERS[form](path)
        assert_frame_equal(read, table, check_exact=True)


def test_what_was_not_asked_for_is_no_file(tmp_path: Path) -> None:
    bare = import_archive(make_archive(tmp_path), tmp_path / "bare", goal=0.1, trials=3)
    assert export(bare, tmp_path / "out", "csv") == ["measurements.csv", "trials.csv"]


def test_a_name_of_the_users_is_no_formula(stored: StoredExperiment, tmp_path: Path) -> None:
    table = trials_table(stored).with_columns(pl.lit("=1+1").alias("error"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headrace.exchange.export._TABLES", {"trials": lambda _: table})
        export(stored, tmp_path / "out", "csv")
    assert ",'=1+1," in (tmp_path / "out" / "trials.csv").read_text()


def test_what_exists_is_not_replaced_and_an_error_leaves_nothing(
    stored: StoredExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="exists"):
        export(stored, stored.directory, "csv")
    with pytest.raises(InputError, match=r"unknown form.*Did you mean 'parquet'"):
        export(stored, tmp_path / "out", "parqet")
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match="needs Optuna"):
        export(stored, tmp_path / "out", "optuna")
    assert sorted(tmp_path.iterdir()) == before


def test_the_command_says_what_it_wrote(
    stored: StoredExperiment, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stored.directory)
    assert execute(["export", ".", "--to", "csv", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["form"] == "csv"
    assert {Path(path).name for path in said["files"]} == {"trials.csv", "measurements.csv", "replicates.csv"}
    assert all(Path(path).is_file() for path in said["files"])
    # Next to the folder, which the export must not change.
    assert (stored.directory.parent / "run-csv").is_dir()
    for form in FORMS:
        assert f'"{form}"' in _help(capfd)


def _help(capfd: pytest.CaptureFixture[str]) -> str:
    execute(["export", "--help"])
    return capfd.readouterr().out
