"""Subsets as an axis: what is refused, what a trial is fed, and the same values for all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.inline_engine import Given, InlineEngine
from experiments.test_runner import canonical
from headrace.analysis.results import analyse
from headrace.engines.registry import ENGINES
from headrace.errors import InputError, InputErrors
from headrace.experiments.runner import run
from headrace.sampling.batches import Batch
from headrace.search.runner import search_subset
from headrace.specs.experiment import Experiment
from headrace.specs.search import SubsetSearch
from headrace.store import experiments as store
from headrace.subsets.file import Provenance, Subset
from headrace.subsets.view import checksum, mean_one, weighted
from headrace.training.data import TensorData
from headrace.trials.advance import Expect
from headrace.trials.feed import feed
from headrace.trials.running import RunningTrial
from headrace.trials.setting import Setting
from headrace.workloads.registry import load_workload

pytestmark = pytest.mark.usefixtures("tiny")

SINGLE = {"grid.batch_size": [4], "grid.optimizer": ["sgd"], "search.space.momentum": None}
ONE = {"grid.subset": ["s.parquet"]}
PARTS = {"grid.subset": ["full", "random:0.25", "s.parquet"]}
INDICES = np.array([3, 10, 11, 40, 41, 60, 77, 95])
WEIGHTS = np.array([1.0, 1.0, 3.0, 1.0, 1.0, 1.0, 5.0, 1.0])


def save(path: Path, indices: np.ndarray = INDICES, weights: np.ndarray = WEIGHTS, data: Any = None) -> Path:
    train = load_workload("tiny_workload:blobs", {}).train if data is None else data
    Subset(
        indices=indices,
        weights=weights,
        rounds=np.zeros(len(indices), dtype=np.int32),
        scores=np.full(len(indices), np.nan),
        provenance=Provenance(
            workload="blobs", examples=len(train), checksum=checksum(train), acquisition="entropy"
        ),
    ).save(path)
    return path


def setting(made: Experiment) -> Setting:
    workload = load_workload("tiny_workload:blobs", {})
    return Setting(experiment=made, workload=workload, goal=0.1, device=torch.device("cpu"))


def of(made: Experiment, subset: str, policy: str = "shuffle"):
    found = (study.configuration for study in made.studies())
    return next(
        s for s, c in zip(made.studies(), found, strict=True) if (c.subset, c.policy) == (subset, policy)
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"grid.subset": ["ful"]},
            "grid.subset: unknown subset; got 'ful'. Use 'full', 'random:0.25'",
        ),
        ({"grid.subset": ["random:1.5"]}, "grid.subset: unknown subset; got 'random:1.5'"),
        ({"grid.subset": ["random:.5", "random:0.50"]}, "grid.subset: the values must differ"),
        ({"subsets": {"hard": "h.parquet"}}, "subsets.hard: has no effect: the subset is not in the grid"),
        ({"grid.subset": ["hard"], "subsets": {"hard": "h.csv"}}, "must be the path of a subset file"),
        ({"subsets": {"full": "h.parquet"}}, "subsets.full: this name is taken"),
    ],
)
def test_what_is_refused(content, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputErrors) as caught:
        Experiment.from_dict(content(changes))
    assert len(caught.value.errors) == 1
    assert says in str(caught.value.errors[0])


def test_paths_are_relative_to_the_file_and_no_part_of_the_experiment(content, tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "e.toml"
        path.write_text(Experiment.from_dict(content({"grid.subset": ["a/s.parquet"]})).to_toml())
        texts.append(Experiment.from_toml(path))
        assert texts[-1].subsets == {"a/s.parquet": str(path.parent / "a" / "s.parquet")}
    assert texts[0].digest() == texts[1].digest()
    names = [study.name for made in texts for study in made.studies()]
    assert not any(str(tmp_path) in name for name in names)
    store.create(tmp_path / "run", texts[0])
    store.create(tmp_path / "run", texts[1])


def test_every_subset_tries_the_same_values(experiment) -> None:
    made = experiment({**SINGLE, **PARTS})
    whole, *others = [[made.hyperparameters(s, trial) for trial in range(8)] for s in made.studies()]
    assert len(others) == 2
    assert all(values == whole for values in others)


def test_a_larger_random_share_holds_a_smaller_one(experiment) -> None:
    made = experiment({"grid.subset": ["random:0.25", "random:0.5"]})
    small, large = (set(setting(made).on(name).workload.train.indices.tolist()) for name in made.grid.subset)
    assert len(small) == 24
    assert len(large) == 48
    assert small < large


def test_an_epoch_is_an_epoch_of_the_part(experiment, tmp_path: Path) -> None:
    made = experiment({**SINGLE, **PARTS, "training.budget": {"epochs": 3}})
    made = made.model_copy(update={"subsets": {"s.parquet": str(save(tmp_path / "s.parquet"))}})
    shared = setting(made)
    steps = [
        RunningTrial(setting=shared.on(s.configuration.subset), study=s, trial=0).budget
        for s in made.studies()
    ]
    assert steps == [3 * 96 // 4, 3 * 24 // 4, 3 * 8 // 4]


def test_a_trial_on_a_subset_is_one_on_a_workload_that_has_nothing_else(experiment, tmp_path: Path) -> None:
    """The same streams on the examples themselves, cut out: equal to the bit, test metrics included."""
    made = experiment({**SINGLE, "search.space.learning_rate": 0.1, **ONE, "training.stop": "budget"})
    made = made.model_copy(update={"subsets": {"s.parquet": str(save(tmp_path / "s.parquet"))}})
    shared, study = setting(made), made.studies()[0]
    inputs, targets = shared.workload.train.fetch(torch.from_numpy(INDICES))
    alone = replace(
        shared,
        workload=replace(shared.workload, train=TensorData(inputs, targets)),
        weights=torch.from_numpy(mean_one(WEIGHTS)).float(),
    )
    trials = [RunningTrial(setting=s, study=study, trial=1) for s in (shared.on("s.parquet"), alone)]
    for trial in trials:
        trial.advance(60, lambda: 60)
    assert trials[0].rows == trials[1].rows
    assert len(trials[0].rows) > 5


@pytest.mark.parametrize(
    "policy", ["shuffle", "importance-difficulty", "infobatch", "gradient-norm", "rho-loss"]
)
def test_weights_of_the_file_multiply_those_of_the_policy(experiment, tmp_path: Path, policy: str) -> None:
    changes: dict[str, Any] = {**SINGLE, "grid.policy": [policy], "grid.subset": ["s.parquet"]}
    if policy == "gradient-norm":
        changes["search.policy"] = {policy: {"always": True}}
    made = experiment(changes)
    path = str(save(tmp_path / "s.parquet"))
    made = made.model_copy(update={"subsets": {"s.parquet": path}})
    mine = setting(made).on("s.parquet")
    table = torch.from_numpy(mean_one(WEIGHTS)).float()
    assert float(mine.weights.mean()) == pytest.approx(1)
    study = made.studies()[0]
    values = made.hyperparameters(study, 0)
    plain, weighed = (feed(s, study, 0, values, 60) for s in (replace(mine, weights=None), mine))
    seen = []
    for _ in range(6):
        before, after = next(plain.batches), next(weighed.batches)
        assert torch.equal(before.indices, after.indices)
        own, now = before.weights, after.weights
        assert before.train_on == after.train_on
        indices = before.indices
        if plain.choose and before.train_on is not None:
            targets = torch.arange(len(before)) % 2
            outputs = torch.eye(2)[targets] * torch.arange(len(before))[:, None]
            losses = torch.rand(len(before), generator=torch.Generator().manual_seed(1))
            first, second = (f.choose(outputs, targets, losses, before) for f in (plain, weighed))
            assert torch.equal(first.positions, second.positions)
            indices, own, now = indices[first.positions], first.weights, second.weights
        own = torch.ones(len(indices)) if own is None else own
        torch.testing.assert_close(now, own * table[indices])
        seen.append(float((own - 1).abs().max()))
        if plain.record:
            targets = indices % 2
            for f in (plain, weighed):
                f.record(indices, torch.eye(2)[1 - targets] * (1 + indices[:, None]), targets)
    if policy in ("importance-difficulty", "gradient-norm"):
        assert max(seen) > 0, "the policy has no weights of its own here, so nothing was combined"


def test_no_weights_leave_the_batches_as_they_are() -> None:
    batches = iter([Batch(indices=torch.arange(3))])
    assert weighted(batches, None) is batches


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))


def written(content, folder: Path, changes: dict[str, Any]) -> Experiment:
    folder.mkdir(exist_ok=True)
    (folder / "e.toml").write_text(Experiment.from_dict(content(changes)).to_toml())
    return Experiment.from_toml(folder / "e.toml")


@pytest.mark.usefixtures("inline")
def test_a_project_that_was_moved_resumes_with_the_files_of_where_it_is(content, tmp_path: Path) -> None:
    """The folder of results stays; what it knew of the subsets' places does not."""
    before, after, results = tmp_path / "before", tmp_path / "after", tmp_path / "run"
    changes = {**SINGLE, "grid.subset": ["s.parquet", "named"], "search.trials": 2}
    changes["subsets"] = {"named": "t.parquet"}
    before.mkdir()
    for name in ("s.parquet", "t.parquet"):
        save(before / name)
    run(written(content, before, changes), results, processes=1)
    removed = sorted(results.glob("studies/*/00000.json"))
    for part in removed:
        part.unlink()
    before.rename(after)
    run(Experiment.from_toml(after / "e.toml"), results, processes=1)
    assert sorted(results.glob("studies/*/00000.json")) == removed
    places = store.load(results).experiment.subsets
    assert places == {"s.parquet": str(after / "s.parquet"), "named": str(after / "t.parquet")}
    # Without places in what is asked for, those that are known stay.
    made = Experiment.from_toml(after / "e.toml")
    store.create(results, made.model_copy(update={"subsets": {}}))
    assert store.load(results).experiment.subsets == places


