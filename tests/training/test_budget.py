"""Budgets, and the steps at which trials are evaluated."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.training.budget import budget_steps, evaluation_steps

ratios = st.floats(1.001, 3)
budgets = st.integers(1, 20000)


@settings(deadline=None)
@given(budgets, ratios)
def test_geometric_steps(budget: int, ratio: float) -> None:
    steps = evaluation_steps(budget, ratio)
    assert steps[0] == 0
    assert steps[-1] == budget
    for last, until in pairwise(steps):
        assert last < until <= max(last + 1, last * ratio)
    # No gap is smaller than it must be, but for the last.
    for last, until in pairwise(steps[:-1]):
        assert until == last + 1 or (until + 1) > last * ratio
    # Where s (ratio - 1) > 2, each step is later by more than half the ratio.
    dense = 2 / (ratio - 1) + 2
    assert len(steps) <= dense + math.log(max(budget / dense, 1)) / math.log((1 + ratio) / 2) + 3


@settings(deadline=None)
@given(budgets, budgets, ratios)
def test_steps_do_not_depend_on_the_budget(one: int, other: int, ratio: float) -> None:
    low, high = sorted((one, other))
    assert evaluation_steps(low, ratio)[:-1] == [step for step in evaluation_steps(high, ratio) if step < low]


def test_by_hand() -> None:
    assert evaluation_steps(12, 1.5) == [0, 1, 2, 3, 4, 6, 9, 12]
    assert evaluation_steps(10, every=4) == [0, 4, 8, 10]
    assert evaluation_steps(8, every=4) == [0, 4, 8]
    assert evaluation_steps(3, every=100) == [0, 3]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"budget_steps": 0}, "the budget must be at least 1 step; got 0"),
        ({"budget_steps": 5, "ratio": 1.0}, "ratio must be more than 1; got 1.0"),
        ({"budget_steps": 5, "ratio": float("nan")}, "ratio must be more than 1; got nan"),
        ({"budget_steps": 5, "every": 0}, "every must be at least 1 step; got 0"),
    ],
)
def test_steps_out_of_range(arguments: dict[str, float], text: str) -> None:
    with pytest.raises(InputError, match=text):
        evaluation_steps(**arguments)  # pyright: ignore[reportArgumentType]


@settings(deadline=None)
@given(st.integers(1, 512), st.integers(1, 10000), st.integers(1, 50))
def test_an_epoch_budget_is_the_last_step_within_it(batch_size: int, num_examples: int, epochs: int) -> None:
    if epochs * num_examples < batch_size:
        with pytest.raises(InputError, match="allows no step"):
            budget_steps(batch_size, num_examples, epochs=epochs)
        return
    steps = budget_steps(batch_size, num_examples, epochs=epochs)
    assert batch_size * steps <= epochs * num_examples < batch_size * (steps + 1)


def test_budgets_by_hand() -> None:
    assert budget_steps(64, 55000, steps=100) == 100
    assert budget_steps(3, 30, epochs=0.1) == 1
    assert budget_steps(7, 10, epochs=1.4) == 2
    for both in ({}, {"steps": 1, "epochs": 1}):
        with pytest.raises(InputError, match="give either steps, epochs or tokens"):
            budget_steps(1, 1, **both)
