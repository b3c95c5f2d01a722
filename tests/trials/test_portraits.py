"""Portraits: whose they are, what they tell, and that they leave the results alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.inline_engine import Given, InlineEngine
from headrace.analysis.results import analyse
from headrace.engines.inline import InlinePlace
from headrace.engines.registry import ENGINES
from headrace.errors import DamagedError
from headrace.experiments.runner import run
from headrace.policies import make_policy
from headrace.sampling.plan import Plan
from headrace.sampling.sampler import ExampleSampler
from headrace.specs.studies import Configuration, StudyKey
from headrace.store.portrait_choice import PortraitTask, portrait_tasks, representatives
from headrace.store.portrait_records import Portrait
from headrace.store.portraits import missing, portrait_directory, portraits, write_portrait
from headrace.store.rankings import Ranking, extremes, rank
from headrace.trials import portrait as portrait_room
from headrace.trials.bench import Bench
from headrace.trials.fed import FedLog, effective_share, emphasis
from headrace.trials.portrait import portray
from headrace.trials.running import RunningTrial
from headrace.trials.shown import Labels, show_examples
from headrace.workloads.showing import Shown

pytestmark = pytest.mark.usefixtures("tiny")

SINGLE = {
    "grid.optimizer": ["sgd"],
    "search.space": {"learning_rate": {"low": 0.02, "high": 0.2, "scale": "log"}},
    "search.trials": 2,
}
POLICIES = ["shuffle", "sample-difficulty", "selective-backprop"]


def key(size: int = 4, policy: str = "shuffle", optimizer: str = "sgd", workers: int = 1) -> StudyKey:
    configuration = Configuration(policy=policy, batch_size=size, workers=workers)
    return StudyKey(optimizer=optimizer, configuration=configuration)


# Whose portrait


def chosen(keys: list[StudyKey], reached: list[StudyKey]) -> list[str]:
    return [k.name for k in representatives(keys, {k.name: (9, 0) for k in reached})]


def test_of_one_policy_the_middle_batch_size_that_reached_the_goal_is_taken() -> None:
    keys = [key(size, optimizer=o) for o in ("sgd", "nesterov") for size in (1, 2, 4, 8, 16)]
    assert chosen(keys, keys) == ["sgd,batch_size=4"]
    assert chosen(keys, [keys[0], keys[1], keys[4]]) == ["sgd,batch_size=2"]
    assert chosen(keys, [keys[6], keys[8]]) == ["nesterov,batch_size=2"]
    assert chosen(keys, []) == []


def test_of_several_policies_the_cell_is_taken_that_most_of_them_share() -> None:
    keys = [key(size, policy) for policy in ("shuffle", "uniform", "rs2") for size in (2, 4, 8)]
    assert chosen(keys, keys) == [k.name for k in keys if k.configuration.batch_size == 4]
    without = [k for k in keys if k.name != key(4, "rs2").name]
    assert chosen(keys, without) == [k.name for k in keys if k.configuration.batch_size == 2]
    few = [key(2, "rs2"), key(8), key(8, "uniform")]
    assert chosen(keys, few) == [key(8).name, key(8, "uniform").name]


# What was fed


def test_the_effective_share_is_that_of_as_many_equal_weights() -> None:
    assert effective_share(np.array([2.0, 2.0, 0.0, 0.0])) == pytest.approx(0.5)
    assert effective_share(np.ones(7)) == pytest.approx(1.0)
    assert effective_share(np.zeros(3)) == 0.0
    plan = Plan(indices=np.array([0, 0, 2]), weights=np.array([0.5, 9.0, 2.0]))
    assert emphasis(plan, 3).tolist() == [1.0, 0.0, 2.0]
    assert emphasis(replace(plan, weights=None), 3).tolist() == [2.0, 0.0, 1.0]


def test_only_epochs_that_were_fed_to_their_end_are_told() -> None:
    log = FedLog(4)
    log.plan(0, Plan(indices=np.array([0, 0, 1])))
    log.plan(1, Plan(indices=np.array([1, 2]), weights=np.array([9.0, 1.0, 3.0, 9.0])))
    log.plan(2, Plan(indices=np.array([3])))
    rows = log.rows(5)
    assert [(row.epoch, row.draws) for row in rows] == [(0, 3), (1, 2)]
    assert [row.unseen for row in rows] == [0.5, 0.5]
    assert [row.never_seen for row in rows] == [0.5, 0.25]
    # Weights 2, 1, 0, 0 and 0, 1, 3, 0.
    assert [row.effective for row in rows] == pytest.approx([9 / 5 / 4, 16 / 10 / 4])


def test_of_candidates_only_the_chosen_count() -> None:
    log = FedLog(4)
    log.plan(0, Plan(indices=np.arange(4), candidates=2))
    log.chosen(np.array([3, 3]), np.array([1.0, 1.0]))
    log.plan(1, Plan(indices=np.arange(4), candidates=2))
    log.chosen(np.array([1, 2]), np.array([0.0, 2.0]))
    rows = log.rows(8)
    assert [(r.draws, r.unseen, r.never_seen) for r in rows] == [(2, 0.75, 0.75), (2, 0.75, 0.5)]
    assert len(FedLog(4).rows(11)) == 2


def test_listening_changes_no_batch() -> None:
    def order(log: FedLog | None) -> list[list[int]]:
        from headrace.trials.fed import LoggedPolicy

        policy = make_policy("uniform")
        heard = policy if log is None else LoggedPolicy(policy, log.plan)
        batches = ExampleSampler(50, policy=heard, batch_size=7, seed=3).batches()
        return [next(batches).indices.tolist() for _ in range(20)]

    log = FedLog(50)
    assert order(None) == order(log)
    drawn = [index for batch in order(None) for index in batch]
    first, second = log.rows(140)
    assert first.unseen == 1 - len(set(drawn[:50])) / 50
    assert second.never_seen == 1 - len(set(drawn[:100])) / 50
    assert 0.3 < first.effective < 0.7


# Which examples are shown


def test_groups_show_what_was_trained_on_outermost_first_and_ties_by_index() -> None:
    columns = {"count": np.array([1, 1, 0, 1, 1]), "aum": np.array([2.0, -1.0, -9.0, -1.0, 0.0])}
    lowest = Ranking(name="w", column="aum", end="lowest")
    assert rank(lowest, columns, 3).tolist() == [1, 3, 4]
    assert rank(replace(lowest, end="highest", above=0.0), columns, 3).tolist() == [0]
    assert extremes(np.array([1.0, 5.0, 5.0]), 9, end="highest").tolist() == [1, 2, 0]


def test_examples_that_cannot_be_shown_are_told_by_their_numbers() -> None:
    groups = {"hardest": (np.array([1]), np.array([3.5]))}
    shown = show_examples(groups, lambda _: Shown(), Labels(given=lambda e: f"label {e}"))
    assert shown.unshown is not None
    assert "give the workload a function show(index)" in shown.unshown
    (one,) = shown.walls[0].exhibits
    assert (one.example, one.score, one.label, one.png, one.text) == (1, 3.5, "label 1", None, None)

    def broken(index: int) -> Shown:
        raise KeyError(index)

    assert "KeyError" in (show_examples(groups, broken, Labels()).unshown or "")


# The task


def sat(made: Any, policy: str = "shuffle", steps: int = 60) -> tuple[Portrait, Any]:
    bench = Bench(made, InlinePlace(20))
    task = PortraitTask(study=key(4, policy), trial=1, goal_step=10, steps=steps)
    portrait, table = portray(bench.setting, task)
    import io

    import polars as pl

    return portrait, pl.read_parquet(io.BytesIO(table))


@pytest.mark.parametrize("policy", POLICIES)
def test_the_portrait_is_of_the_very_trial(experiment, policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained without evaluations and with a record, it ends with the weights of the trial itself."""
    made = experiment({**SINGLE, "grid.policy": POLICIES, "training.stop": "budget"})
    models = []
    original = portrait_room.begin

    def listening(*arguments: Any, **keywords: Any) -> Any:
        models.append(arguments[4])
        return original(*arguments, **keywords)

    monkeypatch.setattr(portrait_room, "begin", listening)
    portrait, table = sat(made, policy)
    setting = Bench(made, InlinePlace(20)).setting
    trial = RunningTrial(setting=setting, study=key(4, policy), trial=1)
    kept = []
    monkeypatch.setattr(type(setting), "new_model", _keeping(type(setting).new_model, kept))
    trial.advance(60, lambda: 60)
    for mine, theirs in zip(models[0].state_dict().values(), kept[-1].state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
    record = trial.record()
    assert portrait.examples_forwarded == record.examples_forwarded
    assert portrait.examples_backpropagated == record.examples_backpropagated == 240
    assert table["count"].sum() == 240
    if policy == "shuffle":
        assert table["count"].min() == 2
        assert [row.effective for row in portrait.fed] == [1.0, 1.0]


def _keeping(original: Any, kept: list[Any]) -> Any:
    def new_model(self: Any, study: StudyKey, trial: int) -> Any:
        kept.append(original(self, study, trial))
        return kept[-1]

    return new_model


def test_what_is_told_of_an_example_is_so(experiment) -> None:
    portrait, table = sat(experiment({**SINGLE, "workload.name": "tiny_workload:mislabelled"}))
    wrong = table["label"] != table["clean"]
    assert wrong.to_list() == [i % 8 == 0 for i in range(96)]
    for wall, column, reverse in zip(
        portrait.gallery.walls, ("aum", "mean_loss", "transitions"), (False, True, True), strict=True
    ):
        values = table[column].to_list()
        scores = [one.score for one in wall.exhibits]
        assert scores == sorted(values, reverse=reverse)[: len(scores)]
        for one in wall.exhibits:
            row = table.row(one.example, named=True)
            names = ("<b>no", "yes")
            assert one.label == names[row["label"]]
            assert one.clean == names[row["clean"]]
            assert one.predicted == names[row["predicted"]]
            assert one.text == f"<script>{one.example}</script>"


def test_a_regression_has_a_portrait_of_its_losses(experiment) -> None:
    portrait, table = sat(experiment({**SINGLE, "workload.name": "tiny_workload:line"}))
    assert portrait.kind == "losses"
    assert {"mean_loss", "loss_variance", "label"} <= set(table.columns)
    assert "aum" not in table.columns
    assert [wall.name for wall in portrait.gallery.walls] == ["hardest", "unsteady"]


def test_where_it_diverges_after_the_goal_it_ends_at_the_goal(experiment) -> None:
    space = {"learning_rate": 1e30}
    portrait, _ = sat(experiment({**SINGLE, "search.space": space}), steps=60)
    assert (portrait.asked_steps, portrait.steps) == (60, 10)


def test_an_error_in_the_users_code_is_the_portraits_own(experiment) -> None:
    portrait, _ = sat(experiment({**SINGLE, "workload.name": "tiny_workload:broken"}))
    assert "the user's model is broken" in (portrait.error or "")
    shown, _ = sat(experiment({**SINGLE, "workload.name": "tiny_workload:unshowable"}))
    assert shown.error is None
    assert "KeyError: 'no picture of" in (shown.gallery.unshown or "")


# In a run


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))


