"""What a seed selects stays what it was: a search that is run again finds the same subset."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from headrace import selection
from headrace.random import generator

SCORES = np.array([37 * i % 101 for i in range(40)]) / 101
FEATURES = np.sin(np.outer(np.arange(1, 41), [1.0, 2.3, 0.7]))
MEMBERS = np.stack(
    [(1.5 + np.sin(np.outer(np.arange(1, 41), [m, m + 0.9, 2.1 * m]))) for m in (1.0, 1.7, 2.9)]
)
MEMBERS /= MEMBERS.sum(2, keepdims=True)

CHOICES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "power": lambda rng: selection.power(SCORES, 6, rng=rng),
    "stratified": lambda rng: selection.stratified(SCORES, 9, rng=rng, strata=4),
    "badge": lambda rng: selection.badge(MEMBERS.mean(0), FEATURES, 6, rng=rng),
    "batch_bald": lambda rng: selection.batch_bald(MEMBERS, 5, rng=rng, configurations=8),
}
CHOSEN = {
    "power": [2, 30, 32, 35, 37, 5],
    "stratified": [24, 29, 3, 14, 1, 28, 7, 34, 15],
    "badge": [1, 10, 23, 28, 20, 18],
    "batch_bald": [10, 2, 31, 18, 1],
}


@pytest.mark.parametrize("name", CHOICES)
def test_what_a_seed_selects_stays(name: str) -> None:
    assert CHOICES[name](generator(0, "stays", name)).tolist() == CHOSEN[name]
