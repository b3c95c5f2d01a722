"""The best hyperparameters against batch size, and whether a rule could have replaced the search.

Two rules are common: the learning rate in proportion to the batch size, and to its square root. Both
are judged here by the effective learning rate lr/(1-momentum), as Shallue et al. (2019) do: with
momentum a gradient acts for about 1/(1-momentum) steps. Unlike theirs, that memory counts up to half the run:
at large batch sizes 1/(1-momentum) is often longer than the run itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headrace.analysis.studies import Study
from headrace.errors import InputError
from headrace.specs.studies import Hyperparameters
from headrace.training.registry import OPTIMIZERS

RULES = {"linear": 1.0, "square root": 0.5}
"""Rule -> the power of the batch size that the learning rate is proportional to."""

_WITH_MOMENTUM = frozenset(name for name, entry in OPTIMIZERS.items() if "momentum" in entry.uses)


@dataclass(frozen=True, kw_only=True)
class RuleCheck:
    """How the best effective learning rate of one curve depends on the batch size.

    Attributes:
        slope: d log lr / d log B by least squares over the studies that reached the goal: 1 for the linear
            rule, 0.5 for the square root.
        interval: Its t interval; None for two points.
        misses: Rule -> the largest factor by which the rule, started from the best value at the smallest
            batch size, lies above or below the best value at another.
        points: The number of studies.
        smallest: The smallest batch size among them.
        largest: The largest.
    """

    slope: float
    interval: tuple[float, float] | None
    misses: dict[str, float]
    points: int
    smallest: int
    largest: int

    def supported(self, rule: str) -> bool | None:
        """Whether the interval holds the rule's power; None where there is no interval."""
        return None if self.interval is None else self.interval[0] <= RULES[rule] <= self.interval[1]


def effective_learning_rate(
    optimizer: str, values: Hyperparameters, steps: int | None = None
) -> float | None:
    """Learning rate times min(1/(1-momentum), steps/2) if there is momentum (0.9 where it was not set).

    A gradient acts for about 1/(1-momentum) steps, but not beyond the end of the run: averaged over a run
    that is shorter than that memory, for half of its steps. Without momentum the learning rate.

    Args:
        optimizer: One of "sgd", "momentum", "nesterov", "adamw".
        values: A trial's hyperparameters.
        steps: The steps of the run; None if they are not known, or no bound is wanted.

    Returns:
        The effective learning rate, or None where the trial has no learning rate.
    """
    rate, momentum = values.get("learning_rate"), values.get("momentum", 0.9)
    if not isinstance(rate, int | float) or isinstance(momentum, str):
        return None
    if optimizer not in _WITH_MOMENTUM:
        return float(rate)
    memory = 1 / (1 - momentum)
    return rate * (memory if steps is None else min(memory, max(1.0, steps / 2)))


def check_rules(batch_sizes: Sequence[int], rates: Sequence[float], *, level: float = 0.95) -> RuleCheck:
    """Hold the two rules against the best effective learning rates of one curve.

    Args:
        batch_sizes: At least two different ones.
        rates: The best effective learning rate at each, positive.
        level: The level of the slope's interval.

    Raises:
        InputError: Fewer than two batch sizes.
    """
    if len(set(batch_sizes)) < 2:
        raise InputError("a rule needs two different batch sizes", where="batch_sizes", got=list(batch_sizes))
    points = sorted(zip(batch_sizes, rates, strict=True))
    log_batch = np.log([float(batch) for batch, _ in points])
    log_rate = np.log([rate for _, rate in points])
    spread = log_batch - log_batch.mean()
    slope = float((spread * log_rate).sum() / (spread**2).sum())
    off = log_rate - log_rate.mean() - slope * spread
    return RuleCheck(
        slope=slope,
        interval=_slope_interval(slope, off, spread, level),
        misses={
            rule: math.exp(float(np.abs(log_rate - log_rate[0] - power * (log_batch - log_batch[0])).max()))
            for rule, power in RULES.items()
        },
        points=len(points),
        smallest=points[0][0],
        largest=points[-1][0],
    )


def _slope_interval(
    slope: float, off: np.ndarray, spread: np.ndarray, level: float
) -> tuple[float, float] | None:
    from scipy.special import stdtrit

    freedom = len(off) - 2
    if freedom < 1:
        return None
    error = math.sqrt(float((off**2).sum()) / freedom / float((spread**2).sum()))
    half = float(stdtrit(freedom, (1 + level) / 2)) * error
    return slope - half, slope + half


def rules_of(studies: Sequence[Study]) -> RuleCheck | None:
    """The check for one curve; None where fewer than two of its studies have a best learning rate."""
    found = [
        (study.batch_size, rate)
        for study in studies
        if study.best is not None
        and (rate := effective_learning_rate(study.key.optimizer, study.best, study.result.steps)) is not None
    ]
    return check_rules(*zip(*found, strict=True)) if len({batch for batch, _ in found}) >= 2 else None