@pytest.mark.usefixtures("inline")
def test_portraits_leave_the_results_alone_and_are_made_once(experiment, tmp_path: Path) -> None:
    changes = {
        **SINGLE,
        "grid.policy": POLICIES,
        "workload.name": "tiny_workload:mislabelled",
        "workload.goal": 0.4,
    }
    plain = run(experiment({**changes, "report.portrait_epochs": 0.0}), tmp_path / "plain")
    assert analyse(plain).results["portraits"] == {"conclusions": [], "studies": []}
    stored = run(experiment(changes), tmp_path / "with")
    with_them, without = analyse(stored).results, analyse(plain).results
    told = with_them.pop("portraits")
    without.pop("portraits")
    assert json.dumps(with_them) == json.dumps(without)
    assert [row["configuration"]["policy"] for row in told["studies"]] == POLICIES
    assert {row["configuration"]["batch_size"] for row in told["studies"]} == {4}
    assert told["studies"][0]["suspects"]["among"] == 50
    assert set(told["studies"][0]["wrong_labels_found"]) >= {"aum", "mean_loss", "el2n"}
    # Made once: the second run starts no engine.
    assert missing(stored) == []
    before = {path: path.read_bytes() for path in (tmp_path / "with" / "portraits").rglob("*.*")}
    assert len(before) == 6
    run(experiment(changes), tmp_path / "with")
    assert before == {path: path.read_bytes() for path in before}
    # Asked for afterwards, in a folder that was finished without them.
    later = run(experiment(changes), tmp_path / "plain")
    assert analyse(later).results["portraits"] == told


