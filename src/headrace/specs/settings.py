"""What the settings of a workload may hold: what a file can keep, and find equal when it is read again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from typing import Any

from headrace.errors import InputError

_DEEPEST, _MOST = 20, 10_000
_OWN_FILE = "Keep the values in a file of your own, and give its name as a setting."
_LARGEST = 2**128


def settings_errors(settings: Mapping[str, Any], where: str) -> Iterator[InputError]:
    """The values that cannot be stored with a run, or not be compared with those of the next one.

    Args:
        settings: Name -> text, number, true or false, list or table.
        where: The key of the table, to name the settings by.
    """
    # A stack and no recursion: the nesting may be deeper than Python's own limit.
    waiting: list[tuple[str, int, Any]] = [(where, 0, settings)]
    seen = 0
    while waiting:
        place, depth, value = waiting.pop()
        if isinstance(value, Mapping | list | tuple):
            seen += len(value)
            if depth == _DEEPEST:
                yield InputError(f"is nested more than {_DEEPEST} deep", where=place, fix=_OWN_FILE)
            elif seen > _MOST:
                yield InputError(f"must have at most {_MOST:,} values", where=where, fix=_OWN_FILE)
                return
            else:
                waiting += [(key, depth + 1, item) for key, item in reversed(_entries(value, place))]
        elif (error := _value_error(value, place)) is not None:
            yield error


def _entries(value: Mapping[str, Any] | Sequence[Any], where: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(f"{where}.{key}", item) for key, item in value.items()]
    return [(f"{where}[{index}]", item) for index, item in enumerate(value)]


def _value_error(value: object, where: str) -> InputError | None:
    if isinstance(value, bool | str):
        return None
    if isinstance(value, int):
        if abs(value) < _LARGEST:
            return None
        return InputError("must have at most 128 bits", where=where, got=value, fix="Write it as text.")
    if isinstance(value, float):
        what = "must be a number: nan equals nothing, so no later run would be found to be the same"
        return InputError(what, where=where, got=value, fix="Leave it out.") if math.isnan(value) else None
    if isinstance(value, date | time):
        fix = f'Write it as text: "{value.isoformat()}".'
        return InputError("cannot be a date or a time", where=where, got=value.isoformat(), fix=fix)
    return InputError("must be text, a number, true or false, a list or a table", where=where, got=value)
