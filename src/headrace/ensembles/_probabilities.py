"""What every part of this room does with probabilities: read, check, take entropies, walk in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from headrace.arrays import for_torch, on_host
from headrace.errors import InputError

BLOCK_ELEMENTS = 1 << 18
"""Elements worked on at a time: temporaries stay in the cache, and there is enough for several threads."""

_EXACT = 1e-4
"""A row's sum may be off one by this much, and the row is taken as it is."""
_ROUNDED = 1e-2
"""A row's sum may be off one by this much, as half precision or two to four decimals leave it."""
_ROUNDED_ONE = 1e-6
"""A single number may be outside 0..1 by this much."""


def as_tensor(array: Any) -> Tensor:
    """A tensor of `array`, sharing its memory if possible; never written to.

    Raises:
        InputError: Not an array of numbers, or some of them are masked.
    """
    if isinstance(array, Tensor):
        return array.detach()
    return torch.from_numpy(for_torch(on_host(array)))


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of at most `BLOCK_ELEMENTS` elements (one row at the least) that cover `rows`."""
    step = max(1, BLOCK_ELEMENTS // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def row_sums(values: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
    """The sum of each row, as a product with ones: for few classes twice as fast as a reduction."""
    return values @ torch.ones(values.shape[1], dtype=values.dtype, device=values.device)


def log(values: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes"]:
    """Natural logarithms, which are most of the work here: on the host by NumPy, twice as fast as torch."""
    if values.device.type != "cpu":
        return values.log()
    with np.errstate(divide="ignore", invalid="ignore"):
        return torch.from_numpy(np.log(values.numpy()))


def winners(probabilities: Float[Tensor, "batch classes"]) -> Int64[Tensor, " batch"]:
    """The most probable class of each row, the first where several tie; on the host by NumPy, like `log`."""
    half = probabilities.dtype not in (torch.float32, torch.float64)
    values = probabilities.float() if half else probabilities
    return torch.from_numpy(values.numpy().argmax(1)) if values.device.type == "cpu" else values.argmax(1)


def equal(
    first: Float[Tensor, "batch classes"], second: Float[Tensor, "batch classes"]
) -> Bool[Tensor, "batch classes"]:
    """Where two arrays are equal; on the host by NumPy, like `log`, for the types that it has."""
    if first.device.type != "cpu" or first.dtype == torch.bfloat16:
        return first == second
    return torch.from_numpy(np.equal(first.numpy(), second.numpy()))


def entropies(probabilities: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
    """H(p) = -sum_c p_c ln p_c in nats, of each row; 0 ln 0 = 0."""
    return _entropies(probabilities)[0].clamp_min_(0)


def bernoulli_entropies(probabilities: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
    """-sum_c [p_c ln p_c + (1 - p_c) ln(1 - p_c)] in nats, of each row: one yes-or-no question a class."""
    return entropies(probabilities) + entropies((1 - probabilities).clamp_min_(0))


def _entropies(probabilities: Float[Tensor, "batch classes"]) -> tuple[Float[Tensor, " batch"], bool]:
    """`entropies`, and whether some number was not positive (or NaN), found without a look at them all."""
    products = log(probabilities).mul_(probabilities)
    sums = row_sums(products)
    # 0 ln 0 came out as NaN; repairing it only if there is a zero spares the others a pass.
    odd = bool(sums.max().isnan())
    # Not a minus sign: the entropy of a certain row is 0, not -0.
    return 0 - (row_sums(products.nan_to_num_(nan=0.0)) if odd else sums), odd


def check_shape(probabilities: Tensor, num_classes: int, where: str) -> None:
    """Refuse anything that is not floating [batch, num_classes]."""
    if not probabilities.is_floating_point():
        raise InputError(
            "probabilities must be floating-point numbers",
            where=where,
            got=probabilities.dtype,
            fix="Give them as floats; divide percentages by 100.",
        )
    shape = tuple(probabilities.shape)
    if len(shape) != 2 or shape[1] != num_classes:
        one = num_classes == 2 and shape in (shape[:1], (*shape[:1], 1))
        raise InputError(
            f"probabilities must have the shape [batch, {num_classes}], the same classes for every member",
            where=where,
            got=shape,
            fix="Give torch.stack([1 - p, p], 1) for the probability p of the second class." if one else None,
        )


@dataclass(frozen=True)
class Checked:
    """Rows of probabilities that may be counted.

    Attributes:
        entropies: Of each row, never negative [batch].
        repaired: The rows with those brought to a sum of one that rounding had moved; None if there are none.
    """

    entropies: Float[Tensor, " batch"]
    repaired: Float[Tensor, "batch classes"] | None = None


def checked(
    probabilities: Float[Tensor, "batch classes"],
    dtype: torch.dtype,
    *,
    first: int,
    where: str,
    multilabel: bool,
) -> Checked:
    """The entropies of unchecked rows, in one pass over them if no row needs a repair.

    Rows whose sum is off one by more than `_EXACT` and at most `_ROUNDED`, as after half precision or a few
    decimals, are divided by it; numbers below 0 or (with `multilabel`) above 1 by at most `_ROUNDED_ONE` are
    clipped. A row's result does not depend on the others.

    Args:
        probabilities: One row per example.
        dtype: float64 or float32, in which the entropies are taken.
        first: The index of the first row's example, for the message.
        where: The member, for the message.
        multilabel: Whether each class is a question of its own: rows need not sum to one, and the entropies
            are `bernoulli_entropies`.

    Raises:
        InputError: NaN, numbers outside 0..1, or rows that do not sum to one; names the member, the first bad
            example, and what was got there.
    """
    values = probabilities.to(dtype)
    # A NaN makes the minimum and every comparison with it false.
    if multilabel:
        result = bernoulli_entropies(values)
        good = bool(values.min() >= 0) and bool(values.max() <= 1)
    else:
        result, odd = _entropies(values)
        # The logarithm of a negative number is NaN: only where there was one need all be looked at.
        positive = not odd or bool(values.min() >= 0)
        low, high = (float(bound) for bound in row_sums(values).aminmax())
        good = positive and low >= 1 - _EXACT and high <= 1 + _EXACT
    if good:
        return Checked(result.clamp_min_(0))
    repaired = _repaired(values, first=first, where=where, multilabel=multilabel)
    fresh = bernoulli_entropies(repaired) if multilabel else _entropies(repaired)[0]
    return Checked(fresh.clamp_min_(0), repaired)


def _repaired(values: Tensor, *, first: int, where: str, multilabel: bool) -> Float[Tensor, "batch classes"]:
    """The rows without the traces of rounding."""
    most = 1 + (_ROUNDED_ONE if multilabel else _ROUNDED)
    outside = ~((values >= -_ROUNDED_ONE) & (values <= most)).all(1)
    clipped = values.clamp(0, 1) if multilabel else values.clamp_min(0)
    off = torch.zeros_like(clipped[:, 0]) if multilabel else (row_sums(clipped) - 1).abs()
    bad = outside | ~(off <= _ROUNDED)
    if bool(bad.any()):
        row = int(bad.nonzero()[0, 0])
        raise _refusal(values[row], f"{where}, example {first + row}", outside=bool(outside[row]))
    return torch.where((off > _EXACT)[:, None], clipped / row_sums(clipped)[:, None], clipped)


def _refusal(row: Float[Tensor, " classes"], where: str, *, outside: bool) -> InputError:
    """What is wrong with a row, and what it seems to be instead."""
    total = float(row.sum())
    if bool(row.isnan().any()):
        return InputError("a probability is NaN", where=where, got=row.tolist()[:8])
    if not outside:
        return InputError(
            "the probabilities do not sum to one",
            where=where,
            got=total,
            fix="Give softmax outputs, or renormalise: p / p.sum(1, keepdims=True); independent yes-or-no "
            "classes need multilabel=True.",
        )
    fix = "Give probabilities, not logits: softmax(logits)."
    if bool((row >= 0).all()) and abs(total - 100) < 1:
        fix = "Divide percentages by 100."
    elif bool((row <= 0).all()) and abs(float(row.exp().sum()) - 1) < _ROUNDED:
        fix = "These are log-probabilities: give their exp()."
    value = next(float(v) for v in row if not -_ROUNDED_ONE <= float(v) <= 1 + _ROUNDED_ONE)
    return InputError("a probability is outside 0..1", where=where, got=value, fix=fix)
