"""A small causal transformer, as nanoGPT has it: layer norms before each block, learned positions."""

from __future__ import annotations

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Causal self-attention and a network of two layers, each added to what it is given."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.before_attention = nn.LayerNorm(width, bias=False)
        self.attention = nn.Linear(width, 3 * width, bias=False)
        self.attended = nn.Linear(width, width, bias=False)
        self.before_network = nn.LayerNorm(width, bias=False)
        self.network = nn.Sequential(
            nn.Linear(width, 4 * width, bias=False),
            nn.GELU(),
            nn.Linear(4 * width, width, bias=False),
            nn.Dropout(dropout),
        )

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """What follows the block."""
        batch, tokens, width = x.shape
        parts = self.attention(self.before_attention(x)).view(batch, tokens, 3, self.heads, -1)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        seen = functional.scaled_dot_product_attention(
            queries, keys, values, dropout_p=dropout, is_causal=True
        )
        attended = self.attended(seen.transpose(1, 2).reshape(batch, tokens, width))
        x = x + functional.dropout(attended, self.dropout, self.training)
        return x + self.network(self.before_network(x))


class GPT(nn.Module):
    """Embeddings of tokens and places, blocks, and logits by the embedding of tokens (tied).

    Weights are drawn as GPT-2's: normal, 0.02, and less for what is added to the residual stream.

    Args:
        vocabulary: Different tokens.
        window: The most tokens that it sees.
        width: Of the residual stream.
        layers: Blocks.
        heads: Of the attention; they divide the width.
        dropout: Share that is dropped in training.
    """

    def __init__(
        self, vocabulary: int, window: int, *, width: int, layers: int, heads: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(window, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.last = nn.LayerNorm(width, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                added = name.endswith(("attended.weight", "network.2.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * layers) ** 0.5 if added else 0.02)

    def forward(self, tokens: Int64[Tensor, "batch window"]) -> Float[Tensor, "batch window vocabulary"]:
        """The logits of the tokens that follow each of these."""
        places = self.places.weight[: tokens.shape[1]]
        x = self.dropout(self.tokens(tokens) + places)
        return functional.linear(self.last(self.blocks(x)), self.tokens.weight)