@pytest.mark.usefixtures("inline")
def test_all_that_does_not_fit_is_told_before_anything_is_trained(content, tmp_path: Path) -> None:
    save(tmp_path / "small.parquet")
    other = TensorData(torch.zeros(96, 8), torch.zeros(96, dtype=torch.int64))
    save(tmp_path / "other.parquet", data=other)
    grid = ["full", "random:0.01", "small.parquet", "other.parquet", "none.parquet"]
    made = written(content, tmp_path, {**SINGLE, "grid.batch_size": [4, 16], "grid.subset": grid})
    with pytest.raises(InputErrors) as caught:
        run(made, tmp_path / "run", processes=1)
    errors = [str(error) for error in caught.value.errors]
    assert len(errors) == 5
    assert "'other.parquet' cannot be used with this workload" in errors[0]
    assert "chosen from another data set" in errors[0]
    assert "'none.parquet' cannot be used" in errors[1]
    assert "the subset file does not exist" in errors[1]
    large = "a batch cannot be larger than the subset"
    assert (
        f"{large} 'random:0.01' of 1 examples; got 4. Use 1 for the full batch, or leave it out" in errors[2]
    )
    assert f"{large} 'random:0.01' of 1 examples; got 16" in errors[3]
    assert f"{large} 'small.parquet' of 8 examples; got 16" in errors[4]
    assert not (tmp_path / "run" / "studies").exists()


