"""Batches of shuffled epochs: exact sizes, equal counts, and streams with names."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.random import generator
from headrace.sampling.batches import Batch, shuffled_batches


def take(num_examples: int, batch_size: int, count: int, seed: int = 0) -> list[Batch]:
    return list(islice(shuffled_batches(num_examples, batch_size, seed=seed, path=("trial", 3)), count))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 12))
def test_batches_are_the_joined_permutations_cut(num_examples: int, batch_size: int, count: int) -> None:
    batches = take(num_examples, batch_size, count)
    needed = batch_size * count
    epochs = range(-(-needed // num_examples))
    expected = np.concatenate(
        [generator(0, "trial", 3, "order", epoch).permutation(num_examples) for epoch in epochs]
    )[:needed]
    assert all(len(batch) == batch_size for batch in batches)
    assert torch.cat([batch.indices for batch in batches]).tolist() == expected.tolist()
    assert [batch.epoch for batch in batches] == [i * batch_size // num_examples for i in range(count)]


def test_seeds_and_paths_give_different_orders() -> None:
    first, again, other = (take(50, 50, 1, seed)[0].indices for seed in (0, 0, 1))
    assert first.equal(again)
    assert not first.equal(other)
    elsewhere = next(shuffled_batches(50, 50, seed=0, path=("trial", 4)))
    assert not first.equal(elsewhere.indices)


def test_indices_are_int64_and_weights_are_absent() -> None:
    batch = take(5, 3, 1)[0]
    assert batch.indices.dtype == torch.int64
    assert batch.weights is None


@pytest.mark.parametrize(
    ("num_examples", "batch_size", "named"), [(0, 1, "num_examples"), (5, 0, "batch_size")]
)
def test_sizes_must_be_positive(num_examples: int, batch_size: int, named: str) -> None:
    with pytest.raises(InputError, match=rf"{named}: must be at least 1; got 0"):
        shuffled_batches(num_examples, batch_size, seed=0, path=())
