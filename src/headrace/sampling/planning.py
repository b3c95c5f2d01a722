"""From a policy and the facts that it reads to the plans of the epochs; the state that makes a plan again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

from headrace.checks import array, whole
from headrace.errors import InputError
from headrace.random import generator
from headrace.sampling.draws import (
    checked_weights,
    draw_checked,
    draw_without_replacement,
    permutation,
)
from headrace.sampling.plan import NEEDS, Epoch, Known, Need, Plan, Planner
from headrace.sampling.sums import checksum

WeightSource = npt.ArrayLike | Callable[[], npt.ArrayLike]
"""One weight per example, or a function that returns them."""

Draw = Literal["independent", "systematic", "without-replacement"]


class EveryExample:
    """What a sampler without a policy plans: a permutation."""

    needs: frozenset[Need] = frozenset()
    refresh_epochs = 1
    divides = False

    def __repr__(self) -> str:
        return "EveryExample()"

    def assess(self, known: Known, epoch: Epoch) -> None:
        """Needs nothing."""

    def plan(
        self, values: Float[np.ndarray, " examples"] | None, epoch: Epoch, rng: np.random.Generator
    ) -> Plan:
        """A permutation."""
        return Plan(indices=permutation(epoch.num_examples, rng))

    def draws(self, epoch: Epoch) -> int:
        """Every example once."""
        return epoch.num_examples


class GivenWeights:
    """Draws in proportion to weights that are read at the start of every epoch.

    Args:
        source: The weights [examples], which may be changed in place, or a function that returns them.
        draw: The form of the draws, see `headrace.sampling.draws`.
    """

    needs: frozenset[Need] = frozenset()
    refresh_epochs = 1
    divides = False

    def __init__(self, source: WeightSource, draw: Draw = "independent") -> None:
        self.source = source
        self.draw: Draw = draw

    def __repr__(self) -> str:
        return f"GivenWeights(draw={self.draw!r})"

    def weights(self) -> Float[np.ndarray, " examples"]:
        """The weights as they are at this moment, checked, a copy."""
        given = self.source() if callable(self.source) else self.source
        return checked_weights(given).copy()

    def assess(self, known: Known, epoch: Epoch) -> Float[np.ndarray, " examples"]:
        """The weights at the start of the epoch."""
        weights = self.weights()
        if len(weights) != known.num_examples:
            raise InputError(
                f"the number of weights changed from {known.num_examples}", where="weights", got=len(weights)
            )
        return weights

    def plan(
        self, values: Float[np.ndarray, " examples"] | None, epoch: Epoch, rng: np.random.Generator
    ) -> Plan:
        """As many draws as were asked for."""
        weights = np.ones(epoch.num_examples) if values is None else values
        if self.draw == "without-replacement":
            return Plan(indices=draw_without_replacement(weights, epoch.draws, rng))
        systematic = self.draw == "systematic"
        return Plan(indices=draw_checked(weights, epoch.draws, rng, systematic=systematic))

    def draws(self, epoch: Epoch) -> int:
        """As many as were asked for."""
        return epoch.draws


class Planning:
    """The plan of the current epoch and the values it was made from.

    Args:
        policy: What plans.
        known: What it may read.
        seed: The root seed; epoch e is planned on the stream `("policy", e)`.
        epochs: The length of the training, or None.
        size: Asked number of draws, or None.
        labels: The class of each example, or None.
        workers: Says how many share each batch.
    """

    def __init__(
        self,
        policy: Planner,
        known: Known,
        *,
        seed: int,
        epochs: int | None,
        size: int | None,
        labels: np.ndarray | None,
        workers: Callable[[], int],
    ) -> None:
        self.policy = policy
        self.known = known
        self.seed = seed
        self.epochs = epochs
        self.size = size
        self.labels = labels
        self.workers = workers
        self.values: np.ndarray | None = None
        self._assessed_in: int | None = None
        self._planned: tuple[int, Plan] | None = None
        self._summed: tuple[Plan, int] | None = None
        self._check()

    def epoch(self, number: int) -> Epoch:
        """The epoch as the policy sees it."""
        return Epoch(
            number=number,
            epochs=self.epochs,
            num_examples=self.known.num_examples,
            size=self.size,
            labels=self.labels,
            workers=self.workers(),
            seed=self.seed,
        )

    def plan(self, number: int) -> Plan:
        """The plan of an epoch: made at the first call for it, then the same until another is asked for."""
        if self._planned is None or self._planned[0] != number:
            self._refresh(number)
            rng = generator(self.seed, "policy", number)
            self._planned = (number, self.policy.plan(self.values, self.epoch(number), rng))
        return self._planned[1]

    def checksum(self, number: int) -> int:
        """A number for an epoch's plan."""
        plan = self.plan(number)
        if self._summed is None or self._summed[0] is not plan:
            self._summed = (plan, checksum(plan.indices, plan.weights))
        return self._summed[1]

    def length(self, number: int) -> int | None:
        """The number of indices in an epoch; None if only the plan determines it."""
        if self._planned is not None and self._planned[0] == number:
            return len(self._planned[1].indices)
        return self.policy.draws(self.epoch(number))

    def candidates(self, number: int) -> int:
        """How many are forwarded for each one trained on; at most, before the epoch is planned."""
        if self._planned is not None and self._planned[0] == number:
            return self._planned[1].candidates
        return 1

    def state_dict(self) -> dict[str, Any]:
        """The values as a tensor, and in which epoch they were assessed."""
        import torch

        values = None if self.values is None else torch.tensor(self.values)
        return {"values": values, "assessed_in": self._assessed_in}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the values; the plan is made again from them.

        Raises:
            InputError: Values that are not one number per example.
        """
        where = "ExampleSampler.load_state_dict"
        values, assessed_in = state["values"], state["assessed_in"]
        if values is not None:
            values = array(values, f"{where}: values", "one number per example").copy()
            if len(values) != self.known.num_examples:
                raise InputError("must be one number per example", where=f"{where}: values", got=len(values))
        if assessed_in is not None:
            assessed_in = whole(assessed_in, f"{where}: assessed_in", least=0)
        self.values, self._assessed_in = values, assessed_in
        self._planned = None

    def _refresh(self, number: int) -> None:
        """Assess anew, unless this epoch's values exist or the last ones are still valid."""
        last = self._assessed_in
        if last is not None:
            serves = 1 if self.values is None else self.policy.refresh_epochs
            if 0 <= number - last < serves:
                return
        self.values = self.policy.assess(self.known, self.epoch(number))
        self._assessed_in = number

    def _check(self) -> None:
        for need in sorted(self.policy.needs):
            given = self.labels if need == "labels" else getattr(self.known, need)
            if given is None:
                raise InputError(
                    f"the policy {self.policy!r} needs {need}, which was not given",
                    where="ExampleSampler",
                    fix=NEEDS[need],
                )
        if self.size is None:
            return
        if self.policy.draws(self.epoch(0)) != self.size:
            raise InputError(
                f"has no effect: {self.policy!r} decides the length of its epochs",
                where="size",
                got=self.size,
                fix="Leave it out, or use a policy that draws.",
            )
