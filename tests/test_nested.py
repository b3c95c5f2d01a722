"""Nested inputs: every tensor is found and changed, whatever holds it."""

from __future__ import annotations

from collections import OrderedDict, UserDict
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from headrace.nested import leaves, mapped, rows


class Batch(NamedTuple):
    ids: Tensor
    mask: Tensor


def _pair() -> tuple[Tensor, Tensor]:
    return torch.arange(3), torch.ones(3, 2)


HOLDERS = [
    _pair(),
    [*_pair()],
    Batch(*_pair()),
    dict(zip("ab", _pair(), strict=True)),
    OrderedDict(zip("ab", _pair(), strict=True)),
    UserDict(zip("ab", _pair(), strict=True)),
    {"inner": Batch(*_pair())},
    (Batch(*_pair()), 7, None),
]


@pytest.mark.parametrize("value", HOLDERS, ids=lambda value: type(value).__name__)
def test_every_tensor_is_found_and_changed(value: Any) -> None:
    assert rows(value) == 3
    changed = mapped(value, lambda tensor: 2 * tensor)
    before, after = [*leaves(value)], [*leaves(changed)]
    assert len(before) == len(after) == 2
    assert all(torch.equal(2 * one, other) for one, other in zip(before, after, strict=True))
    if isinstance(value, tuple):
        assert type(changed) is type(value)


def test_a_batch_of_a_named_tuple_keeps_its_names() -> None:
    changed = mapped(Batch(*_pair()), lambda tensor: tensor[:2])
    assert changed.ids.tolist() == [0, 1]
    assert changed.mask.shape == (2, 2)


def test_rows_that_differ_are_no_examples() -> None:
    assert rows((torch.ones(3), torch.ones(2))) is None
    assert rows((torch.ones(3), torch.tensor(1.0))) is None
    assert rows({}) is None
