"""What can be wrong with an experiment before anything runs, each with where, what was got, and the fix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel, ValidationError

from headrace.errors import InputError
from headrace.experiments.checkpoints import shares
from headrace.experiments.policy_checks import policy_errors
from headrace.experiments.space import INTEGERS, Choices, Entry, Range
from headrace.experiments.subsets.names import is_built_in, is_file
from headrace.experiments.subsets.restriction import check_subset
from headrace.training import recipe

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from headrace.experiments.experiment import Experiment

_FORM = re.compile(r"(constrained-|tuple\[|list\[|function-)")
"""How pydantic names one of several forms of a value."""
_TAGS = ("range", "choices", "constant")


def input_errors(error: ValidationError, model: type[BaseModel]) -> list[InputError]:
    """Pydantic's findings as errors that a user can act on.

    Args:
        error: What was raised for `model`.
        model: The outermost table; its fields are the keys that may stand in the file.
    """
    # A list whose items are all wrong is told by its items, and not for being short of right ones as well.
    details = [d for d in error.errors() if not (d["type"] == "too_short" and d["input"])]
    places = [_dotted(_path(detail["loc"])) for detail in details]
    # Of several forms that a value may have, the one is told that came furthest.
    return [
        _input_error(detail, model)
        for detail, place in zip(details, places, strict=True)
        if not any(other.startswith((f"{place}[", f"{place}.")) for other in places)
    ]


def _input_error(detail: ErrorDetails, model: type[BaseModel]) -> InputError:
    path = _path(detail["loc"])
    where, message = _dotted(path), detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        return _unknown_key(path, model)
    if detail["type"] == "missing":
        return InputError("is missing", where=where, fix="Add it.")
    if detail["type"] == "string_pattern_mismatch":
        message, fix = "must be letters, digits and . _ + -, the first of them a letter or a digit", None
    elif detail["type"] in ("too_short", "tuple_type"):
        message, fix = "must be a list that is not empty", None
    else:
        message, fix = message[0].lower() + message[1:], None
    return InputError(message, where=where, got=detail["input"], fix=fix)


def _path(location: Iterable[int | str]) -> list[int | str]:
    """The keys as they stand in the file: pydantic's tags of entries to be tuned are left out."""
    keys = [key for key in location if isinstance(key, int) or not _FORM.match(key)]
    tag = {"space": 3, "policy": 4}.get(str(keys[1]), 0) if keys[:1] == ["search"] and len(keys) > 1 else 0
    return [key for i, key in enumerate(keys) if not (tag and i == tag and key in _TAGS)]


