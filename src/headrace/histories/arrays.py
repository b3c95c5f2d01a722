"""The same arithmetic on NumPy arrays and on tensors.

On the host a history's arithmetic runs in NumPy on the tensors' memory while a batch is small, since
a NumPy call costs a third of torch's; large batches, and all on a device, run in torch. The two
libraries agree on operators, on indexing by arrays, and on the functions that are used here.

After a training step the caches hold the step's, so a small batch costs what its code costs to fetch, five
times what it costs again and again. Here and where these are used, NumPy is therefore entered by few
functions, the ones written in C: `ufunc.reduce` and not `sum`, which goes through Python.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from headrace.errors import InputError

SMALL = 1 << 15
"""Logits of a batch up to which NumPy is the faster one on the host."""

FEW = 64
"""Columns up to which a transposed copy pays."""

Array = Any
"""A NumPy array or a tensor; which one, all arguments of a call agree on."""


def as_device(device: Any) -> torch.device:
    """A device by its name.

    Raises:
        InputError: The device is unknown.
    """
    try:
        if isinstance(device, str | torch.device):
            return torch.device(device)
    except RuntimeError:
        pass
    raise InputError("must be a torch device, such as 'cpu' or 'cuda'", where="device", got=device)


@contextmanager
def allocating(num_examples: int, device: torch.device) -> Generator[None]:
    """A block that makes tensors of as many rows as there are examples.

    Raises:
        InputError: The device does not exist, or has not enough memory.
    """
    try:
        yield
    except (RuntimeError, AssertionError, MemoryError) as error:
        what = f"{num_examples} examples cannot be kept on {device}: {str(error).partition(chr(10))[0][:200]}"
        raise InputError(what, where="num_examples, device") from error


def namespace(array: Array) -> Any:
    """The library of an array: `numpy` or `torch`."""
    return np if isinstance(array, np.ndarray) else torch


def alike(array: Array, *tensors: torch.Tensor | None) -> tuple[Array, ...]:
    """Tensors as arrays of the library of `array`; if that is NumPy, they share the tensors' memory."""
    if not isinstance(array, np.ndarray):
        return tensors
    return tuple(None if tensor is None else tensor.numpy() for tensor in tensors)


def positions(array: Array, dtype: Literal["int32", "int64"] = "int64") -> Array:
    """0, 1, .. for each row of an array, where the array lives."""
    if isinstance(array, np.ndarray):
        return np.arange(len(array), dtype=dtype)
    return torch.arange(len(array), dtype=getattr(torch, dtype), device=array.device)


def highest(rows: Array) -> Array:
    """The largest of each column."""
    return np.maximum.reduce(rows, 0) if isinstance(rows, np.ndarray) else rows.amax(0)


def total(rows: Array) -> Array:
    """The sum of each column."""
    return np.add.reduce(rows, 0) if isinstance(rows, np.ndarray) else rows.sum(0)


def stacked(rows: tuple[Array, ...]) -> Array:
    """Rows of one length as one array, in the type of the first."""
    if isinstance(rows[0], np.ndarray):
        return np.array(rows, rows[0].dtype)
    return torch.stack([row.to(rows[0].dtype) for row in rows])


def differ(first: Array, second: Array) -> bool:
    """Whether two NumPy arrays of one type and shape hold different bytes."""
    return first.tobytes() != second.tobytes()


def upright(rows: Array) -> Array:
    """The transpose, [columns, rows]; copied where that makes NumPy fast.

    NumPy runs along the last axis in one go and stops at each of its ends: a last axis of ten classes,
    or of a handful of columns, costs far more than one as long as the batch.
    """
    if isinstance(rows, np.ndarray) and rows.shape[1] <= FEW:
        return rows.T.copy()
    return rows.T


def gathered(table: Array, index: Array) -> Array:
    """The rows of a table at an index, upright: [columns, batch]; a copy."""
    if isinstance(table, np.ndarray):
        return upright(table.take(index, 0))
    return table.index_select(0, index).T


def summed(slot: Array, terms: Array) -> Array:
    """For each entry the sum over all entries that share its slot.

    Args:
        slot: The slot of each entry, from 0 to batch - 1.
        terms: What is summed, [terms, batch].
    """
    if isinstance(terms, np.ndarray):
        sums = [np.bincount(slot, term, len(slot)) for term in terms]
        return np.array(sums, terms.dtype).take(slot, 1)
    return torch.zeros_like(terms).index_add_(1, slot, terms).index_select(1, slot)


def is_count(values: Shaped[Tensor, " values"]) -> Bool[Tensor, " values"]:
    """Which of these are finite whole numbers from 0."""
    return (values >= 0) & values.isfinite() & (values == values.floor())
