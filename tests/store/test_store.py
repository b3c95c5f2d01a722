"""The store: whole after any interruption, and a damaged part is named, never guessed at."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from headrace.errors import BusyError, DamagedError, InputError
from headrace.files import StorageError
from headrace.sealed import write_record, write_toml
from headrace.store import experiments as store
from headrace.store import lock
from headrace.store.facts import WorkloadFacts
from headrace.store.records import TrialRecord

FACTS = WorkloadFacts(name="blobs", goal=0.1, train_examples=96, validation_examples=64)


def record(trial: int, study: str = "sgd,batch_size=4", **changes: object) -> TrialRecord:
    values = {
        "hyperparameters": {"learning_rate": 0.1},
        "trained": 5,
        "examples_forwarded": 20,
        "examples_backpropagated": 20,
        "seconds": 0.25,
    }
    return TrialRecord.model_validate({"study": study, "trial": trial, **values, **changes})


def table(*trials: int) -> pl.DataFrame:
    rows = [{"trial": t, "step": s, "validation/error": 0.5 - s / 100} for t in trials for s in (0, 5)]
    return pl.DataFrame(rows, schema=store.schema())


@pytest.fixture
def folder(tmp_path: Path, experiment) -> Path:
    store.create(tmp_path, experiment())
    store.write_facts(tmp_path, FACTS)
    for trial in (0, 1):
        store.write_trials(tmp_path, [record(trial)], table(trial), part=trial)
    return tmp_path


def test_what_is_written_is_read(folder: Path, experiment) -> None:
    store.write_trials(folder, [record(i, "nesterov,batch_size=16") for i in (0, 1)], table(0, 1), part=0)
    stored = store.load(folder)
    assert stored.experiment == experiment()
    assert stored.facts == FACTS
    assert stored.records == (
        record(0),
        record(1),
        *(record(i, "nesterov,batch_size=16") for i in (0, 1)),
    )
    measurements = stored.measurements
    assert measurements.columns == ["study", *store.schema()]
    assert measurements.select("study", "trial", "step").rows() == [
        (study, trial, step)
        for study in ("sgd,batch_size=4", "nesterov,batch_size=16")
        for trial in (0, 1)
        for step in (0, 5)
    ]
    assert measurements["test/error"].null_count() == 8


def test_a_trial_that_is_stored_again_replaces_the_first(folder: Path) -> None:
    store.write_trials(folder, [record(1, reached=5)], table(1).head(1), part=1)
    stored = store.load(folder)
    assert [r.reached for r in stored.records] == [None, 5]
    assert stored.study_measurements("sgd,batch_size=4").height == 3


PART = "studies/sgd,batch_size=4/00001"


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
@pytest.mark.parametrize("damage", ["truncated", "altered", "emptied"])
def test_damage_is_named_with_the_fix(folder: Path, suffix: str, damage: str) -> None:
    path = folder / (PART + suffix)
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.write_bytes({"truncated": content[:-7], "altered": flipped, "emptied": b""}[damage])
    with pytest.raises(DamagedError) as caught:
        store.load(folder).measurements  # noqa: B018
    assert str(caught.value) == (
        f"{path}: is truncated or was altered. Delete 00001.json and 00001.parquet there and run again: "
        "only their trials are repeated."
    )


def test_a_part_whose_measurements_are_gone(folder: Path) -> None:
    (folder / (PART + ".parquet")).unlink()
    with pytest.raises(DamagedError, match=r"00001\.parquet: cannot be read \(No such file"):
        store.load(folder).measurements  # noqa: B018


def test_an_intact_seal_around_wrong_content(folder: Path) -> None:
    """A part of another study, put here by hand."""
    other = store.write_trials(folder, [record(7, "nesterov,batch_size=4")], table(7), part=7)
    for suffix in (".json", ".parquet"):
        other.path.with_suffix(suffix).rename(folder / f"studies/sgd,batch_size=4/00007{suffix}")
    with pytest.raises(DamagedError, match="belongs to study 'nesterov,batch_size=4'"):
        store.load(folder)


def test_what_was_asked_is_not_changed_by_taking_out_its_seal(folder: Path, experiment) -> None:
    facts = WorkloadFacts(
        name="x", goal=0.1, train_examples=9, validation_examples=1, experiment=experiment().digest()[:16]
    )
    write_record(folder / store.FACTS, facts)
    path = folder / store.EXPERIMENT
    text = path.read_text().partition("\n")[2]
    path.write_text(text)
    assert store.load(folder).experiment == experiment()
    for before, after in (
        ("seed = 3", "seed = 4"),
        ("trials = 6", "trials = 5"),
        ("steps = 60", "steps = 61"),
    ):
        assert before in text
        path.write_text(text.replace(before, after))
        with pytest.raises(DamagedError, match="was altered, and its checksum was removed"):
            store.load(folder)
    # An extended experiment is written by Headrace itself.
    write_toml(path, text.replace("trials = 6", "trials = 7"))
    assert store.load(folder).experiment.search.trials == 7


@pytest.mark.parametrize("number", [0, 2, 31])
def test_a_copy_of_a_part_under_another_number_is_not_measured_twice(folder: Path, number: int) -> None:
    whole = store.load(folder)
    part = folder / (PART + ".json")
    copy = part.with_name(f"{number:05d}.json")
    before = {path: path.read_bytes() for path in (copy, copy.with_suffix(".parquet")) if path.exists()}
    for suffix in (".json", ".parquet"):
        copy.with_suffix(suffix).write_bytes(part.with_suffix(suffix).read_bytes())
    with pytest.raises(DamagedError, match=r"holds trial 1, which is in 0000\d\.json too\. Move the copy"):
        store.load(folder)
    for path in (copy, copy.with_suffix(".parquet")):
        path.write_bytes(before[path]) if path in before else path.unlink()
    assert store.load(folder).records == whole.records


def test_records_are_plain_json(folder: Path) -> None:
    content = json.loads((folder / (PART + ".json")).read_text())
    assert content["records"][0]["hyperparameters"] == {"learning_rate": 0.1}


def test_a_half_written_part_does_not_count(folder: Path) -> None:
    """Killed between the two files, and killed within the first one."""
    (folder / (PART + ".json")).unlink()
    (folder / "studies/sgd,batch_size=4/.00002.parquet.partial").write_bytes(b"PAR1")
    assert [r.trial for r in store.load(folder).records] == [0]


def test_a_full_disk_leaves_what_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"the disk is full\. Make room and run again: everything stored"):
        store.write_trials(folder, [record(2)], table(2), part=2)
    monkeypatch.undo()
    assert [r.trial for r in store.load(folder).records] == [0, 1]
    assert not list(folder.rglob("*.partial"))


def test_another_experiment_in_the_folder_is_told_apart(folder: Path, experiment) -> None:
    store.create(folder, experiment())
    with pytest.raises(InputError) as caught:
        store.create(folder, experiment({"search.trials": 9, "workload.settings": {"goal": 0.2}}))
    assert (
        "holds another experiment; they differ in search.trials (there 6, here 9), workload.settings.goal "
        in str(caught.value)
    )


def test_a_workload_that_has_changed_is_refused(folder: Path) -> None:
    store.write_facts(folder, FACTS)
    with pytest.raises(
        InputError, match="the workload has changed since this folder was made: train_examples"
    ):
        store.write_facts(folder, FACTS.model_copy(update={"train_examples": 95}))


def test_facts_that_are_damaged(folder: Path) -> None:
    (folder / store.FACTS).write_text("{")
    with pytest.raises(DamagedError, match=r"workload\.json: is truncated or was altered"):
        store.load(folder)


def test_a_folder_without_an_experiment(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no experiment in this folder"):
        store.load(tmp_path)


HOLD = "import sys; from pathlib import Path; from headrace.store import lock\n" + (
    "with lock.exclusive(Path(sys.argv[1])):\n print('held', flush=True); sys.stdin.read()"
)


def test_a_second_process_is_turned_away_until_the_first_is_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(BusyError, match=f"is in use by process {holder.pid}"), lock.exclusive(tmp_path):
        raise AssertionError("the lock was given twice")
    holder.kill()
    holder.communicate()
    with lock.exclusive(tmp_path):
        assert (tmp_path / lock.NAME).read_text() == f"{os.getpid()} {lock.host()}"
    assert (tmp_path / lock.NAME).read_text() == ""


LEFTOVERS = (
    "00001 2.json", "00001 (conflicted copy).json", "00001.sync-conflict-20240101-000000-ABC.json",
    "00001.json~", "._00001.json", ".#00001.json", ".DS_Store", "Thumbs.db", "desktop.ini", "00001-PC.json",
    "\u0661.json",
)  # fmt: skip


def test_what_sync_clients_and_editors_leave_behind_is_no_trial(folder: Path) -> None:
    store.write_trials(folder, [record(1)], table(1), part=1)
    before = store.load(folder).records
    place = store.study_directory(folder, "sgd,batch_size=4")
    for name in LEFTOVERS:
        (place / name).write_bytes((place / "00001.json").read_bytes())
    assert store.load(folder).records == before
