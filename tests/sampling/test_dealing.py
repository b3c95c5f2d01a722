"""Batches that are dealt to workers with examples of their own, and rows of what a loader gave."""

from __future__ import annotations

from collections import OrderedDict, UserDict
from types import MappingProxyType

import pytest
import torch

from headrace.errors import InputError
from headrace.policies import make_policy
from headrace.sampling import ExampleSampler
from headrace.sampling.narrowing import rows


@pytest.mark.parametrize(("examples", "workers", "least"), [(10, 3, 5), (12, 3, 3), (11, 2, 3), (10, 1, 1)])
def test_endless_batches_hold_an_example_of_every_worker(examples: int, workers: int, least: int) -> None:
    def sampler(batch_size: int) -> ExampleSampler:
        policy = make_policy("partition-random")
        return ExampleSampler(examples, policy=policy, batch_size=batch_size, workers=workers)

    assert len(next(sampler(least).batches())) == least
    if least > workers:
        with pytest.raises(InputError, match=f"{workers} workers .* need batches of at least {least}"):
            next(sampler(least - 1).batches())


@pytest.mark.parametrize("kind", [dict, OrderedDict, UserDict, MappingProxyType])
def test_rows_of_a_mapping_are_one_of_its_kind(kind: type) -> None:
    """As transformers' BatchEncoding; one that cannot be filled becomes a dict."""
    given = kind({"inputs": torch.arange(6).reshape(3, 2), "task": "name"})
    found = rows(given, torch.tensor([2, 0]), 3, "inputs")
    assert type(found) is (dict if kind is MappingProxyType else kind)
    assert (found["inputs"].tolist(), found["task"]) == ([[4, 5], [0, 1]], "name")
    assert given["inputs"].shape == (3, 2)
