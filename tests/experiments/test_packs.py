"""Experiments whose trials are packed: the results are those of their number, for any course of the run."""

from __future__ import annotations

import json
import os
import random as stdlib_random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.analysis.results import analyse, write_results
from headrace.engines.registry import ENGINES
from headrace.errors import DamagedError, HeadraceError, InputError
from headrace.experiments.runner import run
from headrace.specs.experiment import Experiment
from headrace.store import experiments as store
from headrace.store.experiments import StoredExperiment
from headrace.training.stacked import Stacked
from headrace.trials import packing, running

from .inline_engine import Given, InlineEngine

pytestmark = pytest.mark.usefixtures("tiny")

Make = Callable[..., Experiment]


@pytest.fixture
def packed(experiment: Make) -> Make:
    """A small experiment that can be packed."""
    base = {
        "workload.name": "packed_workload:plain",
        "search.space.learning_rate": {"low": 1e-2, "high": 1e2, "scale": "log"},
        "grid.batch_size": [4],
        "training.pack": 4,
        "report": {"portrait_epochs": 0},
    }
    return lambda changes=None: experiment(base | (changes or {}))


_STACKED: dict[tuple[int, float], Stacked] = {}


def _shared(self: packing.Packing) -> None:
    self.stacked = _STACKED


@pytest.fixture(autouse=True)
def recorded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All benches of this process share what was recorded of the stacked models, which takes long."""
    monkeypatch.setattr(packing.Packing, "__init__", _shared)


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without processes, the tasks in random order, some trials forgotten."""
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))


def results(stored: StoredExperiment) -> bytes:
    return write_results(analyse(stored), stored.directory).read_bytes()


def curves(stored: StoredExperiment) -> dict[tuple[str, int], Any]:
    """(study, trial) -> its measurements."""
    return {
        (study, trial): table.drop("trial").rows()
        for study in stored.parts
        for (trial,), table in stored.study_measurements(study).group_by("trial")
    }


def agree(one: StoredExperiment, other: StoredExperiment) -> bool:
    """Whether the trials of both are the same as far as both were trained, to the bit."""
    here, there = curves(one), curves(other)
    shared = here.keys() & there.keys()
    assert len(shared) > 5
    return all(str(a) == str(b) for key in shared for a, b in zip(here[key], there[key], strict=False))


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("pack", [4, 9])
def test_any_course_of_a_run_has_the_same_results(packed: Make, tmp_path: Path, pack: int) -> None:
    """One worker, and five that take turns at random and forget trials, which begin again."""
    asked = packed({"training.pack": pack})
    one = run(asked, tmp_path / "one", processes=1)
    five = run(asked, tmp_path / "five", processes=5)
    assert results(one) == results(five)
    assert agree(one, five)
    assert {record.pack for record in one.records} == {pack}
    assert {study["pack"] for study in json.loads(results(one))["studies"]} == {pack}


