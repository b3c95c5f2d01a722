"""What a score is: a pure function of a history, with its name and direction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from headrace.arrays import widest
from headrace.histories.observations import Quantity
from headrace.histories.registry import SCORES


class Observed(Protocol):
    """What scores read: a `History`, a `LossHistory`, or anything of that form."""

    @property
    def count(self) -> Float[Tensor, " examples"]:
        """How many times each example was observed."""
        ...

    @property
    def size(self) -> Float[Tensor, " examples"]:
        """How many observations the means rest on."""
        ...

    def mean(self, quantity: Quantity) -> Float[Tensor, " examples"]:
        """The mean of a quantity."""
        ...

    def variance(self, quantity: Quantity) -> Float[Tensor, " examples"]:
        """The population variance of a quantity."""
        ...

    def transitions(self) -> Float[Tensor, " examples"]:
        """How often an example went from correct to wrong."""
        ...


@dataclass(frozen=True)
class Score:
    """A score by name.

    Attributes:
        name: Its name in the registry and in experiment files.
        tensor: The score as a float32 tensor on the history's device.
        hard: Whether high or low values mean hard examples.
        needs_predictions: Whether a history of losses alone is not enough.
    """

    name: str
    tensor: Callable[[Observed], Float[Tensor, " examples"]]
    hard: Literal["high", "low"]
    needs_predictions: bool

    def __call__(self, history: Observed) -> Float[np.ndarray, " examples"]:
        """The score as a float32 NumPy array.

        Raises:
            InputError: The score needs predictions, and the history holds losses only.
        """
        return self.tensor(history).cpu().numpy()

    def hardness(self, history: Observed) -> Float[Tensor, " examples"]:
        """The score, turned so that higher is harder, on the history's device."""
        values = self.tensor(history)
        return values if self.hard == "high" else -values


def score(function: Callable[[Observed], Tensor]) -> Score:
    """Make the score of the function's name, which must be in the registry; decorates the function."""
    entry = SCORES[function.__name__]
    made = Score(function.__name__, function, entry.hard, entry.needs_predictions)
    object.__setattr__(made, "__doc__", function.__doc__)
    return made


def filled(values: Float[Tensor, " examples"], defined: Bool[Tensor, " examples"]) -> Tensor:
    """The values, with the mean of the defined ones where a value is not defined."""
    known = torch.where(defined, values, 0.0)
    # Float64: a float32 sum over 100 million examples would lose the mean. One step, no copy of the array.
    mean = known.sum(dtype=widest(known.device)) / defined.sum().clamp_min(1)
    return torch.where(defined, values, mean.float())
