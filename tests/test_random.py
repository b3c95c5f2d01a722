"""Named streams: the same name gives the same stream, and no two names share one."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from headrace import random

NAMES = st.one_of(st.integers(0, 2**31), st.text(min_size=0, max_size=8))
PATHS = st.lists(NAMES, max_size=4).map(tuple)


@given(st.integers(0, 2**40), PATHS, PATHS)
def test_streams_differ_exactly_when_their_paths_do(seed: int, one: tuple, other: tuple) -> None:
    draws = [random.generator(seed, *path).integers(2**63, size=4).tolist() for path in (one, other)]
    assert (draws[0] == draws[1]) == (one == other)


def test_a_number_and_its_text_are_different_names() -> None:
    assert random.integer_seed(0, 1) != random.integer_seed(0, "1")


def test_five_seeds_and_twenty_epochs_give_a_hundred_orders() -> None:
    """`seed + epoch` gives 24."""
    orders = {
        tuple(random.generator(seed, "order", epoch).permutation(50))
        for seed in range(5)
        for epoch in range(20)
    }
    assert len(orders) == 100


def test_a_stream_does_not_depend_on_the_process() -> None:
    code = "from headrace import random; print(random.integer_seed(3, 'order', 7))"
    seen = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert seen == {f"{random.integer_seed(3, 'order', 7)}\n"}


def test_torch_stream_leaves_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()
    with random.torch_stream(0, "init"):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)
    torch.rand(5)
    with random.torch_stream(0, "init"):
        assert torch.equal(torch.rand(3), first)


def test_torch_generator_is_named_too() -> None:
    def draw(*path: str) -> list[float]:
        return torch.rand(3, generator=random.torch_generator(0, *path)).tolist()

    assert draw("a") == draw("a") != draw("b")
