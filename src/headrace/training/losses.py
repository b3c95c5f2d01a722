"""Losses and metrics: one number per example, so that examples can be weighed, chosen and recorded."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float, Int64, Shaped
from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]
"""`(outputs [batch, ...], targets [batch, ...]) -> [batch]`; the loop takes weighted sums of it."""

Metric = Loss
"""As a loss; its mean over a split is the metric of the split, and lower is better."""


def cross_entropy(
    outputs: Float[Tensor, "batch classes ..."],
    targets: Int64[Tensor, "batch ..."],
    label_smoothing: float = 0.0,
) -> Float[Tensor, " batch"]:
    """Cross-entropy of the softmax of `outputs`, in nats.

    With label smoothing e (Szegedy et al. 2016) the target distribution over C classes is
    `(1 - e) onehot + e / C`. Where targets have further axes (tokens, pixels), an example's loss is the mean
    over them.
    """
    losses = functional.cross_entropy(outputs, targets, reduction="none", label_smoothing=label_smoothing)
    return losses if losses.dim() == 1 else losses.flatten(1).mean(1)


def classification_error(
    outputs: Float[Tensor, "batch classes ..."], targets: Int64[Tensor, "batch ..."]
) -> Float[Tensor, " batch"]:
    """1 where the largest output is not the target's, else 0; the first of equal outputs counts.

    A row with NaN is an error, whatever its largest output. Where targets have further axes, the share of
    errors among them.
    """
    largest, predicted = outputs.max(1)
    wrong = ((predicted != targets) | largest.isnan()).float()
    return wrong if wrong.dim() == 1 else wrong.flatten(1).mean(1)


def squared_error(
    outputs: Float[Tensor, "batch ..."], targets: Shaped[Tensor, "batch ..."]
) -> Float[Tensor, " batch"]:
    """Squared difference, the mean over an example's outputs; `[batch, 1]` outputs fit `[batch]` targets."""
    if outputs.dim() == targets.dim() + 1 and outputs.shape[-1] == 1:
        outputs = outputs.squeeze(-1)
    errors = functional.mse_loss(outputs, targets.to(outputs.dtype), reduction="none")
    return errors if errors.dim() == 1 else errors.flatten(1).mean(1)
