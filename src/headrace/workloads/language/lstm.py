"""A recurrent language model: two layers of long short-term memory."""

from __future__ import annotations

from jaxtyping import Float, Int64
from torch import Tensor, nn


class LSTM(nn.Module):
    """An embedding, layers of LSTM, and logits.

    Args:
        vocabulary: Different tokens.
        width: Of the embedding and of each layer.
        layers: How many.
        dropout: Share that is dropped between the layers and before the logits, in training.
    """

    def __init__(self, vocabulary: int, *, width: int, layers: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.layers = nn.LSTM(width, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: Int64[Tensor, "batch window"]) -> Float[Tensor, "batch window vocabulary"]:
        """The logits of the tokens that follow each of these; the memory is empty before the first."""
        states, _ = self.layers(self.tokens(tokens))
        return self.head(self.dropout(states))
