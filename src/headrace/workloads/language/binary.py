"""Files of token numbers one after the other: nanoGPT's `train.bin`, and llm.c's, which have a header."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from headrace.errors import InputError
from headrace.workloads.language.corpus import Corpus, Tokens, pieces
from headrace.workloads.language.mapped import map_numbers

_MAGIC, _HEADER = {20240520: "uint16", 20240801: "uint32"}, 1024
"""The first number of llm.c's headers and the type of the tokens; a header has 256 numbers of 4 bytes."""


def read_tokens(
    path: Path | str,
    *,
    vocabulary: int | None = None,
    dtype: str = "uint16",
    end_of_document: int | None = None,
) -> Corpus:
    """Token numbers as nanoGPT writes them: little-endian, without a header; the file is mapped into memory.

    A file of llm.c is known by the first number of its header, which also says the type of its tokens.

    Args:
        path: The file.
        vocabulary: How many different tokens there are: 50257 for GPT-2's. None: as many as occur.
        dtype: The type of the numbers: "uint16", "uint32", "int32", ...
        end_of_document: The token that ends each document (50256 for GPT-2's), to know documents apart; the
            file is read once for it. None: it is one text.

    Raises:
        InputError: The file cannot be read, ends within a token, or has other tokens than its header says.
    """
    path = Path(path)
    kind, offset, expected = _header(path, dtype)
    tokens, release = map_numbers(path, kind, offset)
    if expected is not None and expected != len(tokens):
        raise InputError(
            f"the header says {expected:,} tokens",
            where=str(path),
            got=f"{len(tokens):,} tokens",
            fix="Write it again.",
        )
    documents = None if end_of_document is None else _documents(tokens, end_of_document)
    return Corpus(tokens=tokens, vocabulary=vocabulary, documents=documents, release=release, where=str(path))


def _header(path: Path, dtype: str) -> tuple[np.dtype[Any], int, int | None]:
    """The type of the tokens, the length of the header, and the tokens that it says."""
    try:
        kind = np.dtype(dtype)
        with path.open("rb") as file:
            first = np.frombuffer(file.read(12), "<i4")
    except TypeError:
        raise InputError("unknown type of numbers", where="dtype", got=dtype, fix='Give "uint16".') from None
    except ValueError:
        return np.dtype(dtype), 0, None  # Fewer than 12 bytes.
    except OSError as error:
        raise InputError(f"the file cannot be read: {error}", where=str(path)) from error
    if kind.kind not in "iu":
        raise InputError("tokens must be whole numbers", where="dtype", got=dtype, fix='Give "uint16".')
    if len(first) == 3 and int(first[0]) in _MAGIC:
        return np.dtype(_MAGIC[int(first[0])]), _HEADER, int(first[2])
    return kind, 0, None


def _documents(tokens: Tokens, end: int) -> Int64[np.ndarray, "documents 2"]:
    """Where documents start and end, the token that ends them included."""
    found = [start + np.flatnonzero(piece == end) + 1 for start, piece in pieces(tokens)]
    edges = np.unique(np.concatenate([[0], *found, [len(tokens)]])).astype(np.int64)
    return np.stack([edges[:-1], edges[1:]], axis=1)
