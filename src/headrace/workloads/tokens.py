"""Text to token numbers: a tokenizer, and a vocabulary that knows the training split only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int64
from torch import Tensor

PADDING, UNKNOWN = 0, 1
"""The first two token numbers."""

_TOKEN = re.compile(r"n't|'\w+|\w+(?=n't)|\w+|[^\w\s]")


def tokenize(text: str) -> list[str]:
    """Lower-case words, English contractions apart (`it's` -> `it`, `'s`), and single punctuation marks."""
    return _TOKEN.findall(text.lower())


@dataclass(frozen=True)
class Vocabulary:
    """Token -> number; 0 is padding, 1 any token that the training split does not have."""

    numbers: dict[str, int]

    def __len__(self) -> int:
        return len(self.numbers) + 2

    def encode(self, sentences: Sequence[Sequence[str]], length: int) -> Int64[Tensor, "examples length"]:
        """Token numbers; shorter sentences are padded at their end, longer ones cut."""
        rows = torch.full((len(sentences), length), PADDING, dtype=torch.int64)
        for row, tokens in zip(rows, sentences, strict=True):
            found = [self.numbers.get(token, UNKNOWN) for token in tokens[:length]]
            row[: len(found)] = torch.tensor(found, dtype=torch.int64)
        return rows

    def decode(self, row: Int64[Tensor, " length"]) -> list[str]:
        """The tokens of one encoded sentence: padding left out, unknown ones as an ellipsis."""
        return [self._tokens.get(number, "…") for number in row.tolist() if number != PADDING]

    @cached_property
    def _tokens(self) -> dict[int, str]:
        return {number: token for token, number in self.numbers.items()}


def build_vocabulary(sentences: Iterable[Sequence[str]], minimum_count: int = 1) -> Vocabulary:
    """Number the tokens of the training split, the most frequent first, ties by the alphabet.

    Args:
        sentences: Tokens of each sentence.
        minimum_count: Rarer tokens are left out, so are unknown.
    """
    counts = Counter(token for tokens in sentences for token in tokens)
    kept = sorted(
        (token for token, count in counts.items() if count >= minimum_count), key=lambda t: (-counts[t], t)
    )
    return Vocabulary({token: number for number, token in enumerate(kept, start=UNKNOWN + 1)})
