"""The same arithmetic on NumPy arrays and on tensors.

On the host a history's arithmetic runs in NumPy on the tensors' memory, since a NumPy call on a small
batch costs a third of torch's; on a device it runs in torch. The two libraries agree on operators, on
indexing by arrays, and on the functions that are used here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

Array = Any
"""A NumPy array or a tensor; which one, all arguments of a call agree on."""


def namespace(array: Array) -> Any:
    """The library of an array: `numpy` or `torch`."""
    return np if isinstance(array, np.ndarray) else torch


def alike(array: Array, *tensors: torch.Tensor | None) -> tuple[Array, ...]:
    """Tensors as arrays of the library of `array`; where that is NumPy, they share the tensors' memory."""
    if not isinstance(array, np.ndarray):
        return tensors
    return tuple(None if tensor is None else tensor.numpy() for tensor in tensors)


def positions(array: Array) -> Array:
    """0, 1, .. for each row of an array, as int64, where the array lives."""
    if isinstance(array, np.ndarray):
        return np.arange(len(array))
    return torch.arange(len(array), device=array.device)


def summed(slot: Array, terms: Array) -> Array:
    """For each row the sum of all rows that share its slot, without a loop over rows.

    Args:
        slot: The slot of each row, from 0 to rows - 1.
        terms: What is summed, [rows, columns].
    """
    if isinstance(terms, np.ndarray):
        sums = [np.bincount(slot, column, len(slot))[slot] for column in terms.T]
        return np.stack(sums, 1).astype(terms.dtype)
    return torch.zeros_like(terms).index_add_(0, slot, terms).index_select(0, slot)
