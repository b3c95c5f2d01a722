"""Text as tokens: its bytes, or its characters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Integer

from headrace.errors import InputError
from headrace.workloads.language.corpus import Corpus
from headrace.workloads.language.mapped import map_numbers
from headrace.workloads.readers.image_folder import is_stray

Unit = Literal["bytes", "characters"]

BYTES = 256
"""Different bytes; the token after a document is the next number."""
_END = "\U0010ffff"
"""Ends a document of characters: a number that Unicode gives to no character."""


def read_text(path: Path | str, unit: Unit = "characters") -> Corpus:
    """A text file as one sequence of tokens.

    Args:
        path: The file; for characters in UTF-8.
        unit: "bytes": a token is a byte, 256 in the vocabulary. "characters": a token is a character; the
            vocabulary are the characters of the file in the order of their numbers, as nanoGPT has them.

    Raises:
        InputError: The file cannot be read, is empty, or is not UTF-8; names the byte.
    """
    path = Path(path)
    _check_unit(unit)
    if unit == "bytes":
        mapped, release = map_numbers(path, np.dtype(np.uint8))
        return _of_bytes(mapped, str(path), release)
    content = _content(path)
    if not content:
        raise InputError("the file is empty", where=str(path))
    return _of_characters(_decoded(content, str(path)), str(path))


def read_texts(folder: Path | str, unit: Unit = "characters", *, pattern: str = "*.txt") -> Corpus:
    """A folder of text files, each a document that ends with a token of its own.

    Args:
        folder: It and the folders in it are looked through; files are taken in the order of their paths.
        unit: As in `read_text`.
        pattern: Which files are documents.

    Raises:
        InputError: No file matches, or one cannot be read or is not UTF-8; names it and the byte.
    """
    folder = Path(folder)
    paths = sorted(path for path in folder.rglob(pattern) if path.is_file() and not is_stray(path))
    if not paths:
        raise InputError(f"no file of this folder matches {pattern!r}", where=str(folder))
    return documents([_content(path) for path in paths], unit, where=str(folder), names=[*map(str, paths)])


def documents(
    texts: Iterable[bytes], unit: Unit = "characters", *, where: str = "documents", names: Sequence[str] = ()
) -> Corpus:
    """Texts as documents, each of which ends with a token that stands for no byte.

    Args:
        texts: Each in UTF-8, for characters.
        unit: As in `read_text`.
        where: What they are called in messages.
        names: What each is called in messages; by default its number.

    Raises:
        InputError: A text is not UTF-8; names it and the byte.
    """
    _check_unit(unit)
    listed = list(texts)
    if unit == "bytes":
        rows = [np.frombuffer(text, np.uint8) for text in listed]
        tokens = np.concatenate([part for row in rows for part in (row, [BYTES])]).astype(np.uint16)
        corpus = _of_bytes(tokens, where)
        ends = np.cumsum([len(row) + 1 for row in rows])
    else:
        called = names or [f"{where}, document {number}" for number in range(len(listed))]
        decoded = [_document(text, name) for text, name in zip(listed, called, strict=True)]
        corpus = _of_characters(_END.join([*decoded, ""]), where, end=_END)
        ends = np.cumsum([len(text) + 1 for text in decoded])
    return corpus.part(np.stack([np.r_[0, ends[:-1]], ends], axis=1).astype(np.int64))


def _of_bytes(
    tokens: Integer[np.ndarray, " tokens"], where: str, release: Callable[[], None] | None = None
) -> Corpus:
    size = BYTES if tokens.dtype == np.uint8 else BYTES + 1
    return Corpus(
        tokens=tokens,
        vocabulary=size,
        token_bytes=(np.arange(size) < BYTES).astype(np.int64),
        decode=lambda row: bytes(row[row < BYTES].astype(np.uint8)).decode("utf-8", "replace"),
        release=release,
        where=where,
    )


def _of_characters(text: str, where: str, end: str | None = None) -> Corpus:
    numbers = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    known, tokens = np.unique(numbers, return_inverse=True)
    letters = [chr(number) for number in known.tolist()]
    sizes = [0 if letter == end else len(letter.encode("utf-8", "surrogatepass")) for letter in letters]
    return Corpus(
        tokens=tokens.astype(np.uint16 if len(known) < 1 << 16 else np.uint32),
        vocabulary=max(2, len(known)),
        token_bytes=np.array([*sizes, 0][: max(2, len(known))]),
        decode=lambda row: "".join("\n" if (letter := letters[n]) == end else letter for n in row.tolist()),
        where=where,
    )


def _document(content: bytes, where: str) -> str:
    text = _decoded(content, where)
    if _END in text:
        what = f"the text holds U+{ord(_END):X}, which stands for the end of a document"
        raise InputError(what, where=where, fix='Remove it, or read bytes by unit="bytes".')
    return text


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            "the text is not UTF-8",
            where=f"{where}, byte {error.start:,}",
            got=content[error.start : error.start + 4],
            fix='Save it as UTF-8, or read its bytes by unit="bytes".',
        ) from None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"the file cannot be read: {error}", where=str(path)) from error


def _check_unit(unit: Unit) -> None:
    if unit not in get_args(Unit):
        raise InputError(
            f"unit must be one of {', '.join(map(repr, get_args(Unit)))}", where="unit", got=unit
        )
