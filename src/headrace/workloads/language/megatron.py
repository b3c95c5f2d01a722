"""Megatron's token files: `NAME.bin` holds the numbers, `NAME.idx` where sequences and documents begin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from headrace.errors import InputError
from headrace.workloads.language.corpus import Corpus
from headrace.workloads.language.mapped import map_numbers

_MAGIC, _VERSION, _HEADER = b"MMIDIDX\x00\x00", 1, 34
_TYPES = {1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 8: "uint16"}
"""Code in the index -> the type of the tokens; 6 and 7 are real numbers, which are no tokens."""


@dataclass(frozen=True, kw_only=True)
class _Index:
    dtype: np.dtype[Any]
    sizes: Int64[np.ndarray, " sequences"]
    pointers: Int64[np.ndarray, " sequences"]
    documents: Int64[np.ndarray, " edges"]


def read_megatron(prefix: Path | str, *, vocabulary: int | None = None) -> Corpus:
    """The tokens and documents of `prefix.bin` and `prefix.idx`; the tokens are mapped into memory.

    Args:
        prefix: The files' path without `.bin` and `.idx`.
        vocabulary: How many different tokens there are. None: as many as occur.

    Raises:
        InputError: A file cannot be read, the index is of another kind or cut, or does not fit the tokens.
    """
    prefix = Path(str(prefix).removesuffix(".bin").removesuffix(".idx"))
    index, binary = Path(f"{prefix}.idx"), Path(f"{prefix}.bin")
    read = _read_index(index)
    tokens, release = map_numbers(binary, read.dtype)
    _check_fit(read, index, binary, len(tokens))
    edges = np.r_[0, read.sizes.cumsum()][read.documents]
    documents = np.stack([edges[:-1], edges[1:]], axis=1)
    return Corpus(
        tokens=tokens, vocabulary=vocabulary, documents=documents, release=release, where=str(binary)
    )


def _read_index(path: Path) -> _Index:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"the index cannot be read: {error}", where=str(path)) from error
    if content[:9] != _MAGIC or len(content) < _HEADER:
        got = content[:9] if len(content) >= _HEADER else f"{len(content)} bytes"
        raise InputError("is not an index of Megatron's (MMIDIDX)", where=f"{path}, byte 0", got=got)
    version = int.from_bytes(content[9:17], "little")
    if version != _VERSION:
        raise InputError("only version 1 of the index is read", where=f"{path}, byte 9", got=version)
    if content[17] not in _TYPES:
        raise InputError("tokens must be whole numbers", where=f"{path}, byte 17", got=f"type {content[17]}")
    sequences, edges = (int.from_bytes(content[at : at + 8], "little") for at in (18, 26))
    ends = np.cumsum([_HEADER, 4 * sequences, 8 * sequences, 8 * edges]).tolist()
    if len(content) not in (ends[-1], ends[-1] + sequences):  # with a mode per sequence, or without
        raise InputError(
            f"the index is cut: {sequences:,} sequences and {edges:,} edges take {ends[-1]:,} bytes",
            where=f"{path}, byte {min(len(content), ends[-1]):,}",
            got=f"{len(content):,} bytes",
            fix="Write it again.",
        )
    return _Index(
        dtype=np.dtype(_TYPES[content[17]]),
        sizes=np.frombuffer(content[ends[0] : ends[1]], "<i4").astype(np.int64),
        pointers=np.frombuffer(content[ends[1] : ends[2]], "<i8").astype(np.int64),
        documents=np.frombuffer(content[ends[2] : ends[3]], "<i8").astype(np.int64),
    )


def _check_fit(index: _Index, path: Path, binary: Path, tokens: int) -> None:
    """Refuse an index that says something else than the tokens."""
    starts = np.r_[0, index.sizes.cumsum()]
    fix = "Give the index and the tokens of one run of Megatron's preprocessing."
    if (index.sizes < 0).any() or (index.pointers != starts[:-1] * index.dtype.itemsize).any():
        wrong = (index.sizes < 0) | (index.pointers != starts[:-1] * index.dtype.itemsize)
        raise InputError(
            "sequences do not follow each other", where=f"{path}, sequence {int(wrong.argmax()):,}", fix=fix
        )
    if int(starts[-1]) != tokens:
        raise InputError(
            f"the index says {int(starts[-1]):,} tokens of type {index.dtype.name}",
            where=str(binary),
            got=f"{tokens:,} tokens",
            fix=fix,
        )
    edges = index.documents
    rises = len(edges) > 1 and edges[0] == 0 and edges[-1] == len(index.sizes) and (np.diff(edges) >= 0).all()
    if not rises:
        raise InputError(
            f"the edges of documents must rise from 0 to {len(index.sizes):,}",
            where=str(path),
            got=edges[:5].tolist(),
            fix=fix,
        )
