"""The archive's layout, both ways; the archive here is made by hand from its published description."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from headrace.errors import DamagedError, InputError
from headrace.exchange.archive import import_archive, steps_to_goal
from headrace.exchange.archive_export import export_archive
from headrace.specs.space import Choices, Range
from headrace.store import experiments as store
from headrace.store.facts import WorkloadFacts
from headrace.store.records import Status

from .made_archive import make_archive


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path)


def test_import_is_judged_by_the_papers_rule(archive: Path, tmp_path: Path) -> None:
    """The first 3 COMPLETE trials count: 2, 4, 5 (ids). Trial 6 is better but comes too late."""
    stored = import_archive(archive, tmp_path / "in", goal=0.1, trials=3)
    assert stored.facts is not None
    assert (stored.facts.name, stored.facts.train_examples) == ("mnist/simple_cnn_base", 55_000)
    assert [study.name for study in stored.experiment.studies()] == [
        "nesterov,batch_size=16",
        "nesterov,batch_size=256",
    ]
    for study in stored.experiment.studies():
        judged = stored.judgement(study)
        assert judged is not None
        assert judged.best[0] == (400, 4)
        counted = [t.outcome.trial for t in judged.trials if t.status in (Status.COMPLETE, Status.STOPPED)]
        assert counted == [1, 3, 4]
        assert [t.status for t in judged.trials][::2] == [Status.INFEASIBLE, Status.FAILED, Status.COMPLETE]


def test_the_goal_is_met_strictly_below(archive: Path, tmp_path: Path) -> None:
    stored = import_archive(archive, tmp_path / "in", goal=0.09, trials=4)
    reached = {r.trial: r.reached for r in stored.study_records("nesterov,batch_size=16")}
    assert reached == {0: None, 1: None, 2: None, 3: None, 4: 1000, 5: 400}


def test_the_search_space_is_translated(archive: Path, tmp_path: Path) -> None:
    stored = import_archive(archive, tmp_path / "in", goal=0.1)
    assert stored.experiment.search.trials == 4
    assert dict(stored.experiment.search.space) == {
        "end_factor": Range(low=0.0001, high=0.1, scale="log"),
        "label_smoothing": Choices(choices=(0.0, 0.1)),
        "learning_rate": Range(low=0.001, high=10.0, scale="log"),
        "decay_fraction": Range(low=0.5, high=1.0, scale="linear"),
        "momentum": Range(low=0.9, high=0.999, scale="one-minus-log"),
    }
    assert stored.records[1].hyperparameters == {
        "end_factor": 0.01,
        "label_smoothing": 0.1,
        "learning_rate": 0.2,
        "decay_fraction": 0.777,
        "momentum": 0.95,
    }


def test_round_trip(archive: Path, tmp_path: Path) -> None:
    stored = import_archive(archive, tmp_path / "in", goal=0.1)
    made = export_archive(stored, tmp_path / "out")
    assert made == tmp_path / "out" / "mnist" / "simple_cnn_base"
    files = sorted(path.relative_to(archive) for path in archive.rglob("*.*"))
    assert sorted(path.relative_to(made) for path in made.rglob("*.*")) == files
    for file in files:
        before, after = (archive / file), (made / file)
        if file.suffix == ".json":
            assert json.loads(before.read_text()) == json.loads(after.read_text())
        else:
            assert pl.read_csv(before).equals(pl.read_csv(after))


def test_our_own_trials_are_exported(experiment, tmp_path: Path) -> None:
    from store.test_store import record, table

    store.create(tmp_path / "own", experiment())
    store.write_facts(
        tmp_path / "own", WorkloadFacts(name="blobs", goal=0.4, train_examples=96, validation_examples=9)
    )
    outcomes = [{"reached": 5}, {"diverged": 5}, {}, {"failed": True, "error": "no"}, {"trained": 60}]
    for trial, changes in enumerate(outcomes):
        store.write_trials(tmp_path / "own", [record(trial, **changes)], table(trial), part=trial)
    made = export_archive(store.load(tmp_path / "own"), tmp_path / "out", dataset="blobs", model="net")
    metadata = [json.loads((made / f"sgd/4/{i + 1}/metadata.json").read_text()) for i in range(5)]
    assert [m["status"] for m in metadata] == [
        "COMPLETE",
        "INFEASIBLE",
        "INCOMPLETE",
        "INCOMPLETE",
        "COMPLETE",
    ]
    study = json.loads((made / "sgd/4/study.json").read_text())
    assert study["parameter_configs"] == {
        "learning_rate": {"max_value": 1e3, "min_value": 1e-2, "scale": "LOG_SCALE", "type": "DOUBLE"}
    }
    assert (study["train_steps"], study["early_stopping"]) == (60, True)
    assert (
        (made / "sgd/4/1/measurements.csv").read_text().splitlines()[0].startswith("step,train/cross_entropy")
    )


def test_steps_to_goal_by_hand() -> None:
    frame = pl.DataFrame(
        {"trial": [0, 0, 1, 1, 2], "step": [9, 3, 1, 2, 1], "validation/error": [0.0, 0.1, 0.5, None, 0.2]}
    )
    assert steps_to_goal(frame, 0.2).rows() == [(0, 3)]


@pytest.mark.parametrize(
    ("below", "level"),
    [
        ("../..", "a whole archive"),
        ("..", "the folder of a data set"),
        ("nesterov_momentum", "the folder of an optimizer"),
        ("nesterov_momentum/256", "the folder of a batch size"),
        ("nesterov_momentum/16/3", "the folder of a trial"),
    ],
)
def test_a_folder_of_another_level_is_named_with_the_one_needed(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str, level: str
) -> None:
    given = (archive / below).resolve()
    said = rf"this is {level}, and the folder DATASET/MODEL of an archive is needed\. Give {archive}[,.]"
    with pytest.raises(InputError, match=said):
        import_archive(given, tmp_path / "in", goal=0.1)
    monkeypatch.chdir(given)
    with pytest.raises(InputError, match=said):
        import_archive(".", tmp_path / "in", goal=0.1)
    assert not (tmp_path / "in").exists()


def test_what_cannot_be_imported(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "empty" / "sgd").mkdir(parents=True)
    with pytest.raises(InputError, match=r"there are no studies here\. Give the folder DATASET/MODEL"):
        import_archive(tmp_path / "empty", tmp_path / "in", goal=0.1)
    file = archive / "nesterov_momentum/16/3/metadata.json"
    file.write_text("{")
    with pytest.raises(DamagedError, match=r"metadata\.json: cannot be read as JSON"):
        import_archive(archive, tmp_path / "in", goal=0.1)


def test_a_table_that_ends_too_early_is_told(archive: Path, tmp_path: Path) -> None:
    table = archive / "nesterov_momentum/16/5/measurements.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:-1]))
    stored = import_archive(archive, tmp_path / "in", goal=0.1)
    assert stored.facts is not None
    assert "The measurements of 1 complete trial end" in stored.facts.description
    table.write_text("".join(lines)[:-3])
    with pytest.raises(DamagedError, match=r"5/measurements\.csv, line 4: .*truncated"):
        import_archive(archive, tmp_path / "other", goal=0.1)


@pytest.mark.parametrize(
    ("file", "before", "after", "message"),
    [
        ("16/5/measurements.csv", "\n400,", "\n1000,", "line 4, column step: must be after step 1000"),
        (
            "16/5/measurements.csv",
            ",0.09,",
            ",-inf,",
            "line 3, column val/classification_error: .*from 0 to 1",
        ),
        ("16/5/measurements.csv", ",0.09,", ",", "line 3: has 6 cells for 7 columns"),
        ("16/5/metadata.json", '"steps": 1000', '"steps": "1000"', "metadata.json, key steps: .*integer"),
        ("16/5/metadata.json", '"trial_id": 5', '"trial_id": 4', "is of trial 4, in a folder 5"),
        ("16/study.json", '"batch_size": 16', '"batch_size": 256', "is of batch size 256, in a folder 16"),
        ("16/study.json", '"LOG_SCALE"', '"LOG"', "key parameter_configs.end_learning_rate_factor.*scale"),
        ("16/study.json", '"model"', '"dataset"', "the key 'dataset' is in one object twice"),
    ],
)
def test_an_error_names_file_and_place(
    archive: Path, tmp_path: Path, file: str, before: str, after: str, message: str
) -> None:
    path = archive / "nesterov_momentum" / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(DamagedError, match=message):
        import_archive(archive, tmp_path / "in", goal=0.1)
    assert not (tmp_path / "in").exists()


def test_a_folder_that_is_there_is_left_alone(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    stored = import_archive(archive, tmp_path / "in", goal=0.1)
    with pytest.raises(InputError, match="already exists"):
        import_archive(archive, tmp_path / "in", goal=0.1)
    made = export_archive(stored, tmp_path / "out")
    with pytest.raises(InputError, match="already exists"):
        export_archive(stored, tmp_path / "out")
    with pytest.raises(InputError, match=r"cannot be a folder's name; got '\.\.'"):
        export_archive(stored, tmp_path / "out", dataset="../..")
    part = next((tmp_path / "in" / "studies").rglob("*.parquet"))
    part.write_bytes(b"")
    with pytest.raises(DamagedError):
        export_archive(store.load(tmp_path / "in"), tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists() and made.is_dir()
