"""Selections take what they choose by from anywhere, and choose the same; distances are taken where it is."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from functools import partial

import numpy as np
import pytest
import torch

from headrace import selection
from headrace.errors import InputError
from headrace.random import generator
from headrace.selection.testing import Pool, check_selection, random_pool
from selection.test_conformance import MOST, STRATEGIES

from .pretend import DEVICE, Pretend


def given_as(kind, pool: Pool) -> Pool:
    """The pool with every array as another kind."""
    return replace(pool, **{field.name: kind(getattr(pool, field.name)) for field in fields(pool)})


def on_device(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array).to(DEVICE)


KINDS = {
    "lists": lambda array: array.tolist(),
    "tensors": torch.tensor,
    "tensors with a gradient": lambda array: torch.tensor(array).requires_grad_(array.dtype.kind == "f"),
    "lists of tensors": lambda array: list(torch.tensor(array)),
    "tensors of the device": on_device,
    "lists of tensors of the device": lambda array: list(on_device(array)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_all_kinds_give_the_same_choice(name, kind, device):
    pool = random_pool()
    expected = STRATEGIES[name](pool, 9, generator(0, "rng"), None)
    candidates = np.array([23, 2, 5, 17, 11, 3, 8, 20])
    expected_of = STRATEGIES[name](pool, 4, generator(0, "rng"), candidates)
    given = given_as(KINDS[kind], pool)
    chosen = STRATEGIES[name](given, 9, generator(0, "rng"), None)
    assert (type(chosen), chosen.dtype) == (np.ndarray, np.int64)
    assert chosen.tolist() == expected.tolist()
    of = STRATEGIES[name](given, 4, generator(0, "rng"), KINDS[kind](candidates))
    assert of.tolist() == expected_of.tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("example", "feature", "value"), [(0, 2, np.nan), (3, 1, np.inf), (4, 0, -np.inf)])
def test_the_example_with_a_bad_feature_is_named(kind, example, feature, value, device):
    features = np.ones((5, 3))
    features[example, feature] = value
    with pytest.raises(InputError, match=f"features, example {example}: a feature is not finite"):
        selection.k_center(KINDS[kind](features), 2)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_contract_holds_on_the_device(name, device):
    def there(pool, count, rng, candidates):
        return STRATEGIES[name](given_as(on_device, pool), count, rng, candidates)

    check_selection(there, most=MOST.get(name))


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_device_without_float64_is_served_by_the_host(name, monkeypatch):
    monkeypatch.setattr("headrace.arrays.WITHOUT_FLOAT64", frozenset({DEVICE.type}))
    pool = random_pool()

    def single(array: np.ndarray) -> np.ndarray:
        return array.astype(np.float32) if array.dtype.kind == "f" else array

    with Pretend(float64=False):
        given = given_as(lambda array: on_device(single(array)), pool)
        chosen = STRATEGIES[name](given, 9, generator(0, "rng"), None)
    expected = STRATEGIES[name](given_as(single, pool), 9, generator(0, "rng"), None)
    assert chosen.tolist() == expected.tolist()


@pytest.mark.parametrize("initial", [[], [3], [0, 7, 31]])
def test_ties_are_broken_on_the_device_as_on_the_host(initial, device):
    """Points of a grid: their distances are whole numbers, and most of them tie."""
    grid = np.array([[i % 6, i // 6] for i in range(36)], dtype=np.float32)
    scores = np.arange(36) % 4.0
    where = {"initial": initial, "candidates": np.setdiff1d(np.arange(36), initial)}
    strategies = (selection.k_center, partial(selection.score_distance, scores))
    for choose, count in itertools.product(strategies, (1, 10, 36 - len(initial))):
        assert choose(on_device(grid), count, **where).tolist() == choose(grid, count, **where).tolist()


def test_the_device_is_waited_for_once_however_many_are_chosen(device):
    features = on_device(generator(0, "features").normal(size=(60, 4)))

    def waits(count: int) -> list[str]:
        before = len(device.waits)
        selection.k_center(features, count)
        return device.waits[before:]

    assert waits(40) == waits(2)


def test_half_precision_is_taken(device):
    features = torch.tensor(generator(0, "features").normal(size=(30, 4)))
    for dtype in (torch.bfloat16, torch.float16):
        rounded = features.to(dtype)
        expected = selection.k_center(rounded.double().numpy(), 12).tolist()
        assert selection.k_center(rounded, 12).tolist() == expected
        assert selection.k_center(rounded.to(DEVICE), 12).tolist() == expected
