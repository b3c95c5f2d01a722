"""What pydantic found wrong with a file, in words that a user can act on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel, ValidationError

from headrace.errors import InputError, did_you_mean
from headrace.printable import brief
from headrace.specs.limits import Refusal
from headrace.specs.space import Choices, Range

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_FORM = re.compile(r"(constrained-|tuple\[|list\[|function-)")
"""How pydantic names one of several forms of a value."""
_TAGS = ("range", "choices", "constant")
_MOST_GUESSES = 100
"""Of how many errors the key that was meant is looked for."""


def input_errors(error: ValidationError, model: type[BaseModel]) -> list[InputError]:
    """Pydantic's findings as errors that a user can act on.

    Args:
        error: What was raised for `model`.
        model: The outermost table; its fields are the keys that the file may have.
    """
    # A list whose items are all wrong is reported by its items, not for being short of right ones as well.
    details = [d for d in error.errors(include_url=False) if not (d["type"] == "too_short" and d["input"])]
    paths = [tuple(_path(detail["loc"])) for detail in details]
    within = {path[:length] for path in paths for length in range(len(path))}
    # Of several forms that a value may have, the one is reported that came furthest.
    furthest = [(d, path) for d, path in zip(details, paths, strict=True) if path not in within]
    return [
        _input_error(detail, path, model if place < _MOST_GUESSES else None)
        for place, (detail, path) in enumerate(furthest)
    ]


def _input_error(
    detail: ErrorDetails, path: Sequence[int | str], model: type[BaseModel] | None
) -> InputError:
    where, kind, fix = _dotted(path), detail["type"], None
    if kind == "extra_forbidden":
        return _unknown_key(path, model)
    if kind == "missing":
        return InputError("is missing", where=where, fix="Add it.")
    if kind == "string_pattern_mismatch":
        message = "must be letters, digits and . _ + -, the first of them a letter or a digit"
    elif kind in ("too_short", "tuple_type"):
        message = "must be a list that is not empty"
    else:
        message = detail["msg"].removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        refusal = detail.get("ctx", {}).get("error")
        fix = refusal.fix if isinstance(refusal, Refusal) else None
    return InputError(message, where=where, got=detail["input"], fix=fix)


def _path(location: Iterable[int | str]) -> list[int | str]:
    """The keys as they are in the file, without pydantic's tags of entries that are tuned."""
    keys = [key for key in location if isinstance(key, int) or not _FORM.match(key)]
    tag = {"space": 3, "policy": 4}.get(str(keys[1]), 0) if keys[:1] == ["search"] and len(keys) > 1 else 0
    return [key for i, key in enumerate(keys) if not (tag and i == tag and key in _TAGS)]


def _dotted(path: Iterable[int | str]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def _unknown_key(path: Sequence[int | str], model: type[BaseModel] | None) -> InputError:
    key, known = str(path[-1]), [] if model is None else _known_keys(path[:-1], model)
    fix = did_you_mean(key, known) if known else "Leave it out."
    return InputError(f"unknown key {brief(key)}", where=_dotted(path), fix=fix)


def _known_keys(path: Sequence[int | str], model: type[BaseModel]) -> list[str]:
    """The keys of the table at `path`; empty if any are allowed."""
    if tuple(path[:2]) in (("search", "space"), ("search", "policy")) and len(path) > 2:
        return [*Range.model_fields, *Choices.model_fields]
    for key in (key for key in path if isinstance(key, str)):
        field = model.model_fields.get(key)
        tables = [] if field is None else list(_tables(field.annotation))
        if not tables:
            return []
        model = tables[0]
    return list(model.model_fields)


def _tables(annotation: object) -> Iterator[type[BaseModel]]:
    """The tables within an annotation such as `Table | None` or a list of tables."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _tables(inner)
