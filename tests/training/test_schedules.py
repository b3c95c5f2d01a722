"""Learning-rate schedules against their published formulas and values by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.training.recipe import Recipe
from headrace.training.schedules import check_schedule, is_constant, learning_rate


def recipe(**changes: object) -> Recipe:
    return Recipe(**{"optimizer": "sgd", "learning_rate": 2.0, **changes})  # pyright: ignore[reportArgumentType]


def test_linear_decay_by_hand() -> None:
    linear = recipe(schedule="linear", end_factor=0.1, decay_fraction=0.5)
    rates = [learning_rate(linear, step, 20) for step in (0, 1, 5, 9, 10, 11, 19)]
    assert rates == pytest.approx([2.0, 1.82, 1.1, 0.38, 0.2, 0.2, 0.2], rel=1e-15)


@settings(deadline=None)
@given(
    st.floats(1e-4, 10),
    st.floats(0, 1),
    st.floats(0.5, 1),
    st.integers(1, 5000),
    st.integers(0, 6000),
)
def test_linear_decay_is_the_formula(lr0: float, alpha: float, share: float, budget: int, t: int) -> None:
    T = share * budget
    formula = lr0 - (1 - alpha) * lr0 * t / T if t <= T else alpha * lr0
    linear = recipe(schedule="linear", learning_rate=lr0, end_factor=alpha, decay_fraction=share)
    assert learning_rate(linear, t, budget) == pytest.approx(formula, rel=1e-9, abs=1e-12 * lr0)


def test_cosine_by_hand() -> None:
    cosine = recipe(schedule="cosine", end_factor=0.5)
    rates = [learning_rate(cosine, step, 8) for step in (0, 2, 4, 8, 9)]
    assert rates == pytest.approx([2.0, 1 + 0.5 * (1 + math.sqrt(0.5)), 1.5, 1.0, 1.0], rel=1e-15)


def test_warm_up_rises_linearly_and_the_decay_follows_it() -> None:
    assert [learning_rate(recipe(warmup_steps=3), step, 10) for step in range(5)] == pytest.approx(
        [0.5, 1.0, 1.5, 2.0, 2.0]
    )
    linear = recipe(schedule="linear", end_factor=0.0, warmup_steps=3)
    assert [learning_rate(linear, step, 7) for step in range(8)] == pytest.approx(
        [0.5, 1.0, 1.5, 2.0, 1.5, 1.0, 0.5, 0.0]
    )


def test_constant() -> None:
    assert {learning_rate(recipe(), step, 10) for step in range(10)} == {2.0}
    assert is_constant(recipe())
    assert not is_constant(recipe(warmup_steps=1))
    assert not is_constant(recipe(schedule="cosine"))


def test_a_warm_up_longer_than_the_decay_is_refused() -> None:
    long = recipe(schedule="linear", decay_fraction=0.5, warmup_steps=50)
    with pytest.raises(InputError, match="must end before step 50, the end of the decay; got 50"):
        check_schedule(long, 100)
    check_schedule(long, 101)
    with pytest.raises(InputError, match="must end before step 50, the end of the budget"):
        check_schedule(recipe(warmup_steps=50), 50)
