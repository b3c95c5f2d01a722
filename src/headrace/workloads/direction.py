"""Whether a metric is lower for better outputs, found by giving it better and worse ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from headrace.better import HIGHER_IS_BETTER
from headrace.errors import HeadraceError, InputError

if TYPE_CHECKING:
    from headrace.workloads._base import Workload


def check_direction(workload: Workload, outputs: Tensor, targets: Tensor) -> None:
    """Refuse a metric that is higher for outputs whose loss is lower.

    Made-up outputs that are right, and others that are wrong, go through loss and metric. A metric that
    contradicts the loss is refused; if the two cannot be compared, one whose name says so.

    Args:
        workload: Its kind of targets is stated.
        outputs: Of an untrained model, for their shape.
        targets: Of the same examples.

    Raises:
        InputError: Higher is better.
    """
    contradicts = _contradicts(workload, outputs, targets)
    if contradicts is None:
        contradicts = workload.metric_name.lower() in HIGHER_IS_BETTER
    if not contradicts:
        return
    raise InputError(
        f"the metric {workload.metric_name!r} is higher for better outputs; a metric must be lower",
        where="metric",
        fix="Give 1 - metric (an error in place of an accuracy) or -metric, and the goal to match.",
    )


def _contradicts(workload: Workload, outputs: Tensor, targets: Tensor) -> bool | None:
    """Whether the metric ranks right and wrong outputs against the loss; None if that cannot be decided."""
    pair = _right_and_wrong(workload, outputs, targets)
    if pair is None:
        return None
    try:
        with torch.no_grad():
            losses = [float(workload.loss(made, targets).cpu().double().mean()) for made in pair]
            metrics = [float(workload.metric(made, targets).cpu().double().mean()) for made in pair]
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, HeadraceError):
        return None
    if not losses[0] < losses[1] or metrics[0] == metrics[1]:
        return None
    return metrics[0] > metrics[1]


def _right_and_wrong(workload: Workload, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor] | None:
    """Outputs that say what the targets say, and outputs that say something else."""
    if workload.targets in ("classes", "tokens"):
        classes = outputs.shape[1] if outputs.dim() == targets.dim() + 1 else 0
        if classes < 2:
            return None
        right = targets.long().clamp(0, classes - 1)
        made = (functional.one_hot(t, classes).movedim(-1, 1) for t in (right, (right + 1) % classes))
        first, second = made
        return first.to(outputs.dtype), second.to(outputs.dtype)
    if targets.numel() != outputs.numel():
        return None
    same = targets.reshape(outputs.shape).to(outputs.dtype)
    return same, (1 - same if workload.targets == "labels" else same + 1)
