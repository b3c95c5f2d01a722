"""What every part of this room does with probabilities: read, check, take entropies, walk in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from headrace.errors import InputError

BLOCK_ELEMENTS = 1 << 18
"""Elements worked on at a time: temporaries stay in the cache, and there is enough for several threads."""

_TOLERANCES = {torch.float16: 1e-2, torch.bfloat16: 1e-2}
_TOLERANCE = 1e-4


def as_tensor(array: Any) -> Tensor:
    """A tensor of `array`, sharing its memory where that is possible; never written to."""
    if isinstance(array, Tensor):
        return array.detach()
    values = np.asarray(array)
    if not values.flags.writeable or any(stride < 0 for stride in values.strides):
        values = values.copy()
    return torch.from_numpy(values)


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
    return _entropies(probabilities)[0]


def bernoulli_entropies(probabilities: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
    """-sum_c [p_c ln p_c + (1 - p_c) ln(1 - p_c)] in nats, of each row: one yes-or-no question a class."""
    return entropies(probabilities) + entropies((1 - probabilities).clamp_min_(0))


def _entropies(probabilities: Float[Tensor, "batch classes"]) -> tuple[Float[Tensor, " batch"], bool]:
    """`entropies`, and whether some number was not positive (or NaN), found without a look at them all."""
    products = log(probabilities).mul_(probabilities)
    sums = row_sums(products)
    # 0 ln 0 came out as NaN; mending it only where there is a zero spares the others a pass.
    odd = bool(sums.max().isnan())
    return -(row_sums(products.nan_to_num_(nan=0.0)) if odd else sums), odd


def check_shape(probabilities: Tensor, num_classes: int, where: str) -> None:
    """Refuse anything that is not floating [batch, num_classes]."""
    if not probabilities.is_floating_point():
        raise InputError("probabilities must be floating-point numbers", where=where, got=probabilities.dtype)
    shape = tuple(probabilities.shape)
    if len(shape) != 2 or shape[1] != num_classes:
        raise InputError(
            f"probabilities must have the shape [batch, {num_classes}], the same classes for every member",
            where=where,
            got=shape,
        )


def checked_entropies(
    probabilities: Float[Tensor, "batch classes"],
    dtype: torch.dtype,
    *,
    first: int,
    where: str,
    multilabel: bool,
) -> Float[Tensor, " batch"]:
    """The entropies of rows of which nothing is known, in one pass over them.

    Refused are NaN, numbers outside 0..1, and (unless `multilabel`) rows that do not sum to one.

    Args:
        probabilities: One row an example.
        dtype: float64 or float32, in which the entropies are taken.
        first: The index of the first row's example, for the message.
        where: The member, for the message.
        multilabel: Whether each class is a question of its own: rows need not sum to one, and the entropies
            are `bernoulli_entropies`.

    Raises:
        InputError: Names the member, the first bad example, and what was got there.
    """
    values = probabilities.to(dtype)
    tolerance = _TOLERANCES.get(probabilities.dtype, _TOLERANCE)
    # A NaN makes the minimum and every comparison with it false.
    if multilabel:
        good = bool(values.min() >= 0) and bool(values.max() <= 1)
        result = bernoulli_entropies(values)
    else:
        result, odd = _entropies(values)
        # The logarithm of a negative number is NaN: only where there was one need all be looked at.
        positive = not odd or bool(values.min() >= 0)
        low, high = (float(bound) for bound in row_sums(values).aminmax())
        good = positive and low >= 1 - tolerance and high <= 1 + tolerance
    if not good:
        _raise_first_bad(values, tolerance, first=first, where=where, multilabel=multilabel)
    return result


def _raise_first_bad(rows: Tensor, tolerance: float, *, first: int, where: str, multilabel: bool) -> None:
    sums = row_sums(rows)
    outside = ~((rows >= 0) & (rows <= 1 + tolerance)).all(1)
    bad = outside if multilabel else outside | ~((sums - 1).abs() <= tolerance)
    row = int(bad.nonzero()[0, 0])
    place = f"{where}, example {first + row}"
    if bool(rows[row].isnan().any()):
        raise InputError("a probability is NaN", where=place, got=rows[row].tolist()[:8])
    if bool(outside[row]):
        value = next(float(v) for v in rows[row] if not 0 <= float(v) <= 1 + tolerance)
        raise InputError(
            "a probability is outside 0..1", where=place, got=value, fix="Give probabilities, not logits."
        )
    raise InputError(
        "the probabilities do not sum to one",
        where=place,
        got=float(sums[row]),
        fix="Give softmax outputs; independent yes-or-no classes need multilabel=True.",
    )
