"""From the labels that users have to class numbers, int64 from 0; anything else is refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from headrace import checks
from headrace.arrays import unmasked
from headrace.errors import InputError

_TEXTS = (
    "names, targets = numpy.unique(labels, return_inverse=True) gives class numbers, and names for classes=."
)


def class_numbers(targets: Any, where: str, *, named: bool = False) -> Int64[Tensor, " examples"]:
    """Class numbers from an array of whole numbers of any type, shape [examples] or [examples, 1].

    Args:
        targets: A tensor, an array, a list or a column of a table.
        where: Names the targets in errors.
        named: Whether the classes have names. Without names, numbers that begin at 1 or higher, or of
            which fewer than half occur, are refused: they number something else.

    Raises:
        InputError: Texts, real numbers, NaN, negative numbers, more than one number for an example, or too
            few of the numbers occur.
    """
    values = _one_column(_as_array(targets, where), where)
    if values.dtype.kind == "f":
        _check_whole(values, where)
    numbers = values.astype(np.int64)
    check_counted_from_0(numbers, where)
    if not named:
        _check_used(numbers, where)
    return torch.from_numpy(numbers)


def check_counted_from_0(numbers: Int64[np.ndarray, " examples"], where: str) -> None:
    """Refuse negative class numbers: labels that are hidden or ignored, or -1 for no.

    Raises:
        InputError: Names the first such number and its place.
    """
    if not len(numbers) or numbers.min() >= 0:
        return
    first = int((numbers < 0).argmax())
    if set(np.unique(numbers).tolist()) == {-1, 1}:
        fix = "Use (targets + 1) // 2 for labels -1 and 1."
    else:
        fix = f"Leave out the {int((numbers < 0).sum())} examples without a label."
    raise InputError(
        f"class numbers are counted from 0; number {first} is {int(numbers[first])}", where=where, fix=fix
    )


def check_classes(classes: Any) -> None:
    """Refuse what is not names of classes: different texts in a tuple or a list, or None.

    Raises:
        InputError: Names the first that is not a text, or occurs twice.
    """
    if classes is None:
        return
    checks.instance(classes, (tuple, list), "classes", "a tuple of texts, the name of each class")
    for number, name in enumerate(classes):
        checks.text(name, f"classes[{number}]")
        if name in classes[:number]:
            raise InputError("two classes have the same name", where=f"classes[{number}]", got=name)


def check_named(numbers: Int64[np.ndarray, " examples"], classes: Sequence[str] | None, where: str) -> None:
    """Refuse class numbers beyond the names of the classes, if there are names.

    Raises:
        InputError: Names the first such number and its place.
    """
    if classes is None or not len(numbers) or numbers.max() < len(classes):
        return
    first = int((numbers >= len(classes)).argmax())
    raise InputError(
        f"there are {len(classes)} names of classes, and number {first} of the class numbers is "
        f"{int(numbers[first])}",
        where=where,
        fix=f"Class numbers must be from 0 to {len(classes) - 1}.",
    )


def _as_array(targets: Any, where: str) -> np.ndarray:
    try:
        values = (
            targets.detach().cpu().numpy() if isinstance(targets, Tensor) else np.asarray(unmasked(targets))
        )
    except ValueError:
        raise InputError("targets must be class numbers, one per example", where=where, got=targets) from None
    if values.dtype.kind == "O" and all(isinstance(value, int | float) for value in values.flat):
        values = np.array(values.tolist())
    if values.dtype.kind in "biuf":
        return values
    other = next((value for value in values.flat if not isinstance(value, int | float)), None)
    plain = other.item() if isinstance(other, np.generic) else other
    raise InputError(
        "targets must be class numbers", where=where, got=f"{type(plain).__name__} {plain!r:.40}", fix=_TEXTS
    )


def _one_column(values: np.ndarray, where: str) -> np.ndarray:
    if values.ndim == 2 and values.shape[1] == 1:
        return values[:, 0]
    if values.ndim == 1:
        return values
    raise InputError(
        "targets must be one class number for each example, shape [examples]",
        where=where,
        got=values.shape,
        fix="Use targets.argmax(1) for one-hot targets; for several labels per example or for masks give a "
        "Workload with a loss and a metric of its own.",
    )


def _check_whole(values: np.ndarray, where: str) -> None:
    wrong = ~np.isfinite(values) | (values != np.round(values)) | (np.abs(values) > 2**53)
    if not wrong.any():
        return
    first = int(wrong.argmax())
    missing = np.isnan(values[first])
    raise InputError(
        f"targets must be class numbers; targets[{first}] is {values[first]:.6g}",
        where=where,
        fix=f"Leave out the {int(np.isnan(values).sum())} examples without a target."
        if missing
        else "For regression give a Workload with a loss and a metric of its own, such as squared_error.",
    )


def _check_used(numbers: Int64[np.ndarray, " examples"], where: str) -> None:
    if not len(numbers):
        return
    used = np.unique(numbers)
    low, high = int(used[0]), int(used[-1])
    if low > 0 and len(used) == high - low + 1:
        fix = f"Use targets - {low}, or name the classes by classes=(...)."
    elif low > 0 or 2 * len(used) <= high:
        fix = "names, targets = numpy.unique(targets, return_inverse=True) numbers them from 0."
    else:
        return
    raise InputError(
        "class numbers are counted from 0, one after the other",
        where=where,
        got=f"{len(used)} classes from {low} to {high}",
        fix=fix,
    )
