"""The loss of each example of a batch, from what Hugging Face's models and their kin return.

The kind of task is read from the shapes, as the models themselves do it:

| labels | logits | loss |
|---|---|---|
| integers [batch] | [batch, classes] | cross-entropy |
| integers [batch, tokens] | [batch, tokens, classes] | cross-entropy, summed over all but -100 |
| numbers [batch] | [batch] or [batch, 1] | squared error |
| numbers [batch, outputs] | [batch, outputs] | the sum of the outputs' binary cross-entropy |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from headrace.errors import InputError

IGNORED = -100
"""The label of a token that does not count."""


@dataclass(frozen=True)
class Losses:
    """What a batch's examples cost.

    Attributes:
        sums: The sum of each example's losses [batch].
        items: How many losses each sum has: counted tokens, outputs, or 1 [batch].
    """

    sums: Float[Tensor, " batch"]
    items: Float[Tensor, " batch"]

    @property
    def means(self) -> Float[Tensor, " batch"]:
        """The loss of each example: the mean over its items; 0 if it has none."""
        return self.sums / self.items.clamp(min=1)


def logits_of(outputs: Any) -> Tensor:
    """The logits that a model returned: a tensor, or what holds it first or by that name.

    Raises:
        InputError: There are none.
    """
    found = outputs
    if isinstance(outputs, Mapping):
        found = outputs.get("logits")
    elif isinstance(outputs, tuple | list) and outputs:
        found = outputs[0]
    found = getattr(found, "logits", found)
    if not isinstance(found, Tensor):
        raise InputError(
            "returned no logits",
            where="model",
            got=type(outputs).__name__,
            fix="Return a tensor, a tuple that begins with it, or an object with .logits; "
            "or give each_loss=, a function of the model's outputs and the labels.",
        )
    return found


def each_loss(logits: Tensor, labels: Tensor, *, shift: bool = False, smoothing: float = 0.0) -> Losses:
    """The losses of a batch by the kind of its labels, as in the table of this module.

    Args:
        logits: What the model returned, of any floating type.
        labels: The targets.
        shift: Whether position t of the logits predicts label t + 1, as in causal language models.
        smoothing: Label smoothing, for cross-entropy.

    Raises:
        InputError: Shapes that are none of the table.
    """
    logits = logits.float()
    if not labels.is_floating_point() and logits.ndim == labels.ndim + 1 and labels.ndim in (1, 2):
        if shift and labels.ndim == 2:
            logits, labels = logits[:, :-1], labels[:, 1:]
        if logits.shape[:-1] == labels.shape:
            return Losses(_cross_entropy(logits, labels, smoothing), items_of(labels))
    if labels.is_floating_point() and labels.ndim == 1 and logits.numel() == labels.numel():
        return Losses((logits.reshape(labels.shape) - labels.float()).square(), items_of(labels))
    if labels.ndim == 2 and logits.shape == labels.shape and labels.is_floating_point():
        each = functional.binary_cross_entropy_with_logits(logits, labels.float(), reduction="none")
        return Losses(each.sum(1), items_of(labels))
    raise InputError(
        "labels and logits fit no known kind of task",
        where="labels",
        got=f"{labels.dtype} {tuple(labels.shape)}, and logits {tuple(logits.shape)}",
        fix="Give each_loss=, a function of the model's outputs and the labels to one loss per example.",
    )


def items_of(labels: Tensor, *, shift: bool = False) -> Float[Tensor, " batch"]:
    """How many losses each example's sum has: what a mean over the batch divides by."""
    if shift and labels.ndim == 2:
        labels = labels[:, 1:]
    counted = labels != IGNORED
    return counted.reshape(len(labels), -1).sum(1).float()


def _cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Float[Tensor, " batch"]:
    each = functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]),
        labels.reshape(-1),
        ignore_index=IGNORED,
        reduction="none",
        label_smoothing=smoothing,
    )
    return each.view(len(labels), -1).sum(1)


def given_losses(losses: Any, batch: int) -> Losses:
    """The losses that a user's own function returned.

    Raises:
        InputError: They are not one number per example.
    """
    if isinstance(losses, Tensor) and losses.shape == (batch,):
        return Losses(losses, torch.ones_like(losses))
    raise InputError(
        f"must return one loss for each of the {batch} examples",
        where="each_loss",
        got=tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__,
        fix='Use reduction="none"; of losses per token take each document\'s mean.',
    )
