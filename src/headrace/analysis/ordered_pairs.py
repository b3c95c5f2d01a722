"""Trials of equal number in two searches, as pairs: which of the two needed fewer steps.

Studies that differ in their policy, subset or workers alone try the same hyperparameters trial by trial. The
race has ordered such a pair if at least one of the two reached the goal, unless the other was stopped before
that step. Between equals each is ahead as often as the other, so the ordered pairs of all batch sizes
together are tosses of a coin: the sign test.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from headrace.analysis.studies import Study
from headrace.specs.space import POLICY
from headrace.specs.studies import Hyperparameters
from headrace.store.bound import Judged
from headrace.store.records import Status


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """How many pairs were ordered.

    Attributes:
        fewer: In which the first needed fewer steps than the second.
        more: In which it needed more.
    """

    fewer: int
    more: int

    @property
    def pairs(self) -> int:
        """All that were ordered."""
        return self.fewer + self.more

    @property
    def p(self) -> float:
        """The two-sided p-value of the sign test; 1 without a pair."""
        from scipy.special import bdtr

        if not self.pairs:
            return 1.0
        return min(1.0, 2 * float(bdtr(min(self.fewer, self.more), self.pairs, 0.5)))

    @property
    def least_p(self) -> float:
        """The p-value if all pairs had been ordered alike."""
        return min(1.0, 2.0 ** (1 - self.pairs))


def ordered(pairs: Iterable[tuple[Study, Study]]) -> Ordered:
    """The ordered pairs of trials of all pairs of studies together; equal steps order none."""
    signs = [
        _sign(_needed(mine), _needed(theirs[trial]))
        for study, base in pairs
        for theirs in [{judged.outcome.trial: judged for judged in base.trials}]
        for mine in study.trials
        if (trial := mine.outcome.trial) in theirs and _alike(study, base, trial)
    ]
    return Ordered(fewer=signs.count(-1), more=signs.count(1))


def _alike(study: Study, base: Study, trial: int) -> bool:
    mine, theirs = (_shared(of.hyperparameters.get(trial, {})) for of in (study, base))
    return mine == theirs


def _shared(values: Hyperparameters) -> Hyperparameters:
    return {name: value for name, value in values.items() if not name.startswith(POLICY)}


def _needed(judged: Judged) -> tuple[float, float]:
    """The least and the most steps that the trial may need; nothing is known about one that failed."""
    if judged.reached is not None:
        return judged.reached, judged.reached
    if judged.status is Status.FAILED:
        return 0.0, math.inf
    # A trial that diverged never arrives.
    return (math.inf if judged.status is Status.INFEASIBLE else judged.trained), math.inf


def _sign(mine: tuple[float, float], theirs: tuple[float, float]) -> int:
    """-1 where mine is shown to need fewer steps, 1 where more; 0 where neither is.

    One stopped at the step at which the other reached the goal had not reached it by then.
    """
    if mine == theirs:
        return 0
    if mine[1] <= theirs[0] and math.isfinite(mine[1]):
        return -1
    return 1 if theirs[1] <= mine[0] and math.isfinite(theirs[1]) else 0
