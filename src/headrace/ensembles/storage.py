"""One safetensors file, written whole and renamed into place, with plain data in the header."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from headrace.errors import DamagedError, InputError

_KEY = "headrace"


def write(path: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write `tensors`, with `state` (plain data) as JSON in the header.

    Args:
        path: The file; a former one is replaced at once or not at all.
        tensors: Name -> tensor, on any device.
        state: Plain data.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, part, metadata={_KEY: json.dumps(state)})
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write` wrote.

    Raises:
        InputError: The file is missing, or was not written by `write`.
        DamagedError: The file was truncated or its header altered.
    """
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(_KEY)
            if header is None:
                raise InputError("this safetensors file holds no ensemble statistics", where=str(path))
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(header)  # noqa: SIM118
    except SafetensorError as error:
        raise DamagedError(f"the file cannot be read ({error})", where=str(path)) from error