@pytest.mark.slow
def test_processes_have_the_same_results_as_none(
    packed: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = run(packed(), tmp_path / "two", processes=2)
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    one = run(packed(), tmp_path / "one", processes=1)
    assert results(one) == results(two)
    assert agree(one, two)


@pytest.mark.usefixtures("inline")
def test_packs_and_trials_one_by_one_come_to_the_same_but_for_rounding(packed: Make, tmp_path: Path) -> None:
    pack = run(packed(), tmp_path / "pack", processes=1)
    alone = run(packed({"training.pack": None}), tmp_path / "alone", processes=1)
    there, compared = curves(alone), 0
    tame = {(r.study, r.trial) for r in pack.records if float(r.hyperparameters["learning_rate"]) < 1}
    for key in tame & there.keys():
        for row, other in zip(curves(pack)[key][:8], there[key][:8], strict=False):
            assert [x for x in row if x] == pytest.approx([x for x in other if x], rel=1e-3, abs=1e-4)
            compared += 1
    assert compared > 20
    assert not any("pack" in study for study in json.loads(results(alone))["studies"])
    assert '"packs"' not in (tmp_path / "alone" / "workload.json").read_text()
    assert not any('"pack"' in path.read_text() for path in (tmp_path / "alone").rglob("0*.json"))


@pytest.mark.usefixtures("inline")
def test_trained_to_the_budget_the_decisions_are_the_same(packed: Make, tmp_path: Path) -> None:
    bound = run(packed(), tmp_path / "bound", processes=1)
    budget = run(packed({"training.stop": "budget"}), tmp_path / "budget", processes=1)
    for study in bound.studies():
        one, other = bound.judgement(study), budget.judgement(study)
        assert one is not None
        assert other is not None
        assert (one.decided, one.best) == (other.decided, other.best)


@pytest.mark.usefixtures("inline")
def test_policies_with_a_history_are_packed_too(packed: Make, tmp_path: Path) -> None:
    asked = {"grid.policy": ["uniform", "weight-difficulty"], "grid.optimizer": ["nesterov"]}
    one = run(packed(asked), tmp_path / "one", processes=1)
    five = run(packed(asked), tmp_path / "five", processes=5)
    assert results(one) == results(five)
    assert agree(one, five)


@pytest.mark.usefixtures("inline")
def test_an_error_is_that_of_its_trial_alone(
    packed: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trial 2 raises in the middle of its training, trial 5 before it; the others are as they would be."""
    plain = run(packed(), tmp_path / "plain", processes=1)
    feed = running.feed

    def failing(setting: Any, study: Any, trial: int, *rest: Any) -> Any:
        fed = feed(setting, study, trial, *rest)
        if trial == 5:
            raise ValueError("before the start")

        def batches() -> Any:
            for number, batch in enumerate(fed.batches):
                if trial == 2 and number == 7:
                    raise ValueError("in the middle")
                yield batch

        return running.Feed(batches=batches())

    monkeypatch.setattr(running, "feed", failing)
    found = run(packed(), tmp_path / "found", processes=1)
    errors = {record.trial: record.error for record in found.records if record.failed}
    assert set(errors) <= {2, 5}
    assert "in the middle" in (errors[2] or "")
    assert "before the start" in (errors[5] or "")
    assert agree(plain, found)


@pytest.mark.usefixtures("inline")
def test_the_folders_number_stays(packed: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What "auto" chose is kept, also by a version with another table; new studies have their own."""
    from headrace.trials import packable

    monkeypatch.setattr(packable, "best_width", lambda *_: 4)
    asked = {"training.pack": "auto", "grid.optimizer": ["nesterov"]}
    first = run(packed(asked), tmp_path / "auto", processes=1)
    assert first.facts is not None
    assert set(first.facts.packs.values()) == {4}
    (tmp_path / "auto").joinpath("results.json").unlink(missing_ok=True)
    for part in (tmp_path / "auto").rglob("0000[1-3].*"):
        part.unlink()
    monkeypatch.setattr(packable, "best_width", lambda *_: 1)
    again = run(packed(asked), tmp_path / "auto", processes=1)
    assert again.facts is not None
    assert again.facts.packs == first.facts.packs
    assert results(first) == results(again)
    more = packed(asked | {"grid.batch_size": [4, 16]})
    extended = run(more, tmp_path / "auto", processes=1, extend=lambda _: True)
    assert extended.facts is not None
    assert {
        name: width for name, width in extended.facts.packs.items() if "size=4" in name
    } == first.facts.packs
    assert {width for name, width in extended.facts.packs.items() if "size=16" in name} == {1}


@pytest.mark.usefixtures("inline")
def test_trials_of_another_number_are_refused(packed: Make, tmp_path: Path) -> None:
    run(packed(), tmp_path / "four", processes=1)
    with pytest.raises(InputError, match=r"training\.pack"):
        run(packed({"training.pack": 2}), tmp_path / "four", processes=1)
    stored = store.load(tmp_path / "four")
    record, table = stored.records[0], stored.study_measurements(stored.records[0].study)
    mine = table.filter(pl.col("trial") == record.trial)
    other = record.model_copy(update={"pack": 2})
    store.write_trials(stored.directory, [other], mine, part=record.trial)
    with pytest.raises(DamagedError, match="a pack of 2"):
        store.load(tmp_path / "four")


ALONE = [
    ("with_dropout", "with its parts", {}),
    ("with_buffers", "buffers", {}),
    ("own_loss", "headrace.training.losses", {}),
    ("looking", "torch.func", {}),
]


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(("workload", "why", "changes"), ALONE)
def test_a_workload_that_cannot_be_packed(
    packed: Make, tmp_path: Path, workload: str, why: str, changes: dict[str, Any]
) -> None:
    name = {"workload.name": f"packed_workload:{workload}", **changes}
    with pytest.raises(HeadraceError, match=f"training.pack.*cannot be trained as one, because.*{why}"):
        run(packed(name), tmp_path / "four", processes=1)


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("workers", {"grid.workers": [2]}),
        ("'muon'", {"grid.optimizer": ["muon"]}),
        ("chooses within batches", {"grid.policy": ["selective-backprop"]}),
        ("float32", {"training.precision": "bfloat16"}),
        ("compiled", {"training.compile": True}),
        ("ema_decay", {"training.ema_decay": 0.9}),
        ("micro-batches", {"training.microbatch": 2}),
        ("checkpoints", {"training.checkpoints": 2}),
        ("label_smoothing is tuned", {"search.space.label_smoothing": {"choices": [0.0, 0.1]}}),
    ],
)
def test_an_experiment_that_cannot_be_packed_says_why(
    packed: Make, why: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(HeadraceError, match=f"training.pack.*cannot be trained as one, because.*{why}"):
        packed(changes)
    packed(changes | {"training.pack": "auto"})


@pytest.mark.parametrize("value", [0, -1, 2000, 1.5, True, "all", [4]])
def test_a_number_that_is_none_is_refused(packed: Make, value: object) -> None:
    with pytest.raises(
        HeadraceError, match=r'training\.pack: must be "auto" or a whole number from 1 to 1,024'
    ):
        packed({"training.pack": value})


def test_without_packs_an_experiment_is_what_it_was(packed: Make) -> None:
    plain = packed({"training.pack": None})
    assert plain.digest() == packed({"training.pack": 1}).digest() != packed().digest()
    assert "pack =" not in plain.to_toml()


def killed(asked: Experiment, folder: Path, seconds: float) -> bool:
    """Whether a process that runs the experiment was killed after so many seconds, and not done before."""
    child = os.fork()
    if child == 0:
        try:
            run(asked, folder, processes=1, engine="inline")
        finally:
            os._exit(0)
    time.sleep(seconds)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_packs_that_are_killed_anywhere_resume_to_the_same_bytes(packed: Make, tmp_path: Path) -> None:
    asked = packed({"grid.optimizer": ["nesterov"]})
    run(asked, tmp_path / "first", processes=1, engine="inline")
    start = time.monotonic()
    expected = run(asked, tmp_path / "undisturbed", processes=1, engine="inline")
    lasted, chance = time.monotonic() - start, stdlib_random.Random(0)
    kills, folders = 0, 0
    while kills < 25:
        folder = tmp_path / str(folders)
        folders += 1
        for _ in range(5):
            kills += killed(asked, folder, chance.uniform(0.1, 1) * lasted)
        found = run(asked, folder, processes=1, engine="inline")
        assert results(found) == results(expected)
        assert agree(found, expected)
    print(f"{kills} kills in {folders} folders")
