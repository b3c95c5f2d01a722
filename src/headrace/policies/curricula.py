"""Policies that leave examples out, or weigh them, by how hard they were."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headrace.checks import number
from headrace.policies._base import Policy, Values
from headrace.policies._values import filled, last_losses, mean_one, score, store
from headrace.sampling.draws import permutation, shuffle
from headrace.sampling.plan import Epoch, Known, Plan


@dataclass(frozen=True)
class InfoBatch(Policy):
    """Leave out a random part of the examples whose last loss is below the mean (Qin et al. 2024).

    Those of them that stay weigh correspondingly more, so the epoch's expected gradient is the full one. The
    paper's weight 1/(1-r) holds if r times their number is whole; here the weight is their number over the
    number kept, so the weights add up to N exactly. Examples without a loss are kept.

    Args:
        ratio: The share left out of those below the mean, in [0, 1).
        until: The share of the epochs after which all examples are trained on, in [0, 1].
    """

    ratio: float = 0.5
    until: float = 0.875
    changes_objective = False
    needs = frozenset({"history"})

    def __post_init__(self) -> None:
        """Check the settings."""
        number(self.ratio, "infobatch.ratio", least=0, below=1)
        number(self.until, "infobatch.until", least=0, most=1)
        store(self, ratio=self.ratio, until=self.until)

    def assess(self, known: Known, epoch: Epoch) -> Values:
        """The last loss of each example."""
        return last_losses(known.history)

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """What was kept, in random order; it represents all examples."""
        order = permutation(epoch.num_examples, rng)
        full = epoch.progress("infobatch") >= self.until
        if values is None or full or np.isnan(values).all():
            return Plan(indices=order)
        low = values < np.nanmean(values)
        candidates = int(low.sum())
        dropped = math.floor(self.ratio * candidates)
        weights = np.ones(epoch.num_examples)
        weights[low] = candidates / max(candidates - dropped, 1)
        kept = np.ones(epoch.num_examples, dtype=bool)
        kept[shuffle(np.flatnonzero(low), rng)[:dropped]] = False
        return Plan(indices=order[kept[order]], weights=weights, stands_for=epoch.num_examples)

    def draws(self, epoch: Epoch) -> None:
        """Depends on the losses."""


@dataclass(frozen=True)
class SelfPaced(Policy):
    """Train on the examples of small loss only, on more of them as training proceeds (Kumar et al. 2010).

    The rule is `v = 1[loss < lambda]` with a growing lambda. Here lambda is the quantile of the last losses
    that lets a given share through, because a share does not depend on the scale of the loss.

    Args:
        start: The share of the examples in epoch 0, in (0, 1].
        full_at: The share of the epochs at which all examples are trained on, in (0, 1].
    """

    start: float = 0.5
    full_at: float = 0.5
    changes_objective = True
    needs = frozenset({"history"})

    def __post_init__(self) -> None:
        """Check the settings."""
        for name in ("start", "full_at"):
            number(getattr(self, name), f"self-paced.{name}", above=0, most=1)
        store(self, start=self.start, full_at=self.full_at)

    def share(self, epoch: Epoch) -> float:
        """The share of the examples that are trained on; grows linearly."""
        grown = min(epoch.progress("self-paced") / self.full_at, 1.0)
        return self.start + (1 - self.start) * grown

    def assess(self, known: Known, epoch: Epoch) -> Values:
        """The last loss of each example."""
        return last_losses(known.history)

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """The easiest, in random order; a random share while no loss was recorded."""
        order = permutation(epoch.num_examples, rng)
        losses = np.zeros(epoch.num_examples) if values is None else filled(values)
        # Ties are broken at random: the sort is stable and the order is random.
        easiest = np.argsort(losses[order], kind="stable")[: self.draws(epoch)]
        return Plan(indices=shuffle(order[easiest], rng))

    def draws(self, epoch: Epoch) -> int:
        """The share, rounded up."""
        return math.ceil(self.share(epoch) * epoch.num_examples)


@dataclass(frozen=True)
class Focal(Policy):
    """Weigh every example by `(1 - p)^gamma`, p the mean probability of its true class in the history.

    The focal loss (Lin et al. 2017) uses the p of the same forward pass and differentiates through the
    factor; here the factor is a weight, as in the other policies, normalised to mean one. A weight is at
    least a millionth of the largest, so that none is zero.

    Args:
        gamma: 0 is plain shuffling; the paper's choice is 2.
    """

    gamma: float = 2.0
    changes_objective = True
    graded = True
    needs = frozenset({"history"})

    def __post_init__(self) -> None:
        """Check the settings."""
        number(self.gamma, "focal.gamma", above=0)
        store(self, gamma=self.gamma)

    def assess(self, known: Known, epoch: Epoch) -> Values:
        """One minus the mean probability of the true class."""
        return score("difficulty", known.history)

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """A permutation, and weights of mean one."""
        order = permutation(epoch.num_examples, rng)
        if values is None:
            return Plan(indices=order)
        factors = np.clip(filled(values), 0.0, 1.0) ** self.gamma
        largest = factors.max()
        weights = np.maximum(factors, 1e-6 * largest) if largest > 0 else np.ones_like(factors)
        return Plan(indices=order, weights=mean_one(weights))

    def draws(self, epoch: Epoch) -> int:
        """Every example once."""
        return epoch.num_examples
