"""Active Bias (Chang, Learned-Miller and McCallum 2017): sample or weigh by the history of predictions.

With raw score `r` (Chang et al. use difficulty, easiness, prediction variance, threshold closeness) and
`s = r + epsilon`, epsilon the mean of `r` over the training set:

- `Sample`: draws with probability `P = s / sum s`, weights 1: the objective changes;
- `ImportanceSample`: the same draws, weights `1 / (N P) = mean(s) / s`: the objective does not change;
- `Weight`: every example once, weights `s / mean(s)`: the objective changes as for `Sample`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from headrace.checks import array, flag, number
from headrace.errors import InputError
from headrace.policies._base import Policy, Values
from headrace.policies._values import as_float64, check_score, filled, mean_one, score, store
from headrace.sampling.draws import draw_with_replacement, permutation
from headrace.sampling.plan import Epoch, Known, Plan

Score = str | Callable[[Any], Any]
"""The name of a score in `headrace.scores`, or a function from a history to one number per example."""


def smoothed(raw: Values, epsilon: float | None = None) -> Float[np.ndarray, " examples"]:
    """`raw + epsilon`, undefined values at the mean; epsilon None is the mean of `raw`, none negative.

    With the mean, no result is below half the mean result (Chang et al. 2017, section 3).

    Raises:
        InputError: A negative or infinite score, or an epsilon that is not above 0.
    """
    known = filled(array(raw, "score", "one number per example"))
    if not np.isfinite(known).all() or known.min() < 0:
        bad = int(np.flatnonzero(~(known >= 0) | np.isinf(known))[0])
        raise InputError(
            f"the score of example {bad} is negative or infinite, so examples cannot be drawn by it",
            where="score",
            got=float(known[bad]),
            fix="Use a score that is never negative, such as difficulty or mean_loss.",
        )
    added = float(known.mean()) if epsilon is None else number(epsilon, "epsilon", above=0)
    return known + added if added > 0 else np.ones_like(known)


@dataclass(frozen=True)
class _Scored(Policy):
    """What the three have in common: a score of the history and its smoothing."""

    score: Score = "difficulty"
    epsilon: float | None = None
    needs = frozenset({"history"})
    graded = True

    def __post_init__(self) -> None:
        """Check the settings."""
        name = type(self).__name__
        if self.epsilon is not None:
            number(self.epsilon, f"{name}.epsilon", above=0)
            store(self, epsilon=self.epsilon)
        if not callable(self.score):
            check_score(self.score, where=f"{name}.score")
        if hasattr(self, "systematic"):
            store(self, systematic=flag(getattr(self, "systematic", None), f"{name}.systematic"))

    def assess(self, known: Known, epoch: Epoch) -> Values:
        """The raw score of the history."""
        if isinstance(self.score, str):
            return score(self.score, known.history)
        return as_float64(self.score(known.history))


@dataclass(frozen=True)
class Sample(_Scored):
    """Draw with probability proportional to the smoothed score, all weights 1 (SD, SE, SPV, SPTC).

    Args:
        score: A name in `headrace.scores` or a function of the history.
        epsilon: Added to every raw score, positive; None is the mean of the raw scores, at each refresh.
        systematic: Draws whose counts vary least, instead of independent ones.
    """

    systematic: bool = False
    changes_objective = True

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """As many draws as were asked for."""
        odds = _odds(values, epoch, self.epsilon)
        return Plan(indices=draw_with_replacement(odds, epoch.draws, rng, systematic=self.systematic))

    def draws(self, epoch: Epoch) -> int:
        """As many as were asked for."""
        return epoch.draws


@dataclass(frozen=True)
class ImportanceSample(_Scored):
    """Draw as `Sample` does, and weigh by the inverse, so that the objective stays (ISD, ISE, ISPV, ISPTC).

    The weights `mean(s) / s` have mean one over the draws, so the expected gradient is exactly the full one.
    Chang et al. scale them to mean one over the training set, a constant factor on the learning rate.

    Args:
        score: A name in `headrace.scores` or a function of the history.
        epsilon: Added to every raw score, positive; None is the mean of the raw scores, at each refresh.
        systematic: Draws whose counts vary least, instead of independent ones.
    """

    systematic: bool = False
    changes_objective = False

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """As many draws as were asked for, and the weight of every example."""
        odds = _odds(values, epoch, self.epsilon)
        drawn = draw_with_replacement(odds, epoch.draws, rng, systematic=self.systematic)
        return Plan(indices=drawn, weights=odds.mean() / odds)

    def draws(self, epoch: Epoch) -> int:
        """As many as were asked for."""
        return epoch.draws


@dataclass(frozen=True)
class Weight(_Scored):
    """Every example once per epoch, weighed by its smoothed score (WD, WE, WPV, WPTC).

    Args:
        score: A name in `headrace.scores` or a function of the history.
        epsilon: Added to every raw score, positive; None is the mean of the raw scores, at each refresh.
    """

    changes_objective = True

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """A permutation, and weights of mean one."""
        weights = mean_one(_odds(values, epoch, self.epsilon))
        return Plan(indices=permutation(epoch.num_examples, rng), weights=weights)

    def draws(self, epoch: Epoch) -> int:
        """Every example once."""
        return epoch.num_examples


def _odds(values: Values | None, epoch: Epoch, epsilon: float | None) -> Float[np.ndarray, " examples"]:
    return np.ones(epoch.num_examples) if values is None else smoothed(values, epsilon)
