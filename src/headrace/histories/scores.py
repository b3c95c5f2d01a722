"""One number per example from its history: the scores, as pure functions.

Each score is a `Score`: call it with a history for a NumPy array, or use `.tensor` to stay on the
history's device. `.hard` says in which direction the hard examples lie, and `.hardness` turns the
score so that higher is harder. `SCORES` maps names to scores.

An example for which a score is not defined gets the mean of the score over those for which it is,
as in Chang et al. (2017): never observed, or observed once where a variance is needed. Where it is
defined for none, all are 0.

Symbols: p the probability of the true class y, pm and v its mean and population variance over the
n observations in the history, z the logits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from headrace.arrays import widest
from headrace.errors import InputError
from headrace.histories.observations import Quantity


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
        name: Its name in `SCORES` and in experiment files.
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


SCORES: dict[str, Score] = {}
"""Every score by its name."""

_Function = Callable[[Observed], Tensor]


def _score(*, hard: Literal["high", "low"], needs_predictions: bool = True) -> Callable[[_Function], Score]:
    """Enter a function of a history among the scores, with its documentation."""

    def enter(function: _Function) -> Score:
        score = Score(function.__name__, function, hard, needs_predictions)
        object.__setattr__(score, "__doc__", function.__doc__)
        SCORES[score.name] = score
        return score

    return enter


def _filled(values: Float[Tensor, " examples"], defined: Bool[Tensor, " examples"]) -> Tensor:
    """The values, with the mean of the defined ones where a value is not defined."""
    known = torch.where(defined, values, 0.0)
    # Float64: a float32 sum over 100 million examples would lose the mean. One step, no copy of the array.
    mean = known.sum(dtype=widest(known.device)) / defined.sum().clamp_min(1)
    return torch.where(defined, values, mean.float())


def _mean(history: Observed, quantity: Quantity) -> Float[Tensor, " examples"]:
    return _filled(history.mean(quantity), history.count > 0)


@_score(hard="high")
def difficulty(history: Observed) -> Float[Tensor, " examples"]:
    """1 - pm (Chang et al. 2017)."""
    return 1.0 - _mean(history, "probability")


@_score(hard="low")
def easiness(history: Observed) -> Float[Tensor, " examples"]:
    """The mean pm of the true class's probability (Chang et al. 2017)."""
    return _mean(history, "probability")


@_score(hard="high")
def prediction_variance(history: Observed) -> Float[Tensor, " examples"]:
    """sqrt(v + v^2 / (n - 1)): the deviation of p, with a margin for few observations (Chang et al. 2017).

    Defined from two observations on. In a windowed history n is the number of observations kept, in
    a fading one the effective number.
    """
    v, n = history.variance("probability"), history.size
    extra = (n - 1.0).clamp_min_(torch.finfo(torch.float32).eps)
    return _filled((v + v.square() / extra).sqrt_(), n > 1)


@_score(hard="high")
def threshold_closeness(history: Observed) -> Float[Tensor, " examples"]:
    """The product pm (1 - pm), of the mean: how near the decision lies (Chang et al. 2017)."""
    mean = history.mean("probability")
    return _filled(mean * (1.0 - mean), history.count > 0)


@_score(hard="high", needs_predictions=False)
def mean_loss(history: Observed) -> Float[Tensor, " examples"]:
    """The mean loss: the importance of Sheikholeslami et al. (2023)."""
    return _mean(history, "loss")


@_score(hard="high", needs_predictions=False)
def loss_variance(history: Observed) -> Float[Tensor, " examples"]:
    """The population variance of the loss (Sheikholeslami et al. 2023); defined from two observations on."""
    return _filled(history.variance("loss"), history.count > 1)


@_score(hard="low")
def confidence(history: Observed) -> Float[Tensor, " examples"]:
    """The mean pm as an axis of the data map (Swayamdipta et al. 2020); equal to easiness."""
    return _mean(history, "probability")


@_score(hard="high")
def variability(history: Observed) -> Float[Tensor, " examples"]:
    """sqrt(v), the other axis of the data map (Swayamdipta et al. 2020); defined from two observations on."""
    return _filled(history.variance("probability").sqrt(), history.count > 1)


@_score(hard="low")
def correctness(history: Observed) -> Float[Tensor, " examples"]:
    """The share of observations in which the true class had the highest logit (Swayamdipta et al. 2020)."""
    return _mean(history, "correct")


@_score(hard="high")
def forgetting(history: Observed) -> Float[Tensor, " examples"]:
    """How often the example went from correct to wrong (Toneva et al. 2019).

    An example that was never once correct has nothing to forget and yet is the hardest: it gets the
    largest number of observations of any example, which no number of transitions can reach.
    """
    count = history.count
    never_learnt = history.mean("correct") <= 0.0
    return _filled(torch.where(never_learnt, count.max(), history.transitions()), count > 0)


@_score(hard="high")
def el2n(history: Observed) -> Float[Tensor, " examples"]:
    """The mean of |softmax(z) - onehot(y)|_2 (Paul et al. 2021).

    Meant early in training and over several seeds: merge the histories of the runs.
    """
    return _mean(history, "el2n")


@_score(hard="low")
def aum(history: Observed) -> Float[Tensor, " examples"]:
    """The mean margin z_y - max other z, the area under the margin (Pleiss et al. 2020)."""
    return _mean(history, "margin")


def smoothed(score: Float[Tensor, " examples"]) -> Float[Tensor, " examples"]:
    """The score plus epsilon, its mean over all examples (Chang et al. 2017).

    Positive everywhere and at least half of its mean, so that no example is forgotten. A score that
    is 0 everywhere knows nothing: it becomes 1 everywhere.

    Raises:
        InputError: Negative or non-finite values (of all scores of `SCORES` only aum has negative ones).
    """
    low, high = (float(bound) for bound in score.aminmax())
    if not (low >= 0.0 and high < float("inf")):
        raise InputError(
            "smoothing needs a score that is finite and nowhere negative",
            where="score",
            got=(low, high),
            fix="Shift or clip it first.",
        )
    return (
        torch.ones_like(score)
        if high == 0.0
        else score + score.mean(dtype=widest(score.device)).to(score.dtype)
    )
