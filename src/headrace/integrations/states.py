"""States of any nesting as one sealed safetensors file: plain data in the header, tensors in the body."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from headrace import tensors

_KIND = "headrace.state"
_TENSOR = "$tensor"


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state, whole or not at all.

    Args:
        path: The file.
        state: Plain data (as JSON holds it) and tensors, in dicts and lists.

    Raises:
        StorageError: The file cannot be written.
    """
    held: dict[str, Tensor] = {}
    about = _without_tensors(state, held)
    tensors.write(path, _KIND, held, about)


def read(path: Path) -> dict[str, Any]:
    """The state that `write` wrote; tensors are on the host.

    Raises:
        InputError: The file is missing, or not such a state.
        DamagedError: It was truncated or altered.
    """
    held, about, _ = tensors.read(path, _KIND, "a state of a training")
    return _with_tensors(about, held)


def _without_tensors(value: Any, held: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(held))
        held[name] = value.detach().contiguous()
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        return {key: _without_tensors(part, held) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(part, held) for part in value]
    return value


def _with_tensors(value: Any, held: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_TENSOR}:
            return held[value[_TENSOR]]
        return {key: _with_tensors(part, held) for key, part in value.items()}
    return [_with_tensors(part, held) for part in value] if isinstance(value, list) else value
