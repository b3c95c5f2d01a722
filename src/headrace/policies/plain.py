"""The plain policies: every example alike. `Shuffle` is the smallest complete policy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headrace.checks import number
from headrace.policies._base import Policy, Values
from headrace.policies._values import store
from headrace.sampling.draws import permutation
from headrace.sampling.plan import Epoch, Known, Plan


@dataclass(frozen=True)
class Shuffle(Policy):
    """Every example once per epoch, in random order (SGD-Scan in Chang et al. 2017)."""

    changes_objective = False

    def assess(self, known: Known, epoch: Epoch) -> None:
        """Needs nothing."""

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """A permutation."""
        return Plan(indices=permutation(epoch.num_examples, rng))

    def draws(self, epoch: Epoch) -> int:
        """Every example once."""
        return epoch.num_examples


@dataclass(frozen=True)
class Uniform(Policy):
    """Independent uniform draws with replacement (SGD-Uni in Chang et al. 2017)."""

    changes_objective = False

    def assess(self, known: Known, epoch: Epoch) -> None:
        """Needs nothing."""

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """As many draws as were asked for."""
        return Plan(indices=rng.integers(0, epoch.num_examples, epoch.draws, dtype=np.int64))

    def draws(self, epoch: Epoch) -> int:
        """As many as were asked for."""
        return epoch.draws


@dataclass(frozen=True)
class RandomSubsets(Policy):
    """A fresh random subset each epoch (RS2, Okanovic et al. 2024): the baseline of every pruning claim.

    Args:
        share: The share of the examples trained on in each epoch, in (0, 1].
    """

    share: float = 0.3
    changes_objective = False

    def __post_init__(self) -> None:
        """Check the settings."""
        number(self.share, "rs2.share", above=0, most=1)
        store(self, share=self.share)

    def assess(self, known: Known, epoch: Epoch) -> None:
        """Needs nothing."""

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """The beginning of a permutation."""
        return Plan(indices=permutation(epoch.num_examples, rng)[: self.draws(epoch)].copy())

    def draws(self, epoch: Epoch) -> int:
        """The share, rounded up."""
        return math.ceil(self.share * epoch.num_examples)
