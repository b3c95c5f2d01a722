"""Changed code and data are noticed, refused, or accepted with a reason that the report shows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.analysis.advice import advise
from headrace.analysis.results import analyse
from headrace.engines.registry import ENGINES
from headrace.errors import DamagedError, InputError
from headrace.experiments.runner import run
from headrace.specs.experiment import Experiment
from headrace.store import experiments as store
from headrace.store.changes import settle
from headrace.store.experiments import StoredExperiment
from headrace.store.facts import WorkloadFacts
from headrace.trials.advance import Expect
from headrace.trials.throughput import measure
from headrace.workloads.fingerprint import Fingerprint, Numbers, Split

from . import mutable_workload
from .inline_engine import Given, InlineEngine

NUMBERS = Numbers(shape=(2,), mean=0.5, size=0.7, wave=0.1)
FINGERPRINT = Fingerprint(
    train=Split(examples=9, hashed=9, inputs="a" * 64, targets="c" * 64),
    validation=Split(examples=5, hashed=5, inputs="b" * 64, targets=None),
    parameters={"weight": NUMBERS},
    inputs=(NUMBERS,),
    outputs=(NUMBERS,),
    loss=(NUMBERS,),
    metric=(NUMBERS,),
    metric_name="error",
    goal=0.1,
    versions={"headrace": "1", "torch": "2"},
)
FACTS = WorkloadFacts(
    name="w", goal=0.1, train_examples=9, validation_examples=5, experiment="e", fingerprint=FINGERPRINT
)


def now(**changes: Any) -> WorkloadFacts:
    """The facts of a workload whose fingerprint has these changes."""
    return FACTS.model_copy(update={"fingerprint": FINGERPRINT.model_copy(update=changes)})


CODE = {"sources": {"m.py": "c" * 64}}
OLD = FACTS.model_copy(update={"fingerprint": None, "experiment": None})


def test_nothing_changed() -> None:
    assert settle(FACTS, FACTS, {FACTS.digest}, where="d") == FACTS
    assert settle(None, FACTS, (), where="d") == FACTS


def test_a_change_is_refused_with_what_and_how_to_go_on() -> None:
    with pytest.raises(InputError) as caught:
        settle(FACTS, now(**CODE), {FACTS.digest}, where="d")
    assert str(caught.value) == (
        "d: the workload has changed since this folder was made: the source of m.py (was not used before). "
        "Undo the change, or give another folder with --out. To continue here, with trials from before and "
        'after the change: --accept-change "WHY"; the report then says so.'
    )


def test_an_accepted_change_is_recorded_once() -> None:
    facts = settle(FACTS, now(**CODE), {FACTS.digest}, where="d", why="a typo")
    assert [change.model_dump() for change in facts.changes] == [
        {
            "why": "a typo",
            "what": ("the source of m.py (was not used before)",),
            "before": FACTS.digest,
            "after": now(**CODE).digest,
        }
    ]
    assert facts.known == {FACTS.digest, now(**CODE).digest}
    assert settle(facts, now(**CODE), facts.known, where="d", why="a typo") == facts
    with pytest.raises(InputError, match=r"--accept-change: has no effect: the workload is the same"):
        settle(facts, now(**CODE), facts.known, where="d", why="another reason")


def test_what_trials_are_judged_by_cannot_be_accepted() -> None:
    other = now(goal=0.2).model_copy(update={"goal": 0.2})
    with pytest.raises(
        InputError, match=r"the goal \(0\.1, now 0\.2\)\. Undo the change, or give another fo"
    ):
        settle(FACTS, other, (), where="d", why="because")


def test_versions_count_while_something_is_to_be_trained() -> None:
    newer = now(versions={"headrace": "1", "torch": "3"})
    assert settle(FACTS, newer, {FACTS.digest}, where="d", finished=True) == FACTS
    with pytest.raises(InputError, match=r"the version of torch \(2, now 3\)"):
        settle(FACTS, newer, {FACTS.digest}, where="d")


def test_trials_of_an_older_version_are_kept_and_said() -> None:
    facts = settle(OLD, FACTS, {None}, where="d")
    assert [change.before for change in facts.changes] == [None]
    assert facts.known == {None, FACTS.digest}
    assert settle(OLD, FACTS, (), where="d").changes == ()


def test_lost_facts_do_not_make_others_trials_one_s_own() -> None:
    with pytest.raises(
        InputError, match=r"workload\.json was missing, and trials carry the fingerprint of an"
    ):
        settle(None, FACTS, {"0" * 16}, where="d")
    assert settle(None, FACTS, {FACTS.digest}, where="d") == FACTS


def test_words_for_the_reader_are_no_change() -> None:
    facts = settle(FACTS, FACTS.model_copy(update={"description": "better"}), {FACTS.digest}, where="d")
    assert facts == FACTS.model_copy(update={"description": "better"})


Make = Callable[..., Experiment]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, experiment: Make) -> Callable[..., Experiment]:
    """An experiment on a module that the test may change; each name is a module of its own."""
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    monkeypatch.syspath_prepend(str(tmp_path))
    mutable_workload.write(tmp_path, "mutable_user")
    small = {
        "workload.name": "mutable_user:made",
        "grid": {"batch_size": [8], "optimizer": ["sgd"]},
        "search.trials": 2,
        "search.space": {"learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"}},
        "training.budget": {"steps": 20},
    }
    return lambda changes=None: experiment(small | (changes or {}))


def reloaded() -> None:
    """As a new process would, load the user's modules again."""
    import sys

    for name in ("mutable_user", "beside"):
        sys.modules.pop(name, None)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    reloaded()


