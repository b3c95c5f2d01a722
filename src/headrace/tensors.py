"""Sealed tensors: safetensors files with plain data in the header and a checksum over all of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor

from headrace.errors import DamagedError, InputError
from headrace.files import writing

_SUM = "sha256"
_CHECKPOINT = "headrace.checkpoint"
_ALTERED = "the contents do not match their checksum: the file was altered"
_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.complex64: "C64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write(path: Path, kind: str, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and plain data to one safetensors file, in little memory besides the tensors.

    Args:
        path: The file; a former one is replaced at once or not at all.
        kind: The key in the header that distinguishes such files from others.
        tensors: Name -> tensor, on any device.
        about: Plain data, as JSON can hold it.

    Raises:
        StorageError: The file cannot be written.
    """
    with writing(path) as file:
        for piece in pieces(kind, tensors, about):
            file.write(piece)


def pieces(
    kind: str, tensors: Mapping[str, Tensor], about: Mapping[str, Any]
) -> Iterator[bytes | memoryview]:
    """The content of the file that `write` writes: its header, then the tensors one by one.

    The library writes only to a path and through a temporary name of its own, so the header is laid out
    here: https://github.com/huggingface/safetensors, "Format".
    """
    unknown = {value.dtype for value in tensors.values()} - _TYPES.keys()
    if unknown:
        raise InputError("tensors of this type cannot be stored", where=kind, got=str(unknown.pop()))
    # Wide types first, so that every tensor begins at a multiple of its item size.
    ordered = dict(sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])))
    metadata = {kind: json.dumps(about), _SUM: _sum(ordered, about)}
    header: dict[str, object] = {"__metadata__": metadata}
    start = 0
    for name, value in ordered.items():
        stop = start + value.numel() * value.element_size()
        header[name] = {
            "dtype": _TYPES[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [start, stop],
        }
        start = stop
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for value in ordered.values():
        yield _bytes(value)


def read(path: Path, kind: str, what: str) -> tuple[dict[str, Tensor], dict[str, Any], bool]:
    """What `write` wrote: the tensors, the plain data, and whether they were sealed.

    A file from before there were seals is returned too; its reader checks what it can.

    Args:
        path: The file.
        kind: As given to `write`.
        what: Such a file holds, for the message, such as "a history".

    Raises:
        InputError: The file is missing, or holds something else.
        DamagedError: The file was truncated or altered.
    """
    if not path.is_file():
        raise InputError("the file does not exist", where=str(path), fix="Check the path.")
    tensors, metadata = _loaded(path)
    if kind not in metadata:
        raise InputError(f"a safetensors file, but not {what}", where=str(path))
    about = _plain(metadata[kind])
    checksum = metadata.get(_SUM)
    if about is None or metadata.keys() - {kind, _SUM} or checksum not in (None, _sum(tensors, about)):
        raise DamagedError(_ALTERED, where=str(path))
    return tensors, about, checksum is not None


def checkpoint(state: Mapping[str, Tensor]) -> bytes:
    """A model's weights as the content of a sealed safetensors file."""
    return b"".join(pieces(_CHECKPOINT, state, {}))


def read_checkpoint(path: Path, *, sha256: str | None = None) -> dict[str, Tensor]:
    """The weights in a safetensors file of any origin; those that `checkpoint` sealed are checked.

    Args:
        path: The file.
        sha256: Of the whole file, if only that content is accepted; the bytes checked are those used.

    Raises:
        DamagedError: It cannot be read, was sealed and altered, or has another checksum.
    """
    if sha256 is not None:
        return _exactly(path, sha256)
    tensors, metadata = _loaded(path)
    if _CHECKPOINT in metadata and metadata.get(_SUM) != _sum(tensors, {}):
        raise DamagedError(_ALTERED, where=str(path))
    return tensors


def _exactly(path: Path, sha256: str) -> dict[str, Tensor]:
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DamagedError("the weights are not those that were kept or named before", where=str(path))
        return load(content)
    except (SafetensorError, OSError) as error:
        raise DamagedError(f"not a whole safetensors file ({error})", where=str(path)) from error


def _loaded(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise DamagedError(f"not a whole safetensors file ({error})", where=str(path)) from error


def _plain(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _sum(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> str:
    found = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        found.update(f"{name}:{tensors[name].dtype}{list(tensors[name].shape)}".encode())
        found.update(_bytes(tensors[name]))
    return found.hexdigest()


def _bytes(value: Tensor) -> memoryview:
    """A tensor's bytes; without a copy if it is contiguous and on the host."""
    return value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data
