"""Policies that decide which worker gets which examples (Sheikholeslami et al., DAIS 2023).

Every example is still seen once per epoch with weight 1. A worker's part of every batch comes from its own
examples, which it shuffles anew each epoch; with one worker that is plain shuffling. The parts stay as long
as the values do: `Refreshed` (`refresh_epochs`) is the paper's interval, `BurnIn` (`burn_in_epochs`) its
warm-up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from headrace.checks import choice
from headrace.errors import InputError
from headrace.policies._base import Policy, Values
from headrace.policies._values import as_float64, check_partition_score, filled, score
from headrace.policies.active_bias import Score
from headrace.random import generator
from headrace.sampling.draws import shuffle
from headrace.sampling.partition import partition
from headrace.sampling.plan import Epoch, Known, Need, Plan

VARIANCES = frozenset({"loss-variance", "prediction-variance", "variability"})
"""Scores that are not defined for a single observation."""


def dealt(parts: list[Int[np.ndarray, " examples_of_worker"]]) -> Int[np.ndarray, " examples"]:
    """The workers' examples dealt in turn: position p is worker p mod W's, in the order of its part.

    Args:
        parts: Of each worker; their lengths differ by one at most, the longer ones first.
    """
    order = np.empty(sum(map(len, parts)), dtype=np.int64)
    for worker, mine in enumerate(parts):
        order[worker :: len(parts)] = mine
    return order


class _Dividing(Policy):
    """What both have in common: the plan from the values."""

    changes_objective = False
    divides = True

    def draws(self, epoch: Epoch) -> int:
        """Every example once."""
        return epoch.num_examples


@dataclass(frozen=True)
class Partition(_Dividing):
    """Each worker gets examples by their score: stripes or blocks of the sorted order.

    `stripes`: worker w takes the places w, w + W, ...; `blocks`: contiguous pieces, so the last worker has
    the highest scores.

    Args:
        heuristic: "stripes" or "blocks".
        score: A name in `headrace.scores` or a function of the history; the paper takes the mean or the
            variance of the loss. A variance of fewer than two observations is refused.
    """

    heuristic: Literal["stripes", "blocks"] = "stripes"
    score: Score = "mean-loss"
    needs: frozenset[Need] = field(default=frozenset({"history"}), init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the settings."""
        choice(self.heuristic, "Partition.heuristic", ("stripes", "blocks"))
        if not callable(self.score):
            check_partition_score(self.score, where=f"partition-{self.heuristic}.score")

    @property
    def least_burn_in(self) -> int:
        """One epoch, two for a variance."""
        return self._observations

    def assess(self, known: Known, epoch: Epoch) -> Values:
        """The score; a few examples without an observation (of a batch over the epoch's end) at its mean."""
        count = as_float64(known.history.count)
        _check_observed(count, self._observations)
        raw = (
            score(self.score, known.history)
            if isinstance(self.score, str)
            else as_float64(self.score(known.history))
        )
        return filled(np.where(count > 0, raw, np.nan))

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """Each worker's examples in a random order, dealt in turn."""
        scores: Float[np.ndarray, " examples"] = np.zeros(epoch.num_examples) if values is None else values
        return _plan(partition(scores, epoch.workers, self.heuristic), rng)

    @property
    def _observations(self) -> int:
        name = self.score.replace("_", "-") if isinstance(self.score, str) else ""
        return 2 if name in VARIANCES else 1


@dataclass(frozen=True)
class RandomPartition(_Dividing):
    """Each worker gets random examples, the same ones for the interval: the baseline of the others."""

    def assess(self, known: Known, epoch: Epoch) -> Values:
        """A random number for each example."""
        return generator(epoch.seed, "partition", epoch.number).random(epoch.num_examples)

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """Each worker's examples in a random order, dealt in turn."""
        scores: Float[np.ndarray, " examples"] = np.zeros(epoch.num_examples) if values is None else values
        return _plan(partition(scores, epoch.workers, "blocks"), rng)


def _plan(parts: list[Int[np.ndarray, " examples_of_worker"]], rng: np.random.Generator) -> Plan:
    return Plan(indices=dealt([shuffle(part, rng) for part in parts]), dealt=True)


def _check_observed(count: Float[np.ndarray, " examples"], least: int) -> None:
    fix = "Warm up for longer (burn_in_epochs); if batches straddle epochs, by one more epoch."
    if not (count > 0).any():
        raise InputError("no example was observed yet, so none has a score", where="partition", fix=fix)
    short = np.flatnonzero(count < least)
    if least > 1 and len(short):
        raise InputError(
            f"a variance needs {least} observations, but {len(short)} examples (first {short[0]}) have fewer",
            where="partition",
            got=int(count[short[0]]),
            fix=fix,
        )