def ran(experiment: Experiment, folder: Path, **given: Any) -> StoredExperiment:
    reloaded()
    return run(experiment, folder, processes=2, **given)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("beside.py", "1.0", "0.001", "the train examples (other inputs or targets)"),
        ("beside.py", "1.0", "0.001", "the source of beside.py"),
        ("mutable_user.py", "manual_seed(examples)", "manual_seed(examples + 1)", "the validation examples"),
        ("mutable_user.py", "nn.Linear(4, 2)", "nn.Linear(4, 2, bias=False)", "the names of the model's"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_a_changed_workload_is_refused(
    made: Make, tmp_path: Path, file: str, old: str, new: str, said: str, finished: bool
) -> None:
    folder = tmp_path / "run"
    before = ran(made(), folder)
    if not finished:
        _remove_a_trial(folder)
    edit(tmp_path / file, old, new)
    content = sorted(folder.rglob("*.json")), (folder / store.FACTS).read_bytes()
    with pytest.raises(InputError) as caught:
        ran(made(), folder)
    assert said in str(caught.value)
    assert "--accept-change" in str(caught.value)
    assert (sorted(folder.rglob("*.json")), (folder / store.FACTS).read_bytes()) == content
    edit(tmp_path / file, new, old)
    assert len(ran(made(), folder).records) == len(before.records)


def _remove_a_trial(folder: Path) -> None:
    part = sorted((folder / "studies").rglob("0*.json"))[0]
    part.unlink()
    part.with_suffix(".parquet").unlink()


def test_comments_and_layout_change_nothing(made: Make, tmp_path: Path) -> None:
    ran(made(), tmp_path / "run")
    edit(tmp_path / "beside.py", "FACTOR = 1.0", "# as measured\nFACTOR   =  1.0")
    ran(made(), tmp_path / "run")


def test_an_accepted_change_is_in_the_report_with_its_trials(made: Make, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = ran(made(), folder)
    assert {(r.experiment, r.fingerprint) for r in first.records} == {
        (first.experiment.digest()[:16], first.facts and first.facts.digest)
    }
    _remove_a_trial(folder)
    edit(tmp_path / "beside.py", "1.0", "1.5")
    stored = ran(made(), folder, accept_change="a better factor")
    assert len({record.fingerprint for record in stored.records}) == 2
    [said] = [text for text in analyse(stored).results["conclusions"] if "a better factor" in text]
    assert said.startswith(f"{len(stored.records) - 1} of {len(stored.records)} trials were trained before")
    assert "the source of beside.py" in said
    ran(made(), folder, accept_change="a better factor")
    with pytest.raises(InputError, match=r"--accept-change: must be a reason, in words"):
        ran(made(), folder, accept_change=" ")


def test_code_that_is_edited_under_a_run_trains_no_trial(
    made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that loads later than the first one finds other code."""
    reloaded()

    class Late(InlineEngine):
        def submit(self, worker: int, job: Any) -> None:
            super().submit(worker, job)
            if isinstance(job, Expect) and worker == self.workers - 1:
                edit(tmp_path / "beside.py", "1.0", "2.0")

    monkeypatch.setitem(ENGINES, "local", Given(Late))
    with pytest.raises(InputError, match="this process has loaded another workload than the one of this run"):
        run(made(), tmp_path / "run", processes=5)


def test_trials_without_their_experiment_are_not_taken_over(made: Make, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    ran(made(), folder)
    (folder / store.EXPERIMENT).unlink()
    for changes in ({}, {"seed": 8}):
        with pytest.raises(
            InputError, match=r"holds work of an experiment \(studies/.*, but not its experiment\.toml"
        ):
            ran(made(changes), folder)
    assert not (folder / store.EXPERIMENT).exists()


def test_trials_of_another_experiment_are_not_taken_over(made: Make, tmp_path: Path) -> None:
    for name, seed in (("mine", 3), ("theirs", 4)):
        ran(made({"seed": seed}), tmp_path / name)
    shutil.copytree(tmp_path / "theirs/studies", tmp_path / "mine/studies", dirs_exist_ok=True)
    for act in (lambda: ran(made(), tmp_path / "mine"), lambda: store.load(tmp_path / "mine")):
        with pytest.raises(
            DamagedError, match="holds trials of another experiment, which cannot be used here"
        ):
            act()


def test_trials_on_another_workload_are_not_taken_over(made: Make, tmp_path: Path) -> None:
    ran(made(), tmp_path / "theirs")
    edit(tmp_path / "beside.py", "1.0", "3.0")
    ran(made(), tmp_path / "mine")
    shutil.copytree(tmp_path / "theirs/studies", tmp_path / "mine/studies", dirs_exist_ok=True)
    with pytest.raises(DamagedError, match="holds trials of another workload, which cannot be used here"):
        ran(made(), tmp_path / "mine")


def test_a_folder_of_an_older_version_is_read_and_continued_with_a_word(made: Make, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    stored = ran(made(), folder)
    facts = json.loads((folder / store.FACTS).read_text())
    for key in ("sha256", "experiment", "fingerprint", "changes", "random_items"):
        del facts[key]
    (folder / store.FACTS).write_text(json.dumps(facts))
    for part in (part for study in stored.parts.values() for part in study):
        records = [
            r.model_copy(update={"experiment": None, "fingerprint": None}) for r in part.content.records
        ]
        store.write_trials(folder, records, part.measurements(), part=int(part.path.stem))
    before = analyse(store.load(folder)).results["conclusions"]
    _remove_a_trial(folder)
    after = analyse(ran(made(), folder)).results["conclusions"]
    [said] = [text for text in after if text not in before]
    assert "cannot be checked" in said
    assert said.startswith(f"{len(stored.records) - 1} of {len(stored.records)} trials")


def test_step_times_of_other_code_are_refused(made: Make, tmp_path: Path) -> None:
    easy = made({"workload.goal": 0.3})
    stored = ran(easy, tmp_path / "run")
    edit(tmp_path / "mutable_user.py", "nn.Linear(4, 2)", "nn.Sequential(nn.Linear(4, 9), nn.Linear(9, 2))")
    with pytest.raises(InputError, match="this process has loaded another workload than the one of this run"):
        measure(easy, seconds=0.01, expected=stored.facts)
    other = measure(easy, seconds=0.01)
    with pytest.raises(
        InputError, match=r"throughput\.json is of another workload than the trials: the source"
    ):
        advise(stored, other)
