"""What one forward pass says about each example of a batch: five numbers, as pure functions.

| row | formula | source |
|---|---|---|
| probability | softmax(z)_y, of the true class y | Chang et al. (2017) |
| loss | -log softmax(z)_y | |
| correct | 1 where z_y > max other z, else 0; a tie counts as wrong | Toneva et al. (2019) |
| margin | z_y - max other z | Pleiss et al. (2020), AUM |
| el2n | the Euclidean norm of softmax(z) - onehot(y) | Paul et al. (2021) |
"""

from __future__ import annotations

from typing import Literal, get_args

from jaxtyping import Float, Int

from headrace.histories.arrays import Array, highest, namespace, positions, stacked, total, upright

Quantity = Literal["probability", "loss", "correct", "margin", "el2n"]
"""What is observed of an example; the order of the rows of `observe`."""

PREDICTION: tuple[Quantity, ...] = get_args(Quantity)
"""The quantities that logits give."""

LOSS: tuple[Quantity, ...] = ("loss",)
"""The quantities that a loss alone gives."""


def observe(
    logits: Float[Array, "batch classes"], targets: Int[Array, " batch"]
) -> Float[Array, "quantities batch"]:
    """The five quantities of `PREDICTION` for each example of a batch.

    Args:
        logits: The model's outputs before the softmax, float32, at least two classes.
        targets: The true class of each example, from 0 to classes - 1.

    Returns:
        Float32 rows: probability, loss, correct, margin, el2n.
    """
    xp, place = namespace(logits), positions(logits)
    by_class = upright(logits)
    shifted = by_class - highest(by_class)
    residual = xp.exp(shifted)
    sums = total(residual)
    residual /= sums
    own, probability = shifted[targets, place], residual[targets, place]
    # One of the two is the highest logit, which was shifted to 0: so the difference is rounded once.
    shifted[targets, place] = -xp.inf
    margin = own - highest(shifted)
    # Subtracted before it is squared: near certainty the squares alone would cancel.
    residual[targets, place] = probability - 1.0
    el2n = xp.sqrt(total(residual * residual))
    return stacked((probability, xp.log(sums) - own, margin > 0, margin, el2n))
