"""What one forward pass says about each example of a batch: five numbers, as pure functions.

| column | formula | source |
|---|---|---|
| probability | softmax(z)_y, of the true class y | Chang et al. (2017) |
| loss | -log softmax(z)_y | |
| correct | 1 where z_y > max other z, else 0; a tie counts as wrong | Toneva et al. (2019) |
| margin | z_y - max other z | Pleiss et al. (2020), AUM |
| el2n | the Euclidean norm of softmax(z) - onehot(y) | Paul et al. (2021) |
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

Quantity = Literal["probability", "loss", "correct", "margin", "el2n"]
"""What is observed of an example; the order of the columns of `observe`."""

PREDICTION: tuple[Quantity, ...] = get_args(Quantity)
"""The quantities that logits give."""

LOSS: tuple[Quantity, ...] = ("loss",)
"""The quantities that a loss alone gives."""


def observe(
    logits: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
) -> Float[Tensor, "batch quantities"]:
    """The five quantities of `PREDICTION` for each example of a batch, in float32.

    Half-precision logits are computed in float32. No gradient flows back.

    Args:
        logits: The model's outputs before the softmax, at least two classes.
        targets: The true class of each example, from 0 to classes - 1.

    Returns:
        One row per example: probability, loss, correct, margin, el2n.
    """
    scores = logits.detach().float()
    column = targets.long().unsqueeze(1)
    log_probabilities = scores.log_softmax(1)
    log_probability = log_probabilities.gather(1, column)
    margin = scores.gather(1, column) - scores.scatter(1, column, -torch.inf).amax(1, keepdim=True)
    minus_one = scores.new_full((scores.shape[0], 1), -1.0)
    residual = log_probabilities.exp_().scatter_add_(1, column, minus_one)
    el2n = torch.linalg.vector_norm(residual, dim=1, keepdim=True)
    correct = margin.heaviside(margin.new_zeros(()))
    return torch.cat((log_probability.exp(), -log_probability, correct, margin, el2n), 1)
