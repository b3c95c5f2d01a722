"""What a training loop gives the sampler with a batch: indices, inputs and targets of any form, losses."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headrace.checks import array
from headrace.errors import InputError

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
_SINGLE = (str, bytes, bool, int, float, type(None))
"""What belongs to the whole batch, such as a flag for the model."""


def as_indices(indices: Any, num_examples: int) -> Tensor:
    """Example indices as an int64 tensor [batch]; on the host their range is checked.

    Raises:
        InputError: Not integers in one row, or out of range.
    """
    if not isinstance(indices, Tensor):
        indices = torch.from_numpy(array(indices, "indices", "one index per example", "whole numbers").copy())
    if indices.ndim != 1 or indices.dtype not in _INTEGERS:
        got = f"{indices.dtype} {tuple(indices.shape)}"
        raise InputError("must be a row of integers [batch]", where="indices", got=got)
    indices = indices.long()
    if indices.device.type == "cpu" and len(indices):
        plain = indices.detach().numpy()
        # A negative number is large without its sign.
        if np.maximum.reduce(plain.view(np.uint64)) >= num_examples:
            bad = plain[(plain < 0) | (plain >= num_examples)][0]
            raise InputError(f"must be from 0 to {num_examples - 1}", where="indices", got=int(bad))
    return indices


def device_of(value: Any, otherwise: torch.device) -> torch.device:
    """Where the first tensor of `value` is."""
    if isinstance(value, Tensor):
        return value.device
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    found = (device_of(part, otherwise) for part in parts if not isinstance(part, _SINGLE))
    return next(found, otherwise)


def rows(value: Any, places: Tensor, batch: int, where: str) -> Any:
    """The rows of `value` at `places`: of a tensor, or of every tensor in a dict, tuple or list.

    Numbers, text and None within a dict or tuple belong to the whole batch and stay; a list of other things
    has one for each example.

    Args:
        value: What a loader gave.
        places: Positions in the batch.
        batch: The examples of the batch.
        where: The name of the parameter.

    Raises:
        InputError: A value does not have one row per example, or cannot be indexed.
    """
    if isinstance(value, Tensor | np.ndarray):
        if value.ndim == 0 or len(value) != batch:
            got = tuple(value.shape)
            raise InputError(
                f"must have one row for each of the batch's {batch} examples", where=where, got=got
            )
        return value[places.to(value.device)] if isinstance(value, Tensor) else value[places.cpu().numpy()]
    if isinstance(value, Mapping):
        return _filled(
            value, {key: _part(part, places, batch, f"{where}[{key!r}]") for key, part in value.items()}
        )
    if (
        isinstance(value, list)
        and len(value) == batch
        and not any(isinstance(part, Tensor) for part in value)
    ):
        return [value[place] for place in places.tolist()]
    if isinstance(value, tuple | list):
        parts = [_part(part, places, batch, f"{where}[{place}]") for place, part in enumerate(value)]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    raise InputError(
        "cannot be indexed by example: a policy that chooses within batches needs a tensor, or a dict, tuple "
        "or list of tensors",
        where=where,
        got=type(value).__name__,
        fix="Give the model's inputs as tensors, and combine them in the model= function.",
    )


def check_candidates(indices: Tensor, outputs: Any, losses: Any) -> None:
    """`InputError` unless the losses are one number per candidate, and the outputs one row."""
    batch = len(indices)
    if not isinstance(outputs, Tensor) or outputs.ndim == 0 or len(outputs) != batch:
        got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise InputError(
            f"must be a tensor with one row for each of the {batch} candidates",
            where="outputs",
            got=got,
            fix="Give a function that returns the logits, such as lambda inputs: model(**inputs).logits.",
        )
    if not isinstance(losses, Tensor) or losses.shape != (batch,):
        got = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
        raise InputError(
            f"the loss must be one number for each of the {batch} candidates",
            where="losses",
            got="a scalar" if got == () else got,
            fix='Give a loss with reduction="none", such as nn.CrossEntropyLoss(reduction="none"); for '
            "losses per token give each document's mean over its counted tokens.",
        )


def check_finite_losses(losses: Tensor, indices: Tensor) -> None:
    """`InputError` if a loss on the host is NaN; checking a device would make the step wait."""
    if losses.device.type == "cpu" and losses.isnan().any():
        place = int(losses.isnan().nonzero()[0])
        raise InputError(
            f"the loss of example {int(indices[place])} is NaN", where="losses", got=float("nan")
        )


def _part(value: Any, places: Tensor, batch: int, where: str) -> Any:
    return value if isinstance(value, _SINGLE) else rows(value, places, batch, where)


def _filled(like: Mapping[Any, Any], entries: dict[Any, Any]) -> Any:
    """A mapping of the same type, as transformers' BatchEncoding, with these entries."""
    if type(like) is dict or not hasattr(like, "__setitem__"):
        return entries
    filled: Any = copy.copy(like)
    for key, entry in entries.items():
        filled[key] = entry
    return filled
