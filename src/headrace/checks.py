"""Checks of arguments where they are given: one function per kind, which returns the value or raises.

NumPy's numbers are taken as Python's if that is exact: an integer of any width is a whole number, a
float is not, and a truth value is neither. What is returned is Python's own. The caller's arrays are never
changed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any, Literal, TypeVar

import numpy as np

from headrace.arrays import on_host
from headrace.errors import InputError

Kind = TypeVar("Kind")

LARGEST = (1 << 63) - 1
"""No count or index is larger: NumPy and torch keep them in 64 bits."""


def whole(value: Any, where: str, *, least: int | None = None, most: int | None = LARGEST) -> int:
    """A whole number within bounds.

    Args:
        value: What was given.
        where: The name of the parameter.
        least: The smallest number that is accepted.
        most: The largest number that is accepted.

    Raises:
        InputError: Another type, or out of bounds.
    """
    try:
        number = None if _is_flag(value) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise InputError(f"must be a whole number{_span(least or None, most)}", where=where, got=value)
    if (least is not None and number < least) or (most is not None and number > most):
        what = (
            "must not be negative"
            if (least, most) == (0, LARGEST)
            else f"must be{_span(least, most).removeprefix(' of')}"
        )
        raise InputError(what, where=where, got=number)
    return number


def _span(least: int | None, most: int | None) -> str:
    """In words: of at least 1; of 2 to 256."""
    if most is None or most == LARGEST:
        return "" if least is None else f" of at least {least}"
    return f" of at most {most}" if least is None else f" of {least} to {most}"


def number(
    value: Any,
    where: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    fix: str | None = None,
) -> float:
    """A finite number within bounds; `least` and `most` are within them, `above` and `below` are not.

    Raises:
        InputError: Another type, NaN, infinite, or out of bounds.
    """
    taken = math.nan if _is_flag(value) or not isinstance(value, int | float | np.number) else _float(value)
    inside = (
        math.isfinite(taken)
        and (least is None or taken >= least)
        and (above is None or taken > above)
        and (most is None or taken <= most)
        and (below is None or taken < below)
    )
    if inside:
        return taken
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (("at least", least), ("above", above), ("at most", most), ("below", below))
        if bound is not None
    ]
    what = " ".join(["must be a finite number", " and ".join(bounds)]).rstrip()
    raise InputError(what, where=where, got=value, fix=fix)


def text(value: Any, where: str) -> str:
    """Text.

    Raises:
        InputError: Anything else.
    """
    return instance(value, str, where, "text")


def instance(value: Any, kind: type[Kind] | tuple[type[Kind], ...], where: str, of: str) -> Kind:
    """A value of one type.

    Args:
        value: What was given.
        kind: The type.
        where: The name of the parameter.
        of: The type in words.

    Raises:
        InputError: Another type.
    """
    if isinstance(value, kind):
        return value
    raise InputError(f"must be {of}", where=where, got=value)


def flag(value: Any, where: str) -> bool:
    """True or False.

    Raises:
        InputError: Anything else, 0 and 1 included.
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise InputError("must be True or False", where=where, got=value)


def choice(value: Any, where: str, options: Iterable[str]) -> str:
    """One of a few words.

    Raises:
        InputError: Anything else.
    """
    known = tuple(options)
    if isinstance(value, str) and value in known:
        return value
    *first, last = (repr(option) for option in known)
    raise InputError(f"must be {', '.join(first)} or {last}", where=where, got=value)


def generator(value: Any, where: str = "rng") -> np.random.Generator:
    """A NumPy generator.

    Raises:
        InputError: Anything else.
    """
    if isinstance(value, np.random.Generator):
        return value
    raise InputError(
        "must be a numpy.random.Generator",
        where=where,
        got=value,
        fix='Give headrace.random.generator(seed, "a name").',
    )


def numeric(value: Any, where: str, of: str, *, ndim: int = 1, kinds: str = "biuf") -> np.ndarray:
    """Numbers as a NumPy array of their own type; the caller's own if it is one.

    Args:
        value: A list, an array, or a tensor of any device.
        where: The name of the parameter.
        of: What there must be, as in "one number per example".
        ndim: The number of axes.
        kinds: NumPy's letters of the types that are accepted.

    Raises:
        InputError: Not an array, text, complex numbers, other axes.
    """
    try:
        given = on_host(value)
    except (ValueError, TypeError, OverflowError, RuntimeError):
        raise InputError(f"must be {of}", where=where, got=value) from None
    if given.dtype.kind not in kinds and not (given.size == 0 and given.dtype == np.float64):
        whole_only = " of whole numbers" if kinds == "iu" else " of numbers"
        got = value if given.ndim == 0 else f"{given.dtype} {given.shape}"
        fix = "Use np.flatnonzero of a mask." if given.dtype == bool else None
        raise InputError(f"must be {of}, an array{whole_only}", where=where, got=got, fix=fix)
    if given.ndim != ndim:
        raise InputError(f"must be {of}", where=where, got=value if given.ndim == 0 else given.shape)
    return given


def array(
    value: Any, where: str, of: str, kind: Literal["numbers", "whole numbers"] = "numbers", ndim: int = 1
) -> np.ndarray:
    """Numbers as a NumPy array of float64, or of int64, see `numeric`; the caller's own if it is one.

    Raises:
        InputError: As for `numeric`; integers beyond 64 bits.
    """
    if kind == "numbers":
        with np.errstate(over="ignore"):
            return numeric(value, where, of, ndim=ndim).astype(np.float64, copy=False)
    given = numeric(value, where, of, ndim=ndim, kinds="iu")
    if given.dtype == np.uint64 and given.size and given.max() > LARGEST:
        raise InputError(f"must be at most {LARGEST}", where=where, got=int(given.max()))
    return given.astype(np.int64, copy=False)


def finite(values: np.ndarray, where: str, one: str = "example") -> np.ndarray:
    """The same array.

    Raises:
        InputError: A number in it is NaN or infinite; its place is named.
    """
    bad = ~np.isfinite(values)
    if bad.any():
        first = int(np.flatnonzero(bad.reshape(len(values), -1).any(1))[0])
        got = float(values[bad][0])
        raise InputError(f"the value of {one} {first} is not finite", where=where, got=got)
    return values


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool | np.bool_) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool")


def _float(value: Any) -> float:
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        return math.nan
