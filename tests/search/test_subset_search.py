"""The search: what it chooses, what it may not look at, and that no interruption changes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load, load_file, save_file

from headrace.analysis.subset_search import write
from headrace.engines._base import Handle, do_all
from headrace.engines.inline import InlineEngine
from headrace.ensembles import EnsembleStatistics, acquisition
from headrace.errors import InputError, InputErrors
from headrace.random import torch_stream
from headrace.search.memo import Works
from headrace.search.runner import search_subset
from headrace.specs.search import SubsetSearch
from headrace.store.outcome import Outcome
from headrace.subsets.file import Subset
from headrace.trials import jobs
from headrace.trials.jobs import Run
from headrace.trials.opening import MakeSearchBench

Spec = Callable[..., SubsetSearch]
HIDDEN = {"search.labels": "hidden", "search.oracle": "dataset", "search.acquisition": ["entropy"]}


class Killed(BaseException):
    """What no code catches."""


def run(spec: SubsetSearch, folder: Path, **options: Any) -> Outcome:
    return search_subset(spec, folder, processes=1, **options)


def files(folder: Path) -> dict[str, bytes]:
    wanted = [*folder.glob("subsets/*/*.parquet"), *(folder / n for n in ("subset.parquet", "results.json"))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in wanted}


def test_it_grows_to_the_sizes_asked_and_holds_what_was_there(spec: Spec, tmp_path: Path) -> None:
    outcome = run(spec(), tmp_path)
    parts = [
        Subset.load(tmp_path / "subsets" / "seed-0" / f"margin-{size}.parquet") for size in (30, 60, 120)
    ]
    assert [len(part) for part in parts] == [30, 60, 120]
    assert set(parts[0].indices) < set(parts[1].indices) < set(parts[2].indices)
    assert np.bincount(parts[2].rounds).tolist() == [30, 30, 60]
    assert np.isnan(parts[2].scores[parts[2].rounds == 0]).all()
    assert outcome.subset is not None
    np.testing.assert_array_equal(Subset.load(outcome.subset).indices, parts[2].indices)
    assert [len(names) for names in parts[2].provenance.members] == [4, 4]


def test_a_round_takes_the_highest_scores_of_its_members(spec: Spec, tmp_path: Path) -> None:
    import pool_workload

    run(spec({"search.sizes": [0.25, 0.5]}), tmp_path)
    subset = Subset.load(tmp_path / "subset.parquet")
    inputs = pool_workload.pool().train.inputs
    statistics = EnsembleStatistics(240, 3)
    for name in subset.provenance.members[0]:
        model = pool_workload.model().eval()
        model.load_state_dict(load_file(tmp_path / "runs" / f"{name}.safetensors"))
        with torch.no_grad():
            statistics.add_member(0, model(inputs).softmax(1))
    scores = acquisition.margin(statistics)
    start = subset.indices[subset.rounds == 0]
    rest = np.setdiff1d(np.arange(240), start)
    best = rest[np.argsort(-scores[rest], kind="stable")[:60]]
    assert set(subset.indices[subset.rounds == 1]) == set(best)
    np.testing.assert_allclose(subset.scores[subset.rounds == 1], scores[np.sort(best)], atol=1e-6)


@pytest.mark.parametrize("jobs_before", [1, 5, 14])
def test_a_killed_search_goes_on_to_the_same_subset(spec: Spec, tmp_path: Path, jobs_before: int) -> None:
    asked = spec({"comparison": {"seeds": 2}})
    write(run(asked, tmp_path / "undisturbed"))
    left = jobs_before

    def die(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    with pytest.raises(Killed):
        run(asked, tmp_path / "killed", progress=die)
    write(run(asked, tmp_path / "killed"))
    assert files(tmp_path / "killed") == files(tmp_path / "undisturbed")


def test_a_scoring_goes_on_with_the_members_that_are_missing(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MEMBERS_AT_ONCE", 1)
    asked = spec({"search.sizes": [0.25, 0.5]})
    write(run(asked, tmp_path / "undisturbed"))
    added, keep = EnsembleStatistics.add_member, Works._keep  # pyright: ignore[reportPrivateUsage]
    scored: list[str] = []

    def note(self: EnsembleStatistics, *args: Any, member: str, **named: Any) -> None:
        scored.append(member)
        added(self, *args, member=member, **named)

    def die_after(self: Works, *args: Any) -> bool:
        whole = keep(self, *args)
        if len(scored) == 2:
            raise Killed
        return whole

    monkeypatch.setattr(EnsembleStatistics, "add_member", note)
    monkeypatch.setattr(Works, "_keep", die_after)
    with pytest.raises(Killed):
        run(asked, tmp_path / "killed")
    (sums,) = tmp_path.glob("killed/scores/*/*")
    assert sums.name == "from-0.safetensors"
    write(run(asked, tmp_path / "killed"))
    assert len(scored) == len(set(scored)) == 4
    assert [path.name for path in tmp_path.glob("killed/scores/*/*")] == ["from-0.parquet"]
    assert files(tmp_path / "killed") == files(tmp_path / "undisturbed")


def test_what_is_done_is_not_done_again(spec: Spec, tmp_path: Path) -> None:
    run(spec(), tmp_path)
    done: list[str] = []
    run(
        spec({"search.acquisition": ["margin", "entropy"]}),
        tmp_path,
        progress=lambda *a: done.append(a[0]),
    )
    # Only entropy's second round is new: two runs and a scoring.
    assert done == ["training on 60 examples"] * 2 + ["scoring the pool"]


def test_the_cost_is_what_was_planned(spec: Spec, tmp_path: Path) -> None:
    outcome = run(
        spec({**HIDDEN, "comparison": {"seeds": 2, "baselines": ["random", "full", "rs2"]}}), tmp_path
    )
    assert outcome.spent == outcome.plan
    # The random start serves the search and random, and costs once: 2 seeds x 2 runs x 20 steps x 8.
    different = 1 + 2 + 2 + 1
    assert outcome.trained == 2 * 2 * 160 * different
    assert outcome.scored == 2 * 2 * 4 * 240


def test_hidden_labels_are_not_read_before_they_are_bought(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = spec(HIDDEN)
    import pool_workload

    run(asked, tmp_path / "true")
    bought = Subset.load(tmp_path / "true" / "subset.parquet").indices
    never = np.setdiff1d(np.arange(240), bought)
    for number in range(3):
        targets = pool_workload.TRUE.clone()
        shuffled = torch.from_numpy(np.random.default_rng(number).permutation(never))
        targets[torch.from_numpy(never)] = targets[shuffled]
        # A last time with what is no class at all: to read it would be an error.
        if number == 2:
            targets[torch.from_numpy(never)] = 10**6
        assert not torch.equal(targets, pool_workload.TRUE)
        monkeypatch.setattr(pool_workload, "TARGETS", targets)
        run(asked, tmp_path / str(number))
        for name in ("entropy-30", "entropy-60", "entropy-120"):
            path = Path("subsets") / "seed-0" / f"{name}.parquet"
            assert (tmp_path / str(number) / path).read_bytes() == (tmp_path / "true" / path).read_bytes()


def test_bought_labels_are_what_runs_are_trained_on(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = spec(HIDDEN)
    import pool_workload

    run(asked, tmp_path / "true")
    monkeypatch.setattr(pool_workload, "TARGETS", (pool_workload.TRUE + 1) % 3)
    run(asked, tmp_path / "turned")
    one, other = (Subset.load(tmp_path / name / "subset.parquet") for name in ("true", "turned"))
    assert not np.array_equal(one.scores, other.scores, equal_nan=True)


def test_people_who_answer_truly_lead_to_the_same_subset(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(spec(HIDDEN), tmp_path / "dataset")
    import pool_workload

    # The workload's own targets say nothing: only the answers can lead there.
    monkeypatch.setattr(pool_workload, "TARGETS", torch.zeros_like(pool_workload.TRUE))

    asked = spec(HIDDEN | {"search.oracle": "people", "search.show": "pool_workload:show"})
    outcome, answers, rounds = run(asked, tmp_path / "people"), None, 0
    while outcome.waiting is not None:
        questions = pl.read_csv(outcome.waiting.tasks[1])
        assert questions["text"][0] == f"example {questions['index'][0]}"
        assert outcome.waiting.missing == questions.height
        names = [pool_workload.pool().classes[pool_workload.TRUE[i]] for i in questions["index"]]
        answers = tmp_path / "answers.csv"
        questions.with_columns(pl.Series("label", names)).write_csv(answers)
        outcome = run(asked, tmp_path / "people", answers=answers)
        rounds += 1
    assert rounds == 3
    bought, simulated = (Subset.load(tmp_path / name / "subset.parquet") for name in ("people", "dataset"))
    np.testing.assert_array_equal(bought.indices, simulated.indices)
    np.testing.assert_array_equal(bought.scores, simulated.scores)
    assert bought.labels is not None
    assert bought.labels.tolist() == [int(pool_workload.TRUE[i]) for i in bought.indices]


def test_wrong_answers_lose_nothing(spec: Spec, tmp_path: Path) -> None:
    asked = spec(HIDDEN | {"search.oracle": "people"})
    waiting = run(asked, tmp_path).waiting
    before = (tmp_path / "labels.json").read_bytes()
    assert waiting is not None
    (tmp_path / "answers.csv").write_text("index,label\n9999,red\n")
    with pytest.raises(InputErrors, match="this example was not asked for"):
        run(asked, tmp_path, answers=tmp_path / "answers.csv")
    assert (tmp_path / "labels.json").read_bytes() == before
    with pytest.raises(InputError, match=r"answers are taken with search\.oracle = 'people' only"):
        run(spec(), tmp_path, answers=tmp_path / "answers.csv")


def trained(
    spec: SubsetSearch, indices: np.ndarray, weights: np.ndarray, **changes: Any
) -> dict[str, torch.Tensor]:
    job = Run(
        stream=("test",),
        indices=indices,
        weights=weights,
        labels=None,
        steps=6,
        checkpoints=(6,),
    )
    with InlineEngine().open(MakeSearchBench(spec)) as engine:
        (done,) = do_all(engine, [replace(job, **changes)])
    return load(done.weights[6])


def test_weights_train_as_duplicates_do(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    """With whole batches, an example of weight 3 is an example that is there three times."""
    import pool_workload

    monkeypatch.setattr(pool_workload, "model", lambda: torch.nn.Linear(6, 3))
    indices, weights = np.array([3, 10, 57, 200]), np.array([1.0, 3.0, 2.0, 2.0])
    whole = {"training.batch_size": 4, "training.optimizer": "sgd"}
    repeated = np.repeat(indices, weights.astype(int))
    once = trained(spec(whole), indices, weights)
    again = trained(spec(whole | {"training.batch_size": 8}), repeated, np.ones(8))
    plain = trained(spec(whole), indices, np.ones(4))
    for name, value in once.items():
        torch.testing.assert_close(value, again[name], rtol=1e-5, atol=1e-6)
        assert not torch.allclose(value, plain[name], atol=1e-3)


def test_a_warm_run_starts_from_the_weights_it_is_given(spec: Spec, tmp_path: Path) -> None:
    frozen = spec({"training.hyperparameters": {"learning_rate": 1e-12}})
    import pool_workload

    with torch_stream(5, "weights"):
        state = pool_workload.model().state_dict()
    save_file(state, tmp_path / "start.safetensors")
    indices = np.arange(16)
    start = Handle(path=tmp_path / "start.safetensors")
    warm = trained(frozen, indices, np.ones(16), start=start)
    fresh = trained(frozen, indices, np.ones(16))
    torch.testing.assert_close(warm, dict(state), rtol=0, atol=1e-6)
    assert not torch.allclose(fresh["0.weight"], state["0.weight"], atol=1e-2)


def test_a_warm_search_is_another_and_is_compared_from_scratch(spec: Spec, tmp_path: Path) -> None:
    compared = {"comparison": {"seeds": 1}}
    cold, warm = (
        run(spec({"search.start": start, **compared}), tmp_path / start) for start in ("scratch", "warm")
    )
    one, other = (Subset.load(outcome.subset) for outcome in (cold, warm))
    np.testing.assert_array_equal(one.indices[one.rounds < 2], other.indices[other.rounds < 2])
    assert not np.array_equal(one.indices, other.indices)
    sizes = {(m.group, m.size): m.runs for m in cold.measured}
    assert all(m.runs == sizes[m.group, m.size] for m in warm.measured if m.size < 120)


def test_chosen_again_an_example_gains_weight(spec: Spec, tmp_path: Path) -> None:
    run(spec({"search.choose_from": "pool", "search.sizes": [0.5, 0.75, 1.0]}), tmp_path)
    subset = Subset.load(tmp_path / "subset.parquet")
    assert subset.weights.sum() == 240
    assert len(subset) < 240
    assert subset.weights.max() > 1


def test_a_users_own_checkpoints_choose_without_training(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"training": None, "members.checkpoints": ["own/*.safetensors"]}
    asked = spec(own | {"search.sizes": [0.25, 0.5]})
    import pool_workload

    monkeypatch.chdir(tmp_path)
    statistics = EnsembleStatistics(240, 3)
    Path("own").mkdir()
    for number in range(3):
        with torch_stream(number, "own"):
            model = pool_workload.model().eval()
        save_file(model.state_dict(), f"own/{number}.safetensors")
        with torch.no_grad():
            statistics.add_member(0, model(pool_workload.pool().train.inputs).softmax(1))
    outcome = run(asked, tmp_path / "out")
    best = np.argsort(-acquisition.margin(statistics), kind="stable")
    subset = Subset.load(tmp_path / "out" / "subset.parquet")
    assert set(subset.indices) == set(best[:120])
    assert set(subset.indices[subset.rounds == 0]) == set(best[:60])
    assert outcome.trained == 0
    assert outcome.scored == 3 * 240
    assert outcome.spent == outcome.plan

    with pytest.raises(InputError, match="no checkpoint matches this pattern; got 'else/"):
        run(spec(own | {"members.checkpoints": ["else/*"]}), tmp_path / "out")
    with pytest.raises(InputError, match="the model's output another number; got 4"):
        run(spec(own | {"members.build": "pool_workload:wider"}), tmp_path / "out")
    save_file(pool_workload.wider().state_dict(), "own/9.safetensors")
    with pytest.raises(InputError, match="the checkpoint does not fit the model that was built"):
        run(asked, tmp_path / "out")


def test_a_run_that_diverges_is_told(spec: Spec, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a training run diverged"):
        run(spec({"training.hyperparameters.learning_rate": 1e30}), tmp_path)


def test_the_results_open_with_the_conclusions(spec: Spec, tmp_path: Path) -> None:
    write(run(spec(), tmp_path))
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["conclusions"][0].startswith("Nothing was compared")
    assert (
        (tmp_path / "report.md").read_text().startswith("# Subset search on pool_workload:pool\n\n- Nothing")
    )


@pytest.mark.slow
def test_processes_change_nothing(spec: Spec, tmp_path: Path) -> None:
    asked = spec({"comparison": {"seeds": 2}})
    write(run(asked, tmp_path / "one"))
    write(search_subset(asked, tmp_path / "two", processes=2))
    assert files(tmp_path / "one") == files(tmp_path / "two")
