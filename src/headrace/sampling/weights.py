"""What the losses of a batch are multiplied by, looked up on the device of the batch."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from headrace.sampling.plan import Plan


class WeightsOf:
    """The weights of one plan, on every device that asks for them.

    Args:
        plan: The plan of an epoch.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._tables: dict[torch.device, Tensor] = {}

    def __call__(self, indices: Int64[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """The weights of examples, on the device of `indices`; the table is moved there once."""
        weights = self.plan.weights
        if weights is None:
            return torch.ones(len(indices), device=indices.device)
        if indices.device not in self._tables:
            self._tables[indices.device] = torch.from_numpy(weights).to(indices.device, torch.float32)
        return self._tables[indices.device][indices]