@pytest.mark.usefixtures("inline")
def test_a_file_that_was_altered_since_is_refused(content, tmp_path: Path) -> None:
    save(tmp_path / "s.parquet")
    made = written(
        content,
        tmp_path,
        {**SINGLE, "grid.subset": ["s.parquet"], "search.trials": 2, "training.budget.steps": 4},
    )
    run(made, tmp_path / "run", processes=1)
    save(tmp_path / "s.parquet", weights=np.ones(len(INDICES)))
    with pytest.raises(InputErrors, match="has changed since this folder was made"):
        run(made, tmp_path / "run", processes=1)
    (tmp_path / "s.parquet").unlink()
    run(made, tmp_path / "run", processes=1)


def test_a_file_that_is_replaced_under_a_run_trains_no_trial(
    content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that reads it later than the first one finds another."""
    save(tmp_path / "s.parquet")
    made = written(content, tmp_path, {**SINGLE, "grid.subset": ["full", "s.parquet"], "search.trials": 2})

    class Late(InlineEngine):
        def submit(self, worker: int, job: Any) -> None:
            super().submit(worker, job)
            if isinstance(job, Expect) and worker == self.workers - 1:
                save(tmp_path / "s.parquet", weights=np.ones(len(INDICES)))

    monkeypatch.setitem(ENGINES, "local", Given(Late))
    with pytest.raises(
        InputError, match=r"the file of 's\.parquet' has changed while the experiment was run"
    ):
        run(made, tmp_path / "run", processes=2)
    assert not list((tmp_path / "run/studies").glob("*s.parquet*/0*.json"))
    save(tmp_path / "s.parquet")
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    run(made, tmp_path / "run", processes=2)


@pytest.mark.usefixtures("inline")
def test_from_a_search_to_an_experiment(content, tmp_path: Path) -> None:
    """Search, subset file, experiment; one worker and three that lose trials; a curve for each subset."""
    search = SubsetSearch.from_dict(
        {
            "workload": {"name": "tiny_workload:blobs"},
            "search": {"sizes": [0.125, 0.25, 0.5], "choose_from": "pool"},
            "training": {"batch_size": 4, "hyperparameters": {"learning_rate": 0.1}, "budget": {"steps": 12}},
        }
    )
    found = search_subset(search, tmp_path / "search", processes=1).subset
    subset = Subset.load(found)
    changes = {
        **SINGLE,
        "grid.batch_size": [4, 8],
        "grid.subset": ["full", "random:0.5", "hard"],
        "subsets": {"hard": "../search/subset.parquet"},
        "search.space.learning_rate": {"low": 0.03, "high": 0.5, "scale": "log"},
        "search.trials": 4,
    }
    made = written(content, tmp_path / "files", changes)
    one = run(made, tmp_path / "one", processes=1)
    assert canonical(one) == canonical(run(made, tmp_path / "three", processes=3))
    results = analyse(one).results
    assert results["subsets"]["hard"] == {"examples": len(subset)}
    assert {study["configuration"]["subset"] for study in results["studies"]} == set(made.grid.subset)
    assert [curve["subset"] for curve in results["scaling"]] == list(made.grid.subset)
    assert any(
        "subset hard" in sentence and "against SGD (96 examples)" in sentence
        for sentence in results["conclusions"]
    )
    (tmp_path / "search" / "subset.parquet").unlink()
    assert analyse(store.load(tmp_path / "one")).results == results
