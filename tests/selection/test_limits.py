"""What is refused begins where the documentation says: at the edge it is taken, a step beyond it is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headrace import selection
from headrace.errors import InputError
from headrace.random import generator
from headrace.selection.testing import random_pool

POOL = random_pool()
SETTINGS = {
    "drop_hardest": (
        lambda value: selection.stratified(POOL.scores, 1, generator(0), drop_hardest=value),
        [0, 0.5, 0.95],
        [-0.01, 1, 1.01, 1.5, -1],
    ),
    "strata": (
        lambda value: selection.stratified(POOL.scores, 3, generator(0), strata=value),
        [1, 2, 10**6],
        [0, -1, 1.5],
    ),
    "exponent": (
        lambda value: selection.power(POOL.scores, 3, generator(0), exponent=value),
        [0, 0.5, 100],
        [-0.01, -0.5, -1],
    ),
    "configurations": (
        lambda value: selection.batch_bald(POOL.member_probabilities, 3, generator(0), configurations=value),
        [1, 2],
        [0, -1, 2.5],
    ),
    "scores": (
        lambda value: selection.power([1.0, value, 1.0], 1, generator(0)),
        [0, 1e-300],
        [-1e-300, -0.5, -1],
    ),
    "classes": (lambda value: selection.class_balanced([1, 2], [value, 3], 1), [0, 7], [-1, -2, 0.5]),
    "candidates": (
        lambda value: selection.top_k(POOL.scores, 1, candidates=[5, value, 4]),
        [0, 1, 23],
        [-1, -24, 24, 5, 4],
    ),
    "initial": (lambda value: selection.k_center(POOL.features, 1, initial=[value]), [0, 23], [-1, 24]),
    "count": (lambda value: selection.top_k(POOL.scores, value, candidates=[9, 5, 7]), [0, 1, 3], [-1, 4]),
    "probabilities": (
        lambda value: selection.badge([[0.25, 0.75], [0.25, value]], np.eye(2), 1, generator(0)),
        [0.75, 0.75 + 0.9e-4, 0.75 - 0.9e-4, 0.75 + 0.6e-4],
        [0.75 + 1.1e-4, 0.75 - 1.1e-4, 0.76, 1.75, 0, -0.75],
    ),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_are_taken_up_to_their_edges_and_refused_beyond(setting):
    call, taken, refused = SETTINGS[setting]
    for value in taken:
        call(value)
    for value in [*refused, math.nan, math.inf, None, "x"]:
        with pytest.raises(InputError, match=setting):
            call(value)


def test_shares_that_sum_to_one_may_be_zero_but_not_negative():
    assert selection.badge([[0.0, 1.0], [1.0, 0.0]], np.eye(2), 2, generator(0)).tolist() == [0, 1]
    with pytest.raises(InputError, match="example 1"):
        selection.badge([[0.0, 1.0], [-1e-9, 1.0]], np.eye(2), 1, generator(0))
    with pytest.raises(InputError, match="example 1, member 0"):
        selection.batch_bald([[[0, 1.0], [-0.1, 1.1]], [[0, 1.0], [0, 1.0]]], 1, generator(0))


def test_one_class_is_refused_and_two_are_enough():
    selection.batch_bald(np.full((1, 1, 2), 0.5), 1, generator(0))
    selection.badge(np.full((1, 2), 0.5), np.ones((1, 1)), 1, generator(0))
    for call in (
        lambda: selection.badge(np.ones((3, 1)), np.ones((3, 1)), 1, generator(0)),
        lambda: selection.batch_bald(np.ones((3, 3, 1)), 1, generator(0)),
    ):
        with pytest.raises(InputError, match="classes"):
            call()


@pytest.mark.parametrize("shape", [(6,), (6, 2, 2), ()])
def test_features_have_two_axes(shape):
    with pytest.raises(InputError, match=r"features.*examples, features"):
        selection.k_center(np.zeros(shape), 1)


def test_the_first_fault_is_named():
    """Of several, neither at the beginning nor at the end."""
    with pytest.raises(InputError, match=r"scores, example 2: .*got nan"):
        selection.top_k([1, 1, math.nan, math.inf, -math.inf, 1], 1)
    with pytest.raises(InputError, match=r"scores, example 2: .*got -2"):
        selection.power([1, 1, -2, -3, -4, 1], 1, generator(0))
    with pytest.raises(InputError, match="an index is given twice; got 3"):
        selection.top_k(np.ones(9), 1, candidates=[1, 3, 7, 3, 7, 8, 0])
    with pytest.raises(InputError, match="got -5"):
        selection.top_k(np.ones(9), 1, candidates=[3, -2, -5, 1])
    with pytest.raises(InputError, match="got 12"):
        selection.top_k(np.ones(9), 1, candidates=[3, 10, 12, 11])
    p = np.full((3, 5, 2), 0.5)
    p[1:, 2:4] = 0.4
    with pytest.raises(InputError, match="example 2, member 1"):
        selection.batch_bald(p, 1, generator(0))
