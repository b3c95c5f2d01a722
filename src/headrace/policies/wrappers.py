"""Policies made from policies: burn-in, refresh interval, annealing to uniform, per class."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np

from headrace.checks import instance, whole
from headrace.errors import InputError
from headrace.policies._base import BatchPolicy, Policy, Values
from headrace.policies._values import filled, store
from headrace.policies.plain import Shuffle, Uniform
from headrace.sampling.draws import shuffle
from headrace.sampling.plan import Epoch, Known, Need, Plan


@dataclass(frozen=True)
class Wrapper(Policy):
    """A policy that changes when or on what another is used; all else is passed to the other."""

    policy: Policy
    changes_objective: bool = field(init=False, repr=False)
    needs: frozenset[Need] = field(init=False, repr=False)
    refresh_epochs: int = field(init=False, repr=False)
    graded: bool = field(init=False, repr=False)
    divides: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Copy the other's properties, and check the settings."""
        instance(self.policy, Policy, f"{type(self).__name__}.policy", "a policy")
        for name in ("changes_objective", "needs", "refresh_epochs", "graded", "divides"):
            object.__setattr__(self, name, getattr(self.policy, name))
        if hasattr(self, "epochs"):
            name = f"{type(self).__name__}.epochs"
            store(self, epochs=whole(getattr(self, "epochs", None), name, least=1))
        self.check()

    @abstractmethod
    def check(self) -> None:
        """`InputError` if the settings do not fit."""


@dataclass(frozen=True)
class BurnIn(Wrapper):
    """Plain shuffling for the first epochs; the history is recorded meanwhile.

    Args:
        policy: What follows.
        epochs: For how many epochs, at least 1.
    """

    epochs: int = 1

    def check(self) -> None:
        """At least one epoch."""

    def assess(self, known: Known, epoch: Epoch) -> Values | None:
        """Nothing while it lasts."""
        return None if epoch.number < self.epochs else self.policy.assess(known, epoch)

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """While it lasts a permutation, or uniform draws if a number of draws was asked for."""
        if epoch.number < self.epochs:
            return (Shuffle() if epoch.size is None else Uniform()).plan(None, epoch, rng)
        return self.policy.plan(values, epoch, rng)

    def draws(self, epoch: Epoch) -> int | None:
        """As many as were asked for while it lasts, or every example once."""
        return epoch.draws if epoch.number < self.epochs else self.policy.draws(epoch)


@dataclass(frozen=True)
class Refreshed(Wrapper):
    """Assess the examples only every `epochs` epochs; in between the values stay.

    Args:
        policy: Whose values.
        epochs: The interval, at least 1.
    """

    epochs: int = 1

    def check(self) -> None:
        """At least one epoch."""
        object.__setattr__(self, "refresh_epochs", self.epochs)

    def assess(self, known: Known, epoch: Epoch) -> Values | None:
        """The other's."""
        return self.policy.assess(known, epoch)

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """The other's."""
        return self.policy.plan(values, epoch, rng)

    def draws(self, epoch: Epoch) -> int | None:
        """The other's."""
        return self.policy.draws(epoch)


@dataclass(frozen=True)
class Annealed(Wrapper):
    """Move the values linearly to their mean, so that the policy ends uniform.

    In epoch e the values are `(1 - a) values + a mean`, `a = min(e / epochs, 1)`.

    Args:
        policy: One whose treatment follows its values smoothly (`graded`).
        epochs: When it is uniform, at least 1.
    """

    epochs: int = 10

    def check(self) -> None:
        """At least one epoch, and a policy that can be annealed."""
        if not self.policy.graded:
            raise InputError(
                "cannot be annealed: it does not follow its values smoothly",
                where=type(self.policy).__name__,
                fix="Anneal a sample, importance-sample, weight, focal or recency-bias policy.",
            )

    def assess(self, known: Known, epoch: Epoch) -> Values | None:
        """The other's."""
        return self.policy.assess(known, epoch)

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """The other's, of values nearer to their mean."""
        if values is None:
            return self.policy.plan(None, epoch, rng)
        share = min(epoch.number / self.epochs, 1.0)
        known = filled(values)
        return self.policy.plan((1 - share) * known + share * known.mean(), epoch, rng)

    def draws(self, epoch: Epoch) -> int | None:
        """The other's."""
        return self.policy.draws(epoch)


@dataclass(frozen=True)
class PerClass(Wrapper):
    """The policy within each class, so that the classes keep their shares.

    Args:
        policy: One that plans epochs (not a batch policy).
    """

    def check(self) -> None:
        """A policy that plans epochs."""
        if batch_policy(self.policy) is not None:
            raise InputError(
                "chooses within batches and cannot be used per class", where=type(self.policy).__name__
            )
        if self.policy.divides:
            raise InputError(
                "divides the examples among workers and cannot be used per class",
                where=type(self.policy).__name__,
            )
        object.__setattr__(self, "needs", self.policy.needs | {"labels"})

    def assess(self, known: Known, epoch: Epoch) -> Values | None:
        """The other's."""
        return self.policy.assess(known, epoch)

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """A plan for each class, joined and shuffled."""
        members = _members(epoch)
        plans = [
            self.policy.plan(None if values is None else values[mine], _of_class(epoch, mine), rng)
            for mine in members
        ]
        parts = zip(members, plans, strict=True)
        indices = shuffle(np.concatenate([mine[plan.indices] for mine, plan in parts]), rng)
        weights = None
        if any(plan.weights is not None for plan in plans):
            weights = np.ones(epoch.num_examples)
            for mine, plan in zip(members, plans, strict=True):
                weights[mine] = 1.0 if plan.weights is None else plan.weights
        stands_for = sum(len(plan.indices) if plan.stands_for is None else plan.stands_for for plan in plans)
        return Plan(indices=indices, weights=weights, stands_for=stands_for)

    def draws(self, epoch: Epoch) -> int | None:
        """The sum over the classes."""
        counts = [self.policy.draws(_of_class(epoch, mine)) for mine in _members(epoch)]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None


def batch_policy(policy: Policy) -> BatchPolicy | None:
    """The batch policy that `policy` is or wraps, or None."""
    while isinstance(policy, Wrapper):
        policy = policy.policy
    return policy if isinstance(policy, BatchPolicy) else None


def _members(epoch: Epoch) -> list[np.ndarray]:
    """The examples of each class."""
    if epoch.labels is None:
        return [np.arange(epoch.num_examples)]
    order = np.argsort(epoch.labels, kind="stable")
    starts = np.flatnonzero(np.diff(epoch.labels[order])) + 1
    return np.split(order, starts)


def _of_class(epoch: Epoch, members: np.ndarray) -> Epoch:
    return replace(epoch, num_examples=len(members), size=None, labels=None)
