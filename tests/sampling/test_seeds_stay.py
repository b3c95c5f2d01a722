"""What a seed gives is what it gave: the streams' names, their order, and every constant of the draws.

A training that is resumed, or made again, by a later version must be fed the same.
"""

from __future__ import annotations

import zlib
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from headrace.policies import POLICIES
from headrace.policies.testing import fingerprints
from headrace.random import generator
from headrace.sampling import ExampleSampler, partition, shuffled_batches
from headrace.sampling.draws import (
    _SCATTERED_FROM as SCATTERED,
)
from headrace.sampling.draws import (
    draw_with_replacement,
    draw_without_replacement,
    permutation,
    shuffle,
)

WEIGHTS = np.array([0.5, 3.0, 0.0, 1.0, 20.0, 0.1, 1.5, 2.0])


def number(*values: object) -> int:
    """A number for lists of whole numbers."""
    return zlib.crc32(repr(values).encode())


def sampled(**settings: object) -> list[list[int]]:
    sampler = ExampleSampler(40, **settings)
    return [
        [int(i) for item in sampler for i in (item if isinstance(item, list) else [item])] for _ in range(3)
    ]


KEPT: dict[str, Any] = {
    "independent draws": [
        6,
        1,
        7,
        4,
        4,
        4,
        4,
        3,
        6,
        4,
        7,
        6,
        4,
        4,
        4,
        4,
        4,
        0,
        4,
        4,
        4,
        4,
        7,
        4,
        4,
        4,
        4,
        7,
        4,
        4,
        7,
        4,
        3,
        6,
        4,
        4,
        4,
        4,
        4,
        4,
    ],
    "many draws": 3163570003,
    "systematic draws": [
        4,
        4,
        4,
        4,
        4,
        6,
        4,
        4,
        1,
        4,
        6,
        4,
        4,
        4,
        4,
        4,
        4,
        4,
        4,
        7,
        4,
        4,
        4,
        1,
        4,
        4,
        3,
        1,
        0,
        3,
        4,
        4,
        4,
        7,
        4,
        4,
        4,
        6,
        1,
        4,
    ],
    "without replacement": [0, 7, 4, 1, 6],
    "in order": [4, 0, 6, 7, 1],
    "a permutation": [9, 5, 1, 3, 7, 0, 4, 10, 8, 11, 2, 6],
    "a random partition": [[1, 7, 4], [2, 0, 5], [6, 3]],
    "single examples": 2362855444,
    "batches": 2362855444,
    "even batches of a rank": 4072602807,
    "a large shuffle": 1077014805,
    "weights": [4, 4, 6, 3, 4, 4, 7, 4],
    "shuffled batches": 392986898,
}

KEPT_POLICIES = {
    "shuffle": 1650979315,
    "uniform": 2596081955,
    "sample-difficulty": 3448641247,
    "sample-easiness": 3760806566,
    "sample-prediction-variance": 1636757380,
    "sample-threshold-closeness": 1626096283,
    "importance-difficulty": 2189885115,
    "importance-easiness": 2283575482,
    "importance-prediction-variance": 2501616674,
    "importance-threshold-closeness": 1881287207,
    "weight-difficulty": 4207919672,
    "weight-easiness": 657091356,
    "weight-prediction-variance": 577901695,
    "weight-threshold-closeness": 3481233326,
    "sample": 3448641247,
    "importance-sample": 2189885115,
    "weight": 4207919672,
    "gradient-norm": 3179354363,
    "selective-backprop": 1176393973,
    "online-batch-selection": 639538017,
    "rho-loss": 388722320,
    "infobatch": 4177456983,
    "recency-bias": 3564805838,
    "self-paced": 4292531955,
    "focal": 975268845,
    "rs2": 4200522196,
    "partition-stripes": 1650979315,
    "partition-blocks": 1650979315,
    "partition-random": 1358873107,
}

FOUND = {
    "independent draws": lambda: draw_with_replacement(WEIGHTS, 40, generator(1, "draws")).tolist(),
    "many draws": lambda: number(
        draw_with_replacement(np.arange(1, 3000.0) ** 2, 200_000, generator(1, "many")).tolist()
    ),
    "systematic draws": lambda: draw_with_replacement(
        WEIGHTS, 40, generator(1, "draws"), systematic=True
    ).tolist(),
    "without replacement": lambda: draw_without_replacement(WEIGHTS, 5, generator(1, "draws")).tolist(),
    "in order": lambda: draw_without_replacement(WEIGHTS, 5, generator(1, "draws"), ordered=True).tolist(),
    "a permutation": lambda: permutation(12, generator(1, "order")).tolist(),
    "a random partition": lambda: [p.tolist() for p in partition(WEIGHTS, 3, "random", seed=2, interval=1)],
    "single examples": lambda: number(sampled(seed=5)),
    "batches": lambda: number(sampled(seed=5, batch_size=7)),
    "even batches of a rank": lambda: number(
        sampled(seed=5, batch_size=7, last="even", rank=1, world_size=3)
    ),
    "weights": lambda: list(ExampleSampler(WEIGHTS, seed=5))[:8],
    "a large shuffle": lambda: zlib.crc32(shuffle(np.arange(SCATTERED), generator(1, "large")).data),
    "shuffled batches": lambda: number(
        [batch.indices.tolist() for batch in islice(shuffled_batches(9, 4, seed=3, path=("x",)), 7)]
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_draws_of_a_seed_stay(name: str) -> None:
    assert FOUND[name]() == KEPT[name]


def policies() -> dict[str, int]:
    """A number for the order, the weights to five digits, and a choice, of every policy."""
    torch.manual_seed(0)
    found = fingerprints({name: {"always": True} if name == "gradient-norm" else {} for name in POLICIES})
    return {
        name: number(order, [f"{weight:.5g}" for weight in weights], choice)
        for name, (order, weights, choice) in found.items()
    }


def test_epochs_of_every_policy_stay() -> None:
    assert policies() == KEPT_POLICIES