@pytest.mark.usefixtures("inline")
def test_what_is_damaged_or_out_of_date_is_told_or_made_again(experiment, tmp_path: Path) -> None:
    stored = run(experiment(SINGLE), tmp_path)
    (task,) = portrait_tasks(stored)
    folder = portrait_directory(tmp_path, task.study.name)
    (there,) = portraits(stored)
    # Whole, and of another study: all but its study is what is asked for.
    other = there.portrait.model_copy(update={"study": key(16)})
    write_portrait(tmp_path, other, (folder / "examples.parquet").read_bytes())
    elsewhere = portrait_directory(tmp_path, other.study.name)
    whole = (folder / "portrait.json").read_bytes()
    shutil.copy(elsewhere / "portrait.json", folder)
    with pytest.raises(DamagedError, match=rf"portrait\.json: is of study '{other.study.name}'"):
        portraits(stored)
    shutil.rmtree(elsewhere)
    (folder / "portrait.json").write_bytes(whole)
    (folder / "examples.parquet").write_bytes(b"PAR1")
    with pytest.raises(DamagedError, match=r"Delete portrait\.json there and run again"):
        portraits(stored)
    (folder / "portrait.json").unlink()
    assert missing(stored) == [task]
    (again,) = portraits(run(experiment(SINGLE), tmp_path))
    assert again.portrait.model_copy(update={"seconds": 0}) == there.portrait.model_copy(
        update={"seconds": 0}
    )
    assert again.examples.equals(there.examples)
    # More passes are asked for: the old portrait does not do.
    more = run(experiment({**SINGLE, "report.portrait_epochs": 2.0}), tmp_path)
    assert [p.portrait.asked_steps for p in portraits(more)] == [s.steps for s in portrait_tasks(more)]
