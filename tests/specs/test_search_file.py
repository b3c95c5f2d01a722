"""The file of a search: what is refused, and in which words."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from headrace.errors import InputError, InputErrors
from headrace.search.plan import plan
from headrace.search.readiness import check_memory, check_ready
from headrace.specs.search import SubsetSearch
from headrace.store.search_facts import Facts

FACTS = Facts(examples=240, checksum="inputs:0", num_classes=3, classes=("a", "b", "c"), metric="test/error")
OWN = {"members": {"checkpoints": ["*.safetensors"]}, "training": None}
PEOPLE = {"search.labels": "hidden", "search.oracle": "people"}


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"search.sizes": [0.5, 0.25]}, "search.sizes", "the sizes must rise"),
        ({"search.sizes": [0.25]}, "search.sizes", "nothing would be searched"),
        ({"search.sizes": [0.5, 1.5]}, "search.sizes[1]", "less than or equal to 1"),
        ({"search.sizes": None}, "search.sizes", "is missing"),
        ({"search.size": [0.5]}, "search.size", "unknown key 'size'"),
        ({"search.acquisition": ["entropie"]}, "search.acquisition", "Did you mean 'entropy'?"),
        ({"search.acquisition": ["entropy", "entropy"]}, "search.acquisition", "differ"),
        (
            {"search.labels": "hidden", "search.oracle": "dataset", "search.acquisition": ["error_count"]},
            "search.acquisition",
            "error_count needs the labels, but they are hidden",
        ),
        ({"search.labels": "hidden"}, "search.oracle", "must be given if labels are hidden"),
        ({"search.oracle": "dataset"}, "search.oracle", "has no effect if labels are known"),
        ({"search.show": "a:b"}, "search.show", "only with oracle = 'people'"),
        ({**PEOPLE, "comparison": {}}, "comparison", "the other labels are hidden"),
        ({**PEOPLE, "search.acquisition": ["entropy", "margin"]}, "search.acquisition", "one acquisition"),
        (
            {
                "training.runs": 1,
                "training.checkpoints": 1,
                "search.acquisition": ["mutual_information"],
            },
            "search.acquisition",
            "if there is only one member",
        ),
        ({"search.select": {"name": "top_k", "exponent": 2.0}}, "search.select.exponent", "has no effect"),
        ({"training": None}, "training", "is missing"),
        ({"members": {"checkpoints": ["a"]}}, "training", "has no effect: the members are given"),
        ({**OWN, "comparison": {}}, "training", "is missing: the comparison trains"),
        ({**OWN, "search.start": "warm"}, "search.start", "has no effect if members are given"),
        (
            {**OWN, "search.choose_from": "pool"},
            "search.choose_from",
            "has no effect if members are given",
        ),
        ({"comparison": {"baselines": ["full"]}}, "comparison.baselines", "random must be among"),
        ({"comparison": {"baselines": ["random", "ful"]}}, "comparison.baselines", "Did you mean 'full'?"),
        ({"training.hyperparameters": {"momentum": 0.9}}, "learning_rate", "is missing"),
        ({"training.hyperparameters.learning_rate": -1.0}, "learning_rate", "must be"),
        ({"training.hyperparameters.end_factor": 0.1}, "end_factor", "has no effect"),
        ({"training.optimizer": "sdg"}, "training.optimizer", "Did you mean 'sgd'?"),
        ({"training.checkpoints": [0.9, 0.5]}, "training.checkpoints", "must rise"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    table: Callable[..., dict[str, Any]], changes: dict[str, Any], where: str, what: str
) -> None:
    with pytest.raises(InputErrors) as caught:
        SubsetSearch.from_dict(table(changes))
    assert where in str(caught.value)
    assert what in str(caught.value)
    assert len(caught.value.errors) == 1


def test_all_errors_of_a_file_are_told_at_once(table: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(InputErrors) as caught:
        SubsetSearch.from_dict(table({"search.sizes": [0.5, 0.1], "search.acquisition": ["x"]}))
    assert len(caught.value.errors) == 2


def test_a_file_written_out_is_the_same_search(table: Callable[..., dict[str, Any]]) -> None:
    spec = SubsetSearch.from_dict(table({"comparison": {"seeds": 3}, "search.select": {"name": "power"}}))
    assert SubsetSearch.from_dict(tomllib.loads(spec.to_toml())) == spec


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"training.batch_size": 31}, "a batch cannot be larger than the smallest subset of 30 examples"),
        ({"training.checkpoints": 25}, "two checkpoints of a run would be at the same step"),
        (
            {"search.sizes": [0.5, 1.0], "search.select": {"name": "stratified"}},
            "120 examples must be added for the size 1, and 96 are left after dropping",
        ),
        ({"search.sizes": [0.001, 0.5]}, "the sizes must be different numbers of the 240 examples"),
        ({"training.budget": {"epochs": 0.1}}, "the budget allows no step"),
    ],
)
def test_what_does_not_fit_the_workload_is_refused(
    table: Callable[..., dict[str, Any]], changes: dict[str, Any], what: str
) -> None:
    with pytest.raises(InputErrors, match=what):
        check_ready(SubsetSearch.from_dict(table(changes)), FACTS)


def test_the_cost_is_reckoned_from_the_file(table: Callable[..., dict[str, Any]]) -> None:
    spec = SubsetSearch.from_dict(table({"training.budget": {"steps": None, "epochs": 4}}))
    first, second, last = plan(spec, FACTS)
    # 30 examples x 4 epochs at 8 a step: 15 steps; two runs; 2 x 2 members score 240 examples.
    assert (first.size, first.examples_trained, first.examples_scored) == (30, 2 * 15 * 8, 4 * 240)
    assert (second.size, second.examples_trained, second.examples_scored) == (60, 2 * 30 * 8, 4 * 240)
    assert (last.size, last.examples_trained, last.examples_scored) == (120, 0, 0)


def test_what_does_not_fit_into_memory_is_refused_with_what_would(
    table: Callable[..., dict[str, Any]],
) -> None:
    spec = SubsetSearch.from_dict(table({"search.select": {"name": "k_center"}}))
    facts = FACTS.model_copy(update={"examples": 1_000_000, "features": 1000, "scoring_bytes": 10})
    # Two float32 copies of the features and four float64 numbers for each two classes.
    needed = 1_000_000 * (8 * 1000 + 16 * 3)
    check_memory(spec, facts, 4, 4 * needed)
    with pytest.raises(
        InputError, match=r"up to 8.05 GB in each of 4 processes, .* Run with --processes 3\."
    ):
        check_memory(spec, facts, 4, 4 * needed - 1)
    check_memory(spec, FACTS.model_copy(update={"scoring_bytes": 20_000}), 4, 80_000)
