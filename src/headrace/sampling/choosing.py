"""Choosing within a batch of candidates, with what the policy remembers from step to step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from headrace.errors import InputError
from headrace.random import generator
from headrace.sampling.plan import Chosen, Picker, Planner


class Choosing:
    """Calls a batch policy's `rate` and `pick`; step t draws from the stream `("choose", t)`.

    Args:
        policy: The policy, perhaps wrapped; only used if it is a batch policy.
        seed: The root seed.
    """

    def __init__(self, policy: Planner, seed: int) -> None:
        self._picker = _picker(policy)
        self._seed = seed
        self._steps = 0
        self._memory: dict[str, Tensor] = {}
        self._values: tuple[np.ndarray, Tensor] | None = None

    def __call__(
        self,
        indices: Tensor,
        outputs: Tensor,
        targets: Tensor,
        losses: Tensor,
        *,
        count: int,
        values: np.ndarray | None,
    ) -> Chosen:
        """Choose `count` of the candidates; `values` are those assessed for all examples [examples]."""
        if self._picker is None:
            raise InputError("the policy asks for candidates but cannot choose", where="policy")
        mine = None if values is None else self._on(outputs.device, values)[indices.to(outputs.device)]
        with torch.no_grad():
            ratings = self._picker.rate(outputs.detach(), targets, losses.detach(), mine)
            rng = generator(self._seed, "choose", self._steps)
            memory = {name: held.to(ratings.device) for name, held in self._memory.items()}
            chosen, self._memory = self._picker.pick(ratings, count, memory, rng)
        self._steps += 1
        return chosen

    def state_dict(self) -> dict[str, Any]:
        """Steps made and what the policy remembers."""
        return {"steps": self._steps, "memory": {name: held.cpu() for name, held in self._memory.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore both; tensors go to the device of the next losses."""
        self._steps = state["steps"]
        self._memory = dict(state["memory"])

    def _on(self, device: torch.device, values: np.ndarray) -> Tensor:
        """The values on a device, moved there once."""
        if self._values is None or self._values[0] is not values or self._values[1].device != device:
            self._values = (values, torch.from_numpy(values).to(device, torch.float32))
        return self._values[1]


def _picker(policy: Any) -> Picker | None:
    """The batch policy that this is or wraps."""
    while policy is not None and not isinstance(policy, Picker):
        policy = getattr(policy, "policy", None)
    return policy
