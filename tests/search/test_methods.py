"""Several methods in one search: what each chooses is what the strategy alone would, at the cost foretold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from headrace import random, selection
from headrace.analysis.subset_search import write
from headrace.ensembles import EnsembleStatistics
from headrace.ensembles.acquisition import FUNCTIONS
from headrace.errors import InputError, InputErrors
from headrace.search import readiness
from headrace.search.runner import search_subset
from headrace.specs.search import SubsetSearch
from headrace.store.outcome import Outcome
from headrace.subsets.file import Subset

from . import pool_workload

EVERY: list[dict[str, Any]] = [
    {"acquisition": "entropy"},
    {"acquisition": "entropy", "select": {"name": "power", "exponent": 2.0}},
    {"acquisition": "margin", "select": {"name": "stratified"}},
    {"acquisition": "margin", "select": {"name": "class_balanced"}},
    {"select": {"name": "k_center"}},
    {"select": {"name": "badge"}},
    {"select": {"name": "batch_bald", "shortlist": 2.0, "configurations": 8}},
    {"name": "far", "acquisition": "entropy", "select": {"name": "score_times_distance"}},
]
LABELS = [
    "entropy",
    "entropy+power",
    "margin+stratified",
    "margin+class_balanced",
    "k_center",
    "badge",
    "batch_bald",
    "far",
]
SMALL = {"search.sizes": [0.125, 0.25], "search.methods": EVERY}


def by_members(folder: Path, subset: Subset) -> tuple[np.ndarray, np.ndarray]:
    """Every member's probabilities [members, examples, classes], and the last one's features."""
    inputs = pool_workload.pool().train.fetch(torch.arange(240))[0]
    found = []
    for name in subset.provenance.members[-1]:
        run, _, step = name.partition("/")
        model = pool_workload.model().eval()
        model.load_state_dict(load_file(folder / "runs" / run / f"{step}.safetensors"))
        with torch.no_grad():
            features = model[:-1](inputs)
            found.append(model[-1](features).double().softmax(-1).numpy())
    return np.stack(found), features.numpy()


def expected(label: str, p: np.ndarray, features: np.ndarray, start: np.ndarray) -> np.ndarray:
    """What the strategy chooses, from the members themselves."""
    statistics = EnsembleStatistics(240, 3)
    for member in p:
        statistics.add_member(0, member)
    scores = {name: FUNCTIONS[name](statistics) for name in ("entropy", "margin", "mutual_information")}
    left = np.setdiff1d(np.arange(240), start)
    first = {"badge": "badge", "batch_bald": "batch_bald", "margin+stratified": "margin"}.get(
        label, "entropy"
    )
    rng = random.generator(1, "subset search", 0, "choose", first, 1)
    match label:
        case "entropy":
            return selection.top_k(scores["entropy"], 30, candidates=left)
        case "entropy+power":
            return selection.power(scores["entropy"], 30, rng, exponent=2.0, candidates=left)
        case "margin+stratified":
            return selection.stratified(scores["margin"], 30, rng, candidates=left)
        case "margin+class_balanced":
            return selection.class_balanced(scores["margin"], pool_workload.TRUE.numpy(), 30, candidates=left)
        case "k_center":
            return selection.k_center(features, 30, initial=start, candidates=left)
        case "badge":
            return selection.badge(p[-1], features, 30, rng, candidates=left)
        case "far":
            return selection.score_distance(scores["entropy"], features, 30, initial=start, candidates=left)
        case _:
            best = np.sort(selection.top_k(scores["mutual_information"], 60, candidates=left))
            return best[selection.batch_bald(p[:, best], 30, rng, configurations=8)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("every")


@pytest.fixture
def outcome(spec: Callable[..., SubsetSearch], folder: Path) -> Outcome:
    return search_subset(spec(SMALL), folder, processes=1)


def test_they_are_called_by_what_they_do(outcome: Outcome) -> None:
    assert list(outcome.spec.groups) == LABELS


@pytest.mark.parametrize("label", LABELS)
def test_a_method_chooses_what_its_strategy_would(outcome: Outcome, label: str) -> None:
    subset = Subset.load(outcome.directory / "subsets" / "seed-0" / f"{label}-60.parquet")
    start = subset.indices[subset.rounds == 0]
    assert len(start) == 30
    fresh = subset.indices[subset.rounds == 1]
    p, features = by_members(outcome.directory, subset)
    assert sorted(expected(label, p, features, start)) == fresh.tolist()


def test_all_share_the_random_start(outcome: Outcome) -> None:
    folder = outcome.directory / "subsets" / "seed-0"
    starts = [Subset.load(folder / f"{label}-30.parquet").indices.tolist() for label in LABELS]
    assert all(start == starts[0] for start in starts)


def test_scores_are_kept_where_there_was_an_acquisition_function(outcome: Outcome) -> None:
    for label in LABELS:
        subset = Subset.load(outcome.directory / "subsets" / "seed-0" / f"{label}-60.parquet")
        scored = np.isfinite(subset.scores[subset.rounds == 1])
        assert scored.all() if subset.provenance.acquisition else not scored.any()


def test_the_cost_is_what_was_foretold(outcome: Outcome) -> None:
    assert [asdict(cost) for cost in outcome.spent] == [asdict(cost) for cost in outcome.plan]
    scored = {cost.group: cost.examples_scored for cost in outcome.spent if cost.size == 30}
    ensemble = 4 * 240
    assert scored == dict.fromkeys(LABELS, ensemble) | {
        "k_center": 240,
        "badge": 240,
        "far": ensemble + 240,
        "batch_bald": ensemble + 4 * 60,
    }
    # One scoring for all, one pass for each that looks at features, and the shortlist.
    assert outcome.scored == ensemble + 3 * 240 + 4 * 60


def test_a_choice_is_made_once_and_comes_out_the_same(
    outcome: Outcome, spec: Callable[..., SubsetSearch]
) -> None:
    choices = sorted((outcome.directory / "choices").iterdir())
    assert len(choices) == 4
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in choices]
    files = {p: p.read_bytes() for p in outcome.directory.glob("subsets/*/*.parquet")}
    search_subset(spec(SMALL), outcome.directory, processes=1)
    assert [path.stat().st_mtime_ns for path in choices] == [time for time, _ in before]
    for path in choices:
        path.unlink()
    search_subset(spec(SMALL), outcome.directory, processes=1)
    assert {p: p.read_bytes() for p in files} == files


def test_another_name_changes_nothing_but_the_name(
    outcome: Outcome, spec: Callable[..., SubsetSearch], tmp_path: Path
) -> None:
    renamed = {"name": "mine", **EVERY[1]}
    found = search_subset(spec({**SMALL, "search.methods": [renamed]}), tmp_path, processes=1)
    mine = Subset.load(tmp_path / "subsets" / "seed-0" / "mine-60.parquet")
    other = Subset.load(outcome.directory / "subsets" / "seed-0" / "entropy+power-60.parquet")
    assert found.spec.groups == ("mine",)
    assert mine.indices.tolist() == other.indices.tolist()


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"search.methods": EVERY, "search.acquisition": ["entropy"]}, "search.acquisition", "has no effect"),
        ({"search.methods": EVERY, "search.select": {"name": "power"}}, "search.select", "has no effect"),
        ({"search.methods": [{"select": {"name": "power"}}]}, "search.methods[0].acquisition", "is missing"),
        (
            {"search.methods": [{"acquisition": "entropy", "select": {"name": "badge"}}]},
            "search.methods[0].acquisition",
            "has no effect with badge",
        ),
        ({"search.methods": [{"acquisition": "entropie"}]}, "search.methods[0].acquisition", "'entropy'?"),
        ({"search.methods": [EVERY[0], EVERY[0]]}, "search.methods", "must differ from each other"),
        ({"search.methods": [{"name": "full", **EVERY[0]}]}, "search.methods[0].name", "name of a baseline"),
        (
            {"search.methods": [{"name": "a/b", **EVERY[0]}]},
            "search.methods[0].name",
            "must be letters, digits",
        ),
        (
            {"search.methods": [{"select": {"name": "k_center", "strata": 3}}]},
            "search.methods[0].select.strata",
            "has no effect with name = 'k_center'",
        ),
        (
            {"search.methods": [EVERY[4]], "search.choose_from": "pool"},
            "search.methods[0].select",
            "k_center chooses nothing twice",
        ),
        (
            {"search.select": {"name": "badge"}, "search.acquisition": ["margin"]},
            "search.acquisition",
            "badge",
        ),
        (
            {"search.methods": [EVERY[6]], "training.runs": 1, "training.checkpoints": 1},
            "search.methods[0].select",
            "several members",
        ),
        ({"transfer": [{"workload": {"name": "a:b"}}]}, "transfer", "has no effect without [comparison]"),
        (
            {"transfer": [{"workload": {"name": "a:b"}, "optimizer": "sdg"}], "comparison": {}},
            "transfer[0].optimizer",
            "'sgd'?",
        ),
        (
            {"transfer": [{"workload": {"name": "a:b"}}, {"workload": {"name": "c:b"}}], "comparison": {}},
            "transfer",
            "the names must differ",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(
    table: Callable[..., dict[str, Any]], changes: dict[str, Any], where: str, what: str
) -> None:
    with pytest.raises(InputErrors) as caught:
        SubsetSearch.from_dict(table(changes))
    assert len(caught.value.errors) == 1
    assert f"{where}: " in str(caught.value.errors[0])
    assert what in str(caught.value.errors[0])


def test_a_joint_choice_that_would_never_end_is_refused(
    spec: Callable[..., SubsetSearch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine a thousand times slower, because the tests' pool is small.
    monkeypatch.setattr(readiness, "SECONDS_PER_TERM", 1000 * readiness.SECONDS_PER_TERM)
    select = {"name": "batch_bald", "configurations": 10**6}
    with pytest.raises(InputErrors, match=r"choosing 60 of 240 examples would take about 120 hours"):
        search_subset(spec({"search.select": select}), tmp_path, processes=1)
    assert not (tmp_path / "runs").exists()


def test_a_model_without_a_last_layer_is_refused_before_it_is_trained(
    spec: Callable[..., SubsetSearch], tmp_path: Path
) -> None:
    changes = {**SMALL, "workload": {"name": "pool_workload:headless_pool"}}
    with pytest.raises(InputError, match="no linear layer of the model gives the classes"):
        search_subset(spec(changes), tmp_path, processes=1)
    assert not (tmp_path / "runs").exists()


TRANSFER = {
    "search.sizes": [0.125, 0.25],
    "comparison": {"seeds": 2},
    "transfer": [
        {"workload": {"name": "pool_workload:linear_pool"}, "hyperparameters": {"learning_rate": 0.02}}
    ],
}


def test_a_transfer_is_the_comparison_of_the_other_model_on_the_same_subsets(
    spec: Callable[..., SubsetSearch], tmp_path: Path
) -> None:
    outcome = search_subset(spec(TRANSFER), tmp_path / "one", processes=1)
    (other,) = outcome.transfers
    alone = spec(
        {
            **TRANSFER,
            "workload": {"name": "pool_workload:linear_pool"},
            "training.hyperparameters": {"learning_rate": 0.02},
            "transfer": [],
        }
    )
    itself = search_subset(alone, tmp_path / "two", processes=1)
    chance = [
        [m for m in found if m.group in ("random", "full")] for found in (other.measured, itself.measured)
    ]
    assert chance[0] == chance[1]
    assert {m.group for m in other.measured} == {m.group for m in outcome.measured}
    assert [asdict(cost) for cost in outcome.spent] == [asdict(cost) for cost in outcome.plan]
    results = write(outcome)
    assert results["transfers"][0]["name"] == "linear_pool"
    assert len((tmp_path / "one" / "comparison-linear_pool.csv").read_text().splitlines()) == 1 + 2 * 5
    assert any("With linear_pool trained on the same subsets" in text for text in results["conclusions"])


def test_a_transfer_to_other_data_is_refused(spec: Callable[..., SubsetSearch], tmp_path: Path) -> None:
    changes = {**TRANSFER, "transfer": [{"workload": {"name": "pool_workload:other_pool"}}]}
    with pytest.raises(InputErrors, match=r"transfer\[0\].workload: its training set is another one"):
        search_subset(spec(changes), tmp_path, processes=1)
    assert not (tmp_path / "runs").exists()
