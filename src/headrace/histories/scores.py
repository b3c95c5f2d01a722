"""One number per example from its history: the scores, as pure functions.

Each score is a `Score`: call it with a history for a NumPy array, or use `.tensor` to stay on the
history's device. `.hard` says at which end the hard examples are, and `.hardness` turns the
score so that higher is harder. `SCORES` maps names to scores.

An example for which a score is not defined gets the mean of the score over those for which it is,
as in Chang et al. (2017): never observed, or observed once where a variance is needed. Where it is
defined for none, all are 0.

Symbols: p the probability of the true class y, pm and v its mean and population variance over the
n observations in the history, z the logits.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from headrace.arrays import widest
from headrace.errors import InputError
from headrace.histories import registry
from headrace.histories.observations import Quantity
from headrace.histories.score import Observed, Score, filled, score
from headrace.homes import Found

SCORES: Mapping[str, Score] = Found(registry.SCORES)
"""Every score by its name, those of other files as well."""


def __getattr__(name: str) -> Score:
    if name not in SCORES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return SCORES[name]


def _mean(history: Observed, quantity: Quantity) -> Float[Tensor, " examples"]:
    return filled(history.mean(quantity), history.count > 0)


@score
def difficulty(history: Observed) -> Float[Tensor, " examples"]:
    """1 - pm (Chang et al. 2017)."""
    return 1.0 - _mean(history, "probability")


@score
def easiness(history: Observed) -> Float[Tensor, " examples"]:
    """The mean pm of the true class's probability (Chang et al. 2017)."""
    return _mean(history, "probability")


@score
def prediction_variance(history: Observed) -> Float[Tensor, " examples"]:
    """sqrt(v + v^2 / (n - 1)): the deviation of p, with a margin for few observations (Chang et al. 2017).

    Defined from two observations on. In a windowed history n is the number of observations kept, in
    a fading one the effective number.
    """
    v, n = history.variance("probability"), history.size
    extra = (n - 1.0).clamp_min_(torch.finfo(torch.float32).eps)
    return filled((v + v.square() / extra).sqrt_(), n > 1)


@score
def threshold_closeness(history: Observed) -> Float[Tensor, " examples"]:
    """The product pm (1 - pm), of the mean: how near the decision is (Chang et al. 2017)."""
    mean = history.mean("probability")
    return filled(mean * (1.0 - mean), history.count > 0)


@score
def mean_loss(history: Observed) -> Float[Tensor, " examples"]:
    """The mean loss: the importance of Sheikholeslami et al. (2023)."""
    return _mean(history, "loss")


@score
def loss_variance(history: Observed) -> Float[Tensor, " examples"]:
    """The population variance of the loss (Sheikholeslami et al. 2023); defined from two observations on."""
    return filled(history.variance("loss"), history.count > 1)


@score
def confidence(history: Observed) -> Float[Tensor, " examples"]:
    """The mean pm as an axis of the data map (Swayamdipta et al. 2020); equal to easiness."""
    return _mean(history, "probability")


@score
def variability(history: Observed) -> Float[Tensor, " examples"]:
    """sqrt(v), the other axis of the data map (Swayamdipta et al. 2020); defined from two observations on."""
    return filled(history.variance("probability").sqrt(), history.count > 1)


@score
def correctness(history: Observed) -> Float[Tensor, " examples"]:
    """The share of observations in which the true class had the highest logit (Swayamdipta et al. 2020)."""
    return _mean(history, "correct")


@score
def forgetting(history: Observed) -> Float[Tensor, " examples"]:
    """How often the example went from correct to wrong (Toneva et al. 2019).

    An example that was never once correct has nothing to forget and yet is the hardest: it gets the
    largest number of observations of any example, which no number of transitions can reach.
    """
    count = history.count
    never_learnt = history.mean("correct") <= 0.0
    return filled(torch.where(never_learnt, count.max(), history.transitions()), count > 0)


@score
def el2n(history: Observed) -> Float[Tensor, " examples"]:
    """The mean of |softmax(z) - onehot(y)|_2 (Paul et al. 2021).

    Meant early in training and over several seeds: merge the histories of the runs.
    """
    return _mean(history, "el2n")


@score
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
