"""How well a score separates two kinds of examples: the area under its ROC curve, ties counted by half."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from headrace.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_Z = 1.959963984540054
"""The 97.5% point of the normal distribution."""


@dataclass(frozen=True, kw_only=True)
class Area:
    """The area under a ROC curve.

    Attributes:
        area: The probability that a positive scores higher than a negative, ties counted by half.
        interval: 95% by DeLong's variance and the normal approximation, within 0 and 1; None where one kind
            has fewer than two examples.
    """

    area: float
    interval: tuple[float, float] | None


def area_under_roc(scores: ArrayLike, positive: ArrayLike) -> Area:
    """The area under the ROC curve of a score, with its interval, in O(n log n).

    A = P(score of a positive > score of a negative) + P(equal) / 2, from the ranks (Mann and Whitney).
    The variance is that of DeLong et al. (1988), from each example's share of the other kind that it beats
    (by the midranks of Sun and Xu 2014) [M].

    Args:
        scores: Higher means positive [examples].
        positive: Which examples are positive [examples].

    Raises:
        InputError: Different lengths, a score that is not a number, labels other than 0 and 1, or only one
            kind of examples.
    """
    values, kinds = _checked(scores, positive)
    ones, zeros = values[kinds], values[~kinds]
    beaten = _beaten(ones, zeros)
    area = float(beaten.mean())
    if min(len(ones), len(zeros)) < 2:
        return Area(area=area, interval=None)
    survived = 1.0 - _beaten(zeros, ones)
    error = math.sqrt(beaten.var(ddof=1) / len(ones) + survived.var(ddof=1) / len(zeros))
    return Area(area=area, interval=(max(0.0, area - _Z * error), min(1.0, area + _Z * error)))


def _beaten(
    mine: Float[np.ndarray, " mine"], theirs: Float[np.ndarray, " theirs"]
) -> Float[np.ndarray, " mine"]:
    """For each of `mine`, the share of `theirs` that is lower, ties counted by half."""
    ordered = np.sort(theirs)
    lower, not_higher = np.searchsorted(ordered, mine, "left"), np.searchsorted(ordered, mine, "right")
    return (lower + not_higher) / (2.0 * len(theirs))


def _checked(
    scores: ArrayLike, positive: ArrayLike
) -> tuple[Float[np.ndarray, " examples"], Bool[np.ndarray, " examples"]]:
    given, marks = np.asarray(scores), np.asarray(positive)
    if given.dtype.kind not in "biuf":
        raise InputError("scores must be numbers", where="area_under_roc", got=given.dtype.name)
    if marks.dtype.kind not in "biuf" or not np.isin(marks, (0, 1)).all():
        raise InputError(
            "positive must hold true and false, or 1 and 0",
            where="area_under_roc",
            got=marks[:20].tolist(),
            fix="Compare your labels with the positive one: labels == POSITIVE.",
        )
    values, kinds = given.astype(np.float64), marks.astype(bool)
    if values.ndim != 1 or values.shape != kinds.shape:
        raise InputError(
            "one score for each example is needed", where="area_under_roc", got=[values.shape, kinds.shape]
        )
    if np.isnan(values).any():
        raise InputError("a score is not a number", where="area_under_roc", got=float("nan"))
    if kinds.all() or not kinds.any():
        raise InputError("examples of both kinds are needed", where="area_under_roc", got=int(kinds.sum()))
    return values, kinds
