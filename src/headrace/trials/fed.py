"""What each epoch trained on: a log that listens to a trial's plans and choices. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, Int

from headrace.sampling.plan import Epoch, Known, Need, Plan, Planner
from headrace.store.portrait_records import Fed


def emphasis(plan: Plan, examples: int) -> Float[np.ndarray, " examples"]:
    """The sum of the loss weights of each example's draws in an epoch; 0 where it is not drawn."""
    draws = np.bincount(plan.indices, minlength=examples).astype(np.float64)
    return draws if plan.weights is None else draws * plan.weights


def effective_share(weights: Float[np.ndarray, " examples"]) -> float:
    """The effective sample size (sum w)^2 / sum w^2 (Kish 1965 [M]) as a share of the examples."""
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / (squares * len(weights)) if squares > 0 else 0.0


class Log(Protocol):
    """What hears of a trial's plans and choices."""

    def plan(self, epoch: int, plan: Plan) -> None:
        """An epoch was planned."""
        ...

    def chosen(self, indices: Int[np.ndarray, " chosen"], weights: Float[np.ndarray, " chosen"]) -> None:
        """Of a batch of candidates these are trained on."""
        ...


class LoggedPolicy:
    """A policy whose plans are passed to `listen` as well; in every other way the policy itself."""

    def __init__(self, policy: Planner, listen: Callable[[int, Plan], None]) -> None:
        self.policy = policy
        self.listen = listen
        self.needs: frozenset[Need] = policy.needs
        self.refresh_epochs: int = policy.refresh_epochs
        self.divides: bool = policy.divides

    def assess(self, known: Known, epoch: Epoch) -> Float[np.ndarray, " examples"] | None:
        """As the policy does."""
        return self.policy.assess(known, epoch)

    def plan(
        self, values: Float[np.ndarray, " examples"] | None, epoch: Epoch, rng: np.random.Generator
    ) -> Plan:
        """As the policy does; `listen` hears of it."""
        plan = self.policy.plan(values, epoch, rng)
        self.listen(epoch.number, plan)
        return plan

    def draws(self, epoch: Epoch) -> int | None:
        """The policy's."""
        return self.policy.draws(epoch)


class FedLog:
    """What each epoch trained on, from the plans, or from the choices where a policy chooses within batches.

    A batch of candidates that reaches from one epoch into the next counts to the later.

    Args:
        examples: The size of the training set.
        weights: What the examples' losses are multiplied by besides the policy's weights, or None [examples].
    """

    def __init__(self, examples: int, weights: Float[np.ndarray, " examples"] | None = None) -> None:
        self._examples = examples
        self._weights = np.ones(examples) if weights is None else weights
        self._seen = np.zeros(examples, dtype=bool)
        self._rows: list[tuple[int, Fed]] = []
        self._planned = 0
        self._open: tuple[int, np.ndarray, int] | None = None

    def plan(self, epoch: int, plan: Plan) -> None:
        """An epoch was planned."""
        self._close()
        self._planned += len(plan.indices)
        if plan.candidates > 1:
            self._open = (epoch, np.zeros(self._examples), 0)
        else:
            self._add(epoch, emphasis(plan, self._examples), len(plan.indices))

    def chosen(self, indices: Int[np.ndarray, " chosen"], weights: Float[np.ndarray, " chosen"]) -> None:
        """Of a batch of candidates these are trained on."""
        if self._open is not None:
            epoch, total, draws = self._open
            total += np.bincount(indices, weights=weights, minlength=self._examples)
            self._open = (epoch, total, draws + len(indices))

    def rows(self, fed: int) -> tuple[Fed, ...]:
        """The epochs that were fed to their ends.

        Args:
            fed: How many examples were handed out in all, candidates included.
        """
        if not self._planned:
            # Nothing was planned: permutations, joined end to end.
            for epoch in range(fed // self._examples):
                self._planned += self._examples
                self._add(epoch, np.ones(self._examples), self._examples)
        self._close()
        return tuple(row for end, row in self._rows if end <= fed)

    def _close(self) -> None:
        if self._open is not None:
            self._add(*self._open)
            self._open = None

    def _add(self, epoch: int, total: np.ndarray, draws: int) -> None:
        total = total * self._weights
        self._seen |= total > 0
        row: dict[str, Any] = {
            "epoch": epoch,
            "draws": draws,
            "effective": effective_share(total),
            "unseen": float((total <= 0).mean()),
            "never_seen": float((~self._seen).mean()),
        }
        self._rows.append((self._planned, Fed.model_validate(row)))
