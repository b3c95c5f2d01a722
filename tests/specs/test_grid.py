"""Parts of the grid: what is excluded and brought back, as sets; and parts that make no sense."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputErrors
from headrace.specs.experiment import Experiment
from headrace.specs.grid import Grid, values_of

AXES: dict[str, list[Any]] = {
    "batch_size": [8, 16, 32],
    "optimizer": ["sgd", "nesterov"],
    "policy": ["shuffle", "infobatch", "partition-stripes"],
    "subset": ["full", "random:0.5"],
    "workers": [1, 2],
}


def experiment(**grid: Any) -> Experiment:
    return Experiment.from_dict(
        {
            "workload": {"name": "digits-mlp"},
            "grid": {"batch_size": [8, 16, 32], **grid},
            "search": {"trials": 4, "space": {"learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"}}},
            "training": {"budget": {"steps": 100}},
        }
    )


def part() -> st.SearchStrategy[dict[str, Any]]:
    """Any part: of some axes one value, or a list of some."""
    one = {
        name: st.one_of(st.sampled_from(values), st.lists(st.sampled_from(values), min_size=1, unique=True))
        for name, values in AXES.items()
    }
    return st.fixed_dictionaries({}, optional=one)


def parts() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Different ones: a value and a list of it alone are the same."""

    def key(one: dict[str, Any]) -> str:
        return repr({name: one[name] if isinstance(one[name], list) else [one[name]] for name in sorted(one)})

    return st.lists(part(), max_size=3, unique_by=key)


@given(parts(), parts())
def test_the_studies_are_the_product_less_what_is_excluded_and_not_brought_back(
    exclude: list[dict[str, Any]], include: list[dict[str, Any]]
) -> None:
    grid = Grid.model_validate({**AXES, "exclude": exclude, "include": include})
    whole = Grid.model_validate(AXES)

    def holds(one: dict[str, Any], there: dict[str, Any]) -> bool:
        return all(
            there[name] in (asked if isinstance(asked, list) else [asked]) for name, asked in one.items()
        )

    expected = []
    for study in whole.studies():
        there = values_of(study)
        if not any(holds(one, there) for one in exclude) or any(holds(one, there) for one in include):
            expected.append(study)
    assert grid.studies() == expected
    assert len(whole.studies()) == 3 * 2 * 3 * 2 * 2
    again = Grid.model_validate(grid.model_dump())
    assert again == grid


def test_a_file_without_parts_is_what_it_was_and_one_with_parts_is_read_back() -> None:
    plain = experiment()
    assert set(plain.identity()["grid"]) == set(AXES)
    asked = experiment(policy=["shuffle", "rs2"], workers=[1, 2], exclude=[{"policy": "rs2", "workers": [2]}])
    assert len(asked.studies()) == 9
    again = Experiment.from_dict(tomllib.loads(asked.to_toml()))
    assert again == asked
    assert again.digest() == asked.digest() != plain.digest()


def test_names_of_the_paper_and_of_shares_are_understood() -> None:
    asked = experiment(
        policy=["shuffle", "sample-difficulty"],
        subset=["full", "random:0.5"],
        exclude=[{"policy": "SD", "subset": "random:0.50"}],
    )
    assert len(asked.studies()) == 9


@pytest.mark.parametrize(
    ("grid", "where", "what"),
    [
        ({"exclude": [{"policy": "infobatch"}]}, "grid.exclude[0]", "matches no study of the grid"),
        (
            {"workers": [1, 2], "exclude": [{"workers": 2, "batch_size": 8}], "include": [{"workers": 1}]},
            "grid.include[0]",
            "brings back no study that exclude leaves out",
        ),
        ({"include": [{"batch_size": 8}]}, "grid.include[0]", "brings back no study"),
        (
            {"workers": [1, 2], "exclude": [{"workers": 2, "batch_size": [8, 16]}]},
            "grid.exclude",
            "leaves only the batch size 32 to the curve sgd, full, shuffle, 2",
        ),
        ({"exclude": [{}]}, "grid.exclude", "leaves no study"),
        ({"workers": [1, 2], "exclude": [{"workers": 2}]}, "grid.exclude", "leaves no study with workers 2"),
        ({"exclude": [{"polcy": "rs2"}]}, "grid.exclude[0].polcy", "unknown key"),
        ({"exclude": [{"batch_size": [8, 8]}]}, "grid.exclude[0].batch_size", "must differ"),
    ],
)
def test_parts_that_make_no_sense_are_refused_with_one_error(
    grid: dict[str, Any], where: str, what: str
) -> None:
    with pytest.raises(InputErrors) as raised:
        experiment(**grid)
    assert len(raised.value.errors) == 1
    assert where in str(raised.value)
    assert what in str(raised.value)


def test_a_batch_that_is_smaller_than_its_workers_may_be_left_out() -> None:
    with pytest.raises(InputErrors, match="more workers than examples in a batch of 8"):
        experiment(workers=[1, 16])
    assert len(experiment(workers=[1, 16], exclude=[{"workers": 16, "batch_size": 8}]).studies()) == 5
