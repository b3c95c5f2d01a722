"""Checks of the settings that a workload's function gets from an experiment file."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.errors import InputError


def integers(name: str, value: object) -> tuple[int, ...]:
    """`value` as whole numbers of at least 1, or an `InputError` naming the setting."""
    if isinstance(value, Sequence) and not isinstance(value, str) and all(_positive(item) for item in value):
        return tuple(value)
    raise InputError("a list of whole numbers of at least 1 is needed", where=_where(name), got=value)


def integer(name: str, value: object) -> int:
    """`value` as a whole number of at least 1, or an `InputError` naming the setting."""
    if isinstance(value, int) and _positive(value):
        return value
    raise InputError("a whole number of at least 1 is needed", where=_where(name), got=value)


def share(name: str, value: object) -> float:
    """`value` as a number from 0 up to but not including 1, or an `InputError` naming the setting."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1:
        return float(value)
    raise InputError("a number from 0 up to, not including, 1 is needed", where=_where(name), got=value)


def divides(part: str, divisor: int, whole: str, value: int) -> None:
    """Refuse a setting that does not divide another one, by an `InputError` naming both."""
    if value % divisor:
        raise InputError(f"must divide {whole} = {value}", where=_where(part), got=divisor)


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _where(name: str) -> str:
    return f"workload.settings.{name}"
