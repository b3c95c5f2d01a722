"""How a subset grows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.random import generator
from headrace.search.growing import add, choose, empty
from headrace.specs.methods import Select

SCORES = np.array([0.1, 0.9, 0.5, 0.7, 0.3])
CLASSES = np.array([0, 0, 0, 0, 1])


def grown(chosen: list[int]):
    return add(empty(5), np.array(chosen), 0, None)


def pick(growing, count: int, choose_from: str = "remainder", name: str = "top_k") -> list[int]:
    select = Select.model_validate({"name": name})
    chosen = choose(
        growing, SCORES, count, generator(0), select=select, choose_from=choose_from, classes=CLASSES
    )
    return [int(index) for index in chosen]


def test_the_remainder_gives_the_highest_that_are_left() -> None:
    assert pick(grown([1, 4]), 2) == [3, 2]


def test_the_pool_gives_the_highest_again_and_they_gain_weight() -> None:
    growing = grown([1, 4])
    chosen = pick(growing, 2, "pool")
    assert chosen == [1, 3]
    after = add(growing, np.array(chosen), 1, SCORES)
    assert after.indices.tolist() == [1, 3, 4]
    assert after.weights.tolist() == [2, 1, 1]
    assert after.rounds[after.indices].tolist() == [0, 1, 0]
    assert after.fresh.tolist() == [3]
    assert after.size == 4
    assert np.isnan(after.scores[[1, 4]]).all()
    assert after.scores[3] == 0.7


def test_class_balanced_takes_the_rare_class() -> None:
    assert sorted(pick(grown([0]), 2, name="class_balanced")) == [1, 4]


def test_more_than_are_left_is_an_error() -> None:
    with pytest.raises(InputError, match="there are 3 candidates"):
        pick(grown([1, 4]), 4)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4, unique=True), st.sampled_from(["top_k", "power"]))
def test_nothing_is_altered_and_nothing_is_chosen_twice_from_the_remainder(
    first: list[int], name: str
) -> None:
    growing = grown(first)
    before = growing.times.copy()
    chosen = pick(growing, 5 - len(first), name=name)
    after = add(growing, np.array(chosen), 1, SCORES)
    assert (growing.times == before).all()
    assert (after.times == 1).all()
