"""What a model is given: one tensor, or dicts, lists and tuples of tensors with a row for each example."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def leaves(value: Any) -> Iterator[Tensor]:
    """The tensors in a tensor, or in nested dictionaries, lists and tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for key in value:
            yield from leaves(value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)


def mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same, each of its tensors changed; any mapping becomes a dict, and what is no tensor stays."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: mapped(value[key], change) for key in value}
    if isinstance(value, list | tuple):
        items = [mapped(item, change) for item in value]
        # Named tuples take their fields one by one.
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def moved(value: Any, device: torch.device | str) -> Any:
    """The same on a device."""
    return mapped(value, lambda values: values.to(device, non_blocking=True))


def rows(value: Any) -> int | None:
    """The number of examples: the rows of every tensor in it; None if these differ or there is no tensor."""
    found = {len(leaf) if leaf.dim() else None for leaf in leaves(value)}
    return found.pop() if len(found) == 1 else None
