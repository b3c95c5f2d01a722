"""Whether a model does with a batch what it does with its parts: then workers may share one out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from headrace import random
from headrace.nested import leaves, mapped

if TYPE_CHECKING:
    from headrace.workloads._base import Workload

EXAMPLES = 16
_RELATIVE, _ABSOLUTE = 1e-3, 1e-5
"""Other kernels, chosen for other sizes, round otherwise."""
_TROUBLE = (RuntimeError, TypeError, ValueError, LookupError, AttributeError)


def batchwise(workload: Workload, model: nn.Module) -> bool:
    """Whether a training pass over a batch is the passes over its parts, and draws nothing.

    A batch normalisation is not, and a dropout draws. What a model does only later in training is not seen.

    Args:
        workload: On the model's device.
        model: Untrained, to be thrown away.
    """
    size = min(EXAMPLES, len(workload.train))
    if size < 2:
        return False
    with random.torch_stream(0, "inspection", "parts"), torch.no_grad():
        found: Any = workload.training_data.fetch(torch.arange(size))
        inputs, targets = found
        model.train()
        buffers = [buffer.clone() for buffer in model.buffers()]
        device = next(leaves(inputs), targets).device
        before = _state(device)
        try:
            whole = model(inputs)
            workload.training_loss(whole, targets)
            drawn = not torch.equal(before, _state(device))
            halves = (slice(None, size // 2), slice(size // 2, None))
            parts = torch.cat([model(mapped(inputs, lambda rows, half=half: rows[half])) for half in halves])
        except _TROUBLE:
            return False
        kept = all(torch.equal(a, b) for a, b in zip(buffers, model.buffers(), strict=True))
    same = whole.shape == parts.shape and torch.allclose(whole, parts, rtol=_RELATIVE, atol=_ABSOLUTE)
    return not drawn and kept and bool(same)


def _state(device: torch.device) -> Tensor:
    """Of the generators that a model on this device could draw from."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states)
