"""A language model that trains in a moment: bigrams of a text in which each letter but one tells the next."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from headrace import Workload
from headrace.workloads import language_model
from headrace.workloads.language.text import documents

WINDOW = 4


class Bigrams(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.table(tokens)


def letters(goal: float = 0.9, packing: str = "across", metric: str = "nats") -> Workload:
    text = b"abcd" * 60 + b"ad" * 60
    texts = [text[place : place + 9] for place in range(0, len(text), 9)]
    return language_model(
        documents(texts, "characters") if packing == "within" else np.frombuffer(text * 4, np.uint8) - 97,
        model=lambda vocabulary, _window: Bigrams(vocabulary),
        window=WINDOW,
        goal=goal,
        packing=packing,  # pyright: ignore[reportArgumentType]
        metric=metric,  # pyright: ignore[reportArgumentType]
    )
