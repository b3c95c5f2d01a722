"""Models that are called in another way than `model(inputs)`: by keywords, with a dict, ..."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from headrace.errors import InputError

Call = Callable[[nn.Module, Any], Tensor]
"""`(model, inputs) -> outputs [batch ...]`."""


class Called(nn.Module):
    """A model with the way in which it is called.

    Args:
        model: Any module.
        call: Calls it.
    """

    def __init__(self, model: nn.Module, call: Call) -> None:
        super().__init__()
        self.model = model
        self.call = call

    def forward(self, inputs: Any) -> Tensor:
        """What `call` makes of the model and a batch of inputs."""
        return self.call(self.model, inputs)


class CalledBy:
    """A function that makes models, and the way in which they are called.

    Args:
        build: Makes a freshly initialised model.
        call: Calls it.
    """

    def __init__(self, build: Callable[[], nn.Module], call: Call) -> None:
        self.build = build
        self.call = call

    def __call__(self) -> Called:
        """A freshly initialised model that is called with inputs alone."""
        model: Any = self.build()
        if not isinstance(model, nn.Module):
            what = "build_model must return a torch module"
            raise InputError(what, where="Workload", got=type(model).__name__)
        return Called(model, self.call)
