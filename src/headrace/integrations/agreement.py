"""Whether the loss of each example adds up to the model's own loss: asked of the model, on one batch."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from headrace.errors import InputError
from headrace.integrations.losses import each_loss, logits_of

_CLOSE = 0.02
"""Half precision rounds by as much."""


def shift_of(model: Any, inputs: Mapping[str, Any], labels: Tensor) -> bool:
    """Whether a model's logits predict the next token's label, found by comparing losses on a batch.

    Args:
        model: Takes the inputs, and returns its own loss if it takes labels; otherwise nothing is compared.
        inputs: Of one batch, its labels among them.
        labels: What is predicted.

    Raises:
        InputError: The model's own loss is another than that of `headrace.integrations.losses`.
    """
    ways = (False, True) if labels.ndim == 2 and not labels.is_floating_point() else (False,)
    own = _own_loss(model, inputs)
    if own is None:
        return False
    logits, loss = own
    ours = {way: each_loss(logits, labels, shift=way) for way in ways}
    means = {way: float(losses.sums.sum() / losses.items.sum().clamp(min=1)) for way, losses in ours.items()}
    nearest = min(ways, key=lambda way: abs(means[way] - loss))
    if abs(means[nearest] - loss) <= _CLOSE * max(abs(loss), 0.05):
        return nearest
    raise InputError(
        "the model's own loss is not the one that is read from the shapes of logits and labels: "
        + " or ".join(f"{mean:.6g}" for mean in means.values()),
        where="model",
        got=f"{loss:.6g}",
        fix="Give each_loss=, a function of the model's outputs and the labels to one loss per example.",
    )


def _own_loss(model: Any, inputs: Mapping[str, Any]) -> tuple[Tensor, float] | None:
    """The logits and the loss of an evaluation; None if the model returns no loss."""
    takes = inspect.signature(model.forward).parameters
    if "labels" not in takes and not any(one.kind is one.VAR_KEYWORD for one in takes.values()):
        return None
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            outputs = model(**inputs)
    finally:
        model.train(was_training)
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else None
    return None if loss is None else (logits_of(outputs), float(loss.mean()))
