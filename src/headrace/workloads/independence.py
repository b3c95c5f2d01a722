"""Whether a loss or a metric measures each example alone, found by giving it some of the examples.

The classic fault is a broadcast: outputs `[batch, 1]` minus targets `[batch]` is `[batch, batch]`, whose mean
over an axis has the right shape and is wrong for every example.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from headrace.errors import InputError

_RELATIVE, _RELATIVE_HALF = 1e-3, 5e-2
"""Two values of one example may differ by this much of the larger, as other kernels round."""
_ABSOLUTE = 1e-5
_LEAST = 3


def check_independence(
    name: str, measure: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, targets: Tensor, values: Tensor
) -> None:
    """Refuse a loss or metric whose value for an example depends on the other examples of its batch.

    Batches are cut into micro-batches, shared among workers and evaluated in parts: such a value would depend
    on how. A measure that draws at random is not judged.

    Args:
        name: "loss" or "metric", for the message.
        measure: The loss or metric.
        outputs: Of an untrained model [batch, ...].
        targets: Of the same examples [batch, ...].
        values: What the measure gave for them [batch].

    Raises:
        InputError: An example's value is another one in a smaller batch.
    """
    if len(targets) < _LEAST:
        return
    with torch.no_grad():
        again = measure(outputs, targets)
        if not _same(again, values, outputs):
            return
        starts = [*range(0, len(targets) - 2, 2), len(targets) - 2]
        pairs = [slice(start, start + 2) for start in starts]
        apart = [measure(outputs[pair], targets[pair]) for pair in pairs]
    if all(_same(part, values[pair], outputs) for part, pair in zip(apart, pairs, strict=True)):
        return
    raise InputError(
        f"the {name} of an example changes with the other examples of its batch",
        where=name,
        got=f"outputs of shape {list(outputs.shape)} and targets of shape {list(targets.shape)}",
        fix=_fix(outputs, targets),
    )


def _same(values: object, expected: Tensor, outputs: Tensor) -> bool:
    if not isinstance(values, Tensor) or values.shape != expected.shape:
        return False
    relative = _RELATIVE_HALF if outputs.dtype in (torch.float16, torch.bfloat16) else _RELATIVE
    return torch.allclose(
        values.cpu().double(), expected.detach().cpu().double(), rtol=relative, atol=_ABSOLUTE
    )


def _fix(outputs: Tensor, targets: Tensor) -> str:
    if outputs.shape == (*targets.shape, 1):
        return f"Subtracting them gives {[len(targets), *targets.shape]}: let the model return .squeeze(1)."
    if targets.shape == (*outputs.shape, 1):
        return "Use targets.squeeze(1); otherwise each output meets every target."
    if targets.dim() > 1:
        return 'Divide by numbers of the example itself; mean_over="targets" weighs examples by their length.'
    return "Leave out means over the batch (.mean(), .mean(0), .expand(...)), and compare shapes."
