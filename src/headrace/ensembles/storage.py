"""Ensemble statistics as files, and the check that a state can be one before it is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict, Field, ValidationError
from torch import Tensor

from headrace import tensors
from headrace.ensembles.invariants import check_sums
from headrace.errors import InputError
from headrace.records import Record, first_finding

_KIND = "headrace"
_COUNTS = (torch.uint8, torch.int16, torch.int32)
_BALLOTS = (torch.int8, torch.int16, torch.int32, torch.int64)


class _State(Record):
    """The plain part of a state."""

    model_config = ConfigDict(strict=True)

    version: int
    num_examples: int = Field(ge=1)
    num_classes: int = Field(ge=1)
    multilabel: bool
    votes: bool
    coverage: dict[str, list[list[int]]]


def write(path: Path, state: dict[str, Any]) -> None:
    """Write what `state_dict` gave to one sealed file.

    Raises:
        StorageError: The file cannot be written; a former one is kept.
    """
    about = {key: value for key, value in state.items() if key != "tensors"}
    tensors.write(path, _KIND, state["tensors"], about)


def content(state: dict[str, Any]) -> bytes:
    """What `write` writes."""
    about = {key: value for key, value in state.items() if key != "tensors"}
    return b"".join(tensors.pieces(_KIND, state["tensors"], about))


def read(path: Path) -> dict[str, Any]:
    """What `write` wrote.

    Raises:
        InputError: The file is missing, or was not written by `write`.
        DamagedError: The file was truncated or altered.
    """
    found, about, _ = tensors.read(path, _KIND, "ensemble statistics")
    return {**about, "tensors": found}


def check(state: Mapping[str, Any]) -> None:
    """Refuse a state whose parts do not fit together, or that no members can have given.

    Raises:
        InputError: What does not fit.
    """
    try:
        plain = _State(**{key: value for key, value in state.items() if key != "tensors"})
    except ValidationError as error:
        raise InputError(
            f"the state of ensemble statistics cannot be used ({first_finding(error)})"
        ) from None
    except TypeError as error:
        raise InputError(f"the state of ensemble statistics cannot be used ({error})") from None
    size, classes = plain.num_examples, plain.num_classes
    pairs = [pair for pairs in plain.coverage.values() for pair in pairs]
    if any(len(pair) != 2 or not 0 <= pair[0] < pair[1] <= size for pair in pairs):
        raise InputError(f"members were counted for examples outside of 0..{size - 1}", where="coverage")
    found: dict[str, Tensor] = dict(state.get("tensors") or {})
    form: dict[str, tuple[tuple[int, ...], tuple[torch.dtype, ...]]] = {
        "probability_sum": ((size, classes), (torch.float64, torch.float32)),
        "entropy_sum": ((size,), (torch.float64,)),
        **dict.fromkeys(("members", "errors", "targeted"), ((size,), (torch.int32,))),
    }
    others = found.keys() - form.keys()
    if plain.votes and others == {"vote_counts"}:
        form["vote_counts"] = ((size, classes), _COUNTS)
    elif plain.votes:
        form |= {f"ballot_{slot}": ((size,), _BALLOTS) for slot in range(len(others))}
    for name, (shape, types) in form.items():
        value = found.get(name)
        if value is None or tuple(value.shape) != shape or value.dtype not in types:
            got = "nothing" if value is None else (tuple(value.shape), str(value.dtype))
            raise InputError(f"must be {types[0]} of shape {shape}", where=name, got=got)
    if found.keys() - form.keys():
        raise InputError("unknown tensors in the state", got=sorted(found.keys() - form.keys()))
    check_sums(found, plain.coverage.values(), classes, multilabel=plain.multilabel)
