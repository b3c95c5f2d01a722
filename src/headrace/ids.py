"""What users call their examples: rows, paths or keys, as well as indices that count within a training set.

Headrace counts the examples of a training set from 0. After a split that Headrace drew, these indices are its
own: nobody else can find out which picture they mean. So a data set may carry ids, and whenever an example is
named to a person or in a file, its id is the name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped

from headrace.errors import InputError

Id = int | str
Ids = Shaped[np.ndarray, " examples"]
"""Int64, or texts as objects; each differs from all others."""

LARGEST = 2**53
"""Spreadsheets and browsers round larger integers to others."""


def checked(given: object, examples: int, *, where: str) -> Ids:
    """Ids as an array, one per example.

    Args:
        given: A sequence, array, tensor or column of integers or of texts, each different [examples].
        examples: How many there must be.
        where: Whose they are, for the message.

    Returns:
        Int64, or texts as objects [examples].

    Raises:
        InputError: They are of another kind, their number is wrong, or two are equal.
    """
    where = f"{where}, ids"
    values = _listed(given, where)
    if len(values) != examples:
        raise InputError(
            f"there must be one id per example, so {examples:,}", where=where, got=f"{len(values):,} ids"
        )
    whole = all(isinstance(v, int | np.integer) and not isinstance(v, bool) for v in values)
    if not whole and not all(isinstance(v, str) for v in values):
        kinds = sorted({type(value).__name__ for value in values})
        raise InputError(
            "ids must be integers, or texts, all of one kind",
            where=where,
            got=", ".join(kinds),
            fix="For example [str(one) for one in ids].",
        )
    _check_values(values, where)
    return np.array(values, dtype=np.int64) if whole else _texts(values)


def _listed(given: object, where: str) -> list[Any]:
    """The values of a sequence, an array, a tensor or a column."""
    plain: Any = given.tolist() if hasattr(given, "tolist") else given  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(plain, Iterable) and not isinstance(plain, str | bytes):
        return list(plain)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise InputError("ids must be a list with one id per example", where=where, got=type(given).__name__)


def _check_values(values: list[Any], where: str) -> None:
    seen: dict[Any, int] = {}
    for place, value in enumerate(values):
        if isinstance(value, str):
            _check_text(value, f"{where}[{place}]")
        elif abs(int(value)) > LARGEST:
            raise InputError(
                "integers as ids must be at most 2 to the power of 53, because other programs round larger "
                "ones",
                where=f"{where}[{place}]",
                got=int(value),
                fix="Give all ids as texts.",
            )
        if (before := seen.setdefault(value, place)) != place:
            what = f"two examples must not have the same id, but {before} and {place} have"
            raise InputError(what, where=where, got=value)


def _check_text(value: str, where: str) -> None:
    if not value:
        raise InputError("an id must not be empty", where=where, got=value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError("an id must be text that UTF-8 can hold", where=where, got=value) from None


def _texts(values: list[str]) -> Ids:
    found = np.empty(len(values), dtype=object)
    found[:] = [str(value) for value in values]
    return found


def name(ids: Ids | None, index: int) -> Id:
    """What the example with this index is called: its id, or the index itself if there are none."""
    if ids is None:
        return index
    return int(ids[index]) if ids.dtype.kind == "i" else str(ids[index])


def names(ids: Ids | None, indices: Int64[np.ndarray, " some"]) -> list[Id]:
    """`name` of several examples."""
    return (indices if ids is None else ids[indices]).tolist()
