"""What several policies do with assessed values: pure functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from headrace.arrays import on_host
from headrace.errors import InputError
from headrace.histories import registry
from headrace.sampling.plan import Epoch

SCORES = (
    *(name.replace("_", "-") for name, score in registry.SCORES.items() if not score.negative),
    "last-loss",
)
"""The scores that are never negative, so that a policy can draw or weigh by them."""
_SIGNED = tuple(name.replace("_", "-") for name, score in registry.SCORES.items() if score.negative)


def store(policy: object, **checked: Any) -> None:
    """Keep checked settings of a frozen policy, NumPy's numbers as Python's: equal policies read alike."""
    for name, value in checked.items():
        plain = value.item() if isinstance(value, np.generic) else value
        object.__setattr__(policy, name, plain)


def check_score(name: object, where: str) -> None:
    """`InputError` if a policy cannot draw by the score `name`."""
    if not isinstance(name, str) or name.replace("_", "-") not in SCORES:
        raise InputError(
            "unknown score to draw or weigh by", where=where, got=name, fix=f"Known: {', '.join(SCORES)}."
        )


def check_partition_score(name: object, where: str) -> None:
    """`InputError` if examples cannot be sorted by the score `name`."""
    known = (*SCORES, *_SIGNED)
    if not isinstance(name, str) or name.replace("_", "-") not in known:
        raise InputError("unknown score", where=where, got=name, fix=f"Known: {', '.join(known)}.")


def score(name: str, history: Any) -> Float[np.ndarray, " examples"]:
    """The score `name` (`-` or `_` between words) of a history, float64 on the host [examples]."""
    if name.replace("_", "-") == "last-loss":
        return last_losses(history)
    from headrace.histories import scores

    # Rounding may leave a difficulty of -1e-8.
    values = as_float64(scores.SCORES[name.replace("-", "_")](history))
    return np.where((values < 0) & (values > -1e-5), 0.0, values)


def as_float64(values: Any) -> Float[np.ndarray, " examples"]:
    """An array or a tensor on any device, as float64 on the host."""
    return on_host(values, np.float64)


def last_losses(history: Any) -> Float[np.ndarray, " examples"]:
    """The loss that each example had when it was last trained on [examples]; NaN if never."""
    return np.where(as_float64(history.count) > 0, as_float64(history.last_loss()), np.nan)


def filled(values: Float[np.ndarray, " examples"]) -> Float[np.ndarray, " examples"]:
    """The values, with the mean of the defined ones for undefined ones (NaN); all 1 if none is defined.

    A score of too few predictions is undefined; the mean neither favours nor neglects such an example.
    """
    undefined = np.isnan(values)
    if not undefined.any():
        return values
    if undefined.all():
        return np.ones_like(values)
    return np.where(undefined, values[~undefined].mean(), values)


def mean_one(weights: Float[np.ndarray, " examples"]) -> Float[np.ndarray, " examples"]:
    """The weights scaled so that their mean over the training set is one."""
    return weights / weights.mean()


def pressure(first: float, epoch: Epoch, policy: str) -> float:
    """Selection pressure that falls exponentially from `first` in epoch 0 to 1 in the last epoch."""
    epoch.progress(policy)
    left = 1 - epoch.number / max((epoch.epochs or 1) - 1, 1)
    return float(first ** max(left, 0.0))