def _dotted(path: Iterable[int | str]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def _unknown_key(path: list[int | str], model: type[BaseModel]) -> InputError:
    key, known = str(path[-1]), _known_keys(path[:-1], model)
    fix = did_you_mean(key, known) if known else "Leave it out."
    return InputError(f"there is no key {key!r} here", where=_dotted(path), fix=fix)


def _known_keys(path: list[int | str], model: type[BaseModel]) -> list[str]:
    """The keys of the table at `path`; empty where any may stand."""
    if path[:2] in (["search", "space"], ["search", "policy"]) and len(path) > 2:
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


def did_you_mean(got: str, known: Iterable[str]) -> str:
    """The fix for an unknown word: the closest known one, and all of them."""
    names = [str(name) for name in known]
    close = get_close_matches(got, names, n=1)
    return (f"Did you mean {close[0]!r}? " if close else "") + f"Known: {', '.join(names)}."


def cross_checks(experiment: Experiment) -> list[InputError]:
    """What is wrong with tables that are each right by themselves; nothing that has no effect is accepted."""
    return [
        *_grid_errors(experiment),
        *_worker_errors(experiment),
        *_subset_errors(experiment),
        *policy_errors(experiment),
        *_space_errors(experiment),
        *_training_errors(experiment),
    ]


def _grid_errors(experiment: Experiment) -> Iterator[InputError]:
    grid = experiment.grid
    for optimizer in grid.optimizer:
        if optimizer not in recipe.OPTIMIZERS:
            yield InputError(
                "there is no such optimizer",
                where="grid.optimizer",
                got=optimizer,
                fix=did_you_mean(optimizer, recipe.HYPERPARAMETERS),
            )


def _worker_errors(experiment: Experiment) -> Iterator[InputError]:
    grid = experiment.grid
    for workers in grid.workers:
        too_small = [size for size in sorted(grid.batch_size) if size < workers]
        if too_small:
            yield InputError(
                f"more workers than examples in a batch of {', '.join(map(str, too_small))}",
                where="grid.workers",
                got=workers,
                fix="batch_size is that of all workers together: use larger batches, or fewer workers.",
            )


def _subset_errors(experiment: Experiment) -> Iterator[InputError]:
    grid, files = experiment.grid.subset, experiment.subsets
    for name in grid:
        if name not in files:
            try:
                check_subset(name)
            except InputError as error:
                yield error
    for name, path in files.items():
        where = f"subsets.{name}"
        if name not in grid:
            fix = did_you_mean(name, grid)
            yield InputError("has no effect: the subset is not in the grid", where=where, got=name, fix=fix)
        if is_built_in(name):
            yield InputError("this name is taken", where=where, got=name, fix="Choose another.")
        if not is_file(path):
            yield InputError("must be the path of a subset file (.parquet)", where=where, got=path)


def _space_errors(experiment: Experiment) -> Iterator[InputError]:
    space, schedule = experiment.search.space, experiment.training.schedule
    optimizers = [name for name in experiment.grid.optimizer if name in recipe.OPTIMIZERS]
    used = frozenset[str]().union(*(recipe.hyperparameters(name, schedule) for name in optimizers))
    for name, entry in space.items():
        where = f"search.space.{name}"
        if name not in recipe.RANGES:
            yield InputError(
                "there is no such hyperparameter", where=where, fix=did_you_mean(name, recipe.RANGES)
            )
            continue
        if optimizers and name not in used:
            yield InputError(
                f"has no effect with schedule {schedule!r} and optimizers {', '.join(optimizers)}",
                where=where,
                fix="Leave it out, or choose an optimizer or a schedule that uses it.",
            )
        yield from _domain_errors(where, name, entry)
    if "learning_rate" not in space:
        yield InputError("is missing", where="search.space.learning_rate", fix="Give its range or its value.")


def _domain_errors(where: str, name: str, entry: Entry) -> Iterator[InputError]:
    ends = {"low": entry.low, "high": entry.high} if isinstance(entry, Range) else {}
    values = entry.choices if isinstance(entry, Choices) else () if isinstance(entry, Range) else (entry,)
    for key, value in [
        *((f"{where}.{end}", value) for end, value in ends.items()),
        *((where, v) for v in values),
    ]:
        number = int(value) if name in INTEGERS and int(value) == value else value
        if number not in recipe.RANGES[name]:
            yield InputError(f"{name} must be {recipe.RANGES[name]}", where=key, got=value)


def _training_errors(experiment: Experiment) -> Iterator[InputError]:
    search, limit = experiment.search, experiment.search.limit
    taken = experiment.training.checkpoints
    if taken is not None and any(a >= b for a, b in pairwise(shares(taken))):
        yield InputError("must rise", where="training.checkpoints", got=list(shares(taken)))
    if limit < search.trials:
        yield InputError(f"must be at least trials = {search.trials}", where="search.max_trials", got=limit)
    microbatch = experiment.training.microbatch
    if microbatch is not None and microbatch >= max(experiment.grid.batch_size):
        yield InputError(
            f"has no effect: no batch size is larger than {microbatch}",
            where="training.microbatch",
            got=microbatch,
            fix="Leave it out.",
        )
