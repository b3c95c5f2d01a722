"""Tokens in memory, or in a file that is mapped into it, with their documents if there are some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from jaxtyping import Int64, Integer

from headrace.errors import InputError

MAPPED_BYTES = 1 << 30
"""Larger corpora are looked at as they are used, not whole when they are opened."""
PIECE = 1 << 24
"""Tokens that are looked at together; memory only."""


class Tokens(Protocol):
    """An array of token numbers [tokens], or what is read like one: `numpy.ndarray`, `Chunked`."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers."""
        ...

    @property
    def nbytes(self) -> int:
        """The bytes that all of them take."""
        ...

    def __len__(self) -> int:
        """The number of tokens."""
        ...

    def __getitem__(self, places: Any, /) -> Any:
        """The tokens at these places [...], or of a slice, as an array."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """A sequence of tokens.

    Args:
        tokens: Their numbers; an array that a file is mapped into is never copied or changed.
        vocabulary: How many different numbers there may be. None: one more than the largest, which is looked
            for if the tokens take at most `MAPPED_BYTES`.
        documents: Where each document starts, and where the next would, [documents 2]; None: there are
            none, and the tokens are one text.
        token_bytes: How many bytes of text each token stands for [vocabulary], for bits per byte; None: not
            known.
        decode: From token numbers to text, for the report; None: tokens are shown by their numbers.
        release: Called now and then while tokens are read: gives the memory of a mapped file back.
        where: What the tokens are called in messages: their file.

    Raises:
        InputError: There are no tokens, one is outside the vocabulary, or documents are outside the tokens.
    """

    tokens: Tokens
    vocabulary: int | None = None
    documents: Int64[np.ndarray, "documents 2"] | None = None
    token_bytes: Integer[np.ndarray, " vocabulary"] | None = None
    decode: Callable[[np.ndarray], str] | None = None
    release: Callable[[], None] | None = None
    where: str = "tokens"

    def __post_init__(self) -> None:
        tokens: Any = self.tokens
        array = isinstance(tokens, np.ndarray)
        if getattr(getattr(tokens, "dtype", None), "kind", "") not in ("i", "u") or (
            array and tokens.ndim != 1
        ):
            got = f"{tokens.dtype} {tokens.shape}" if array else type(tokens).__name__
            raise InputError("tokens must be an array of whole numbers, [tokens]", where=self.where, got=got)
        if not len(tokens):
            raise InputError("holds no tokens", where=self.where)
        if self.documents is not None:
            self._check_documents()
        if self.small:
            self._check_numbers()
        elif self.vocabulary is None:
            raise InputError(
                f"the vocabulary's size must be given for more than {MAPPED_BYTES >> 30} GiB of tokens",
                where=self.where,
                fix="Give vocabulary=: 50257 for GPT-2's tokens.",
            )

    @property
    def small(self) -> bool:
        """Whether the tokens are looked at whole."""
        return self.tokens.nbytes <= MAPPED_BYTES

    def __len__(self) -> int:
        """The number of tokens, of all documents."""
        if self.documents is None:
            return len(self.tokens)
        return int((self.documents[:, 1] - self.documents[:, 0]).sum())

    @property
    def size(self) -> int:
        """The number of tokens in the vocabulary."""
        assert self.vocabulary is not None
        return self.vocabulary

    def part(self, documents: Int64[np.ndarray, "documents 2"]) -> Self:
        """These documents alone; the tokens are the same."""
        chosen = copy(self)
        object.__setattr__(chosen, "documents", documents)
        return chosen

    def check(self, numbers: Integer[np.ndarray, ...], places: Int64[np.ndarray, ...]) -> None:
        """Refuse tokens outside the vocabulary.

        Args:
            numbers: Token numbers.
            places: Their places in `tokens`, of the same shape.

        Raises:
            InputError: Names the first and its place.
        """
        low, high = int(numbers.min()), int(numbers.max())
        if low >= 0 and high < self.size:
            return
        wrong = ((numbers < 0) | (numbers >= self.size)).reshape(-1)
        first = int(wrong.argmax())
        raise InputError(
            f"a token is outside the vocabulary of {self.size:,}",
            where=f"{self.where}, token {int(places.reshape(-1)[first]):,}",
            got=int(numbers.reshape(-1)[first]),
            fix="Give the vocabulary of the tokenizer that wrote the tokens, and their type of numbers.",
        )

    def _check_numbers(self) -> None:
        if self.vocabulary is None:
            largest = max(int(piece.max()) for _, piece in pieces(self.tokens))
            object.__setattr__(self, "vocabulary", max(2, 1 + largest))
        for start, piece in pieces(self.tokens):
            self.check(piece, np.arange(start, start + len(piece)))

    def _check_documents(self) -> None:
        documents = self.documents
        assert documents is not None
        if documents.ndim != 2 or documents.shape[1] != 2 or not len(documents):
            raise InputError("documents must be [documents 2]", where=self.where, got=documents.shape)
        wrong = (
            (documents[:, 0] < 0) | (documents[:, 1] < documents[:, 0]) | (documents[:, 1] > len(self.tokens))
        )
        if wrong.any():
            first = int(wrong.argmax())
            raise InputError(
                f"a document is outside the {len(self.tokens):,} tokens",
                where=f"{self.where}, document {first:,}",
                got=documents[first].tolist(),
            )


def pieces(tokens: Tokens) -> Iterator[tuple[int, np.ndarray]]:
    """The start and the tokens of each piece of `PIECE` tokens."""
    for start in range(0, len(tokens), PIECE):
        yield start, tokens[start : start + PIECE]
