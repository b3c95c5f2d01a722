"""What the sampler asks of a policy and what it gets: plain records, without torch.

The sampler is below the policies and knows them only by the protocol `Planner`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from headrace.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Need = Literal["history", "label_window", "holdout_losses", "labels"]
"""What a policy may need besides the number of examples."""

NEEDS: dict[Need, str] = {
    "history": "Give ExampleSampler(history=...) and record every trained batch into it.",
    "label_window": "Give ExampleSampler(label_window=headrace.histories.LabelWindow(...)) and "
    "record every trained batch into it.",
    "holdout_losses": "Train a model on data held out from training, evaluate the loss of every training "
    "example with it, and give these as ExampleSampler(holdout_losses=...).",
    "labels": "Give the class of every example as ExampleSampler(labels=...).",
}
"""Each need, and how it is met."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """The facts that a policy may read when it assesses the examples; it must not change them.

    Attributes:
        num_examples: Examples in the training set.
        history: A `headrace.History` (or any record that the scores read), or None.
        label_window: The labels predicted lately, or None.
        holdout_losses: Loss of each example under a model trained on held-out data [examples], or None.

    Raises:
        InputError: The history or the window is of another number of examples.
    """

    num_examples: int
    history: Any = None
    label_window: Any = None
    holdout_losses: Float[np.ndarray, " examples"] | None = None

    def __post_init__(self) -> None:
        for name in ("history", "label_window"):
            size = getattr(getattr(self, name), "num_examples", self.num_examples)
            if size != self.num_examples:
                raise InputError(
                    f"is of {size} examples, but the training set has {self.num_examples}",
                    where=name,
                    fix="Give the one that records this training set.",
                )


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """The epoch that a policy plans.

    Attributes:
        number: From 0.
        epochs: How many there will be, or None if the number was not given.
        num_examples: Examples in the training set.
        size: Asked number of draws, for policies that draw; None means `num_examples`.
        labels: The class of each example [examples], or None.
        workers: How many workers share each batch.
        seed: The root of the sampler's streams, for what must stay the same over several epochs.
    """

    number: int
    num_examples: int
    epochs: int | None = None
    size: int | None = None
    labels: Int[np.ndarray, " examples"] | None = None
    workers: int = 1
    seed: int = 0

    @property
    def draws(self) -> int:
        """How many draws a policy makes if it can make any number."""
        return self.num_examples if self.size is None else self.size

    def progress(self, policy: str) -> float:
        """The share of the training that is over, in [0, 1); `InputError` if its length was not given."""
        if self.epochs is None:
            raise InputError(
                f"{policy} changes over the training, so it needs the number of epochs",
                where="epochs",
                fix="Give the number of epochs as ExampleSampler(epochs=...).",
            )
        return min(self.number / self.epochs, 1.0)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One epoch: which examples in which order, and what their losses weigh.

    The expected sum of the weights over `indices` is `stands_for`; for a policy that does not change the
    objective, the expected sum of weight times gradient over `indices`, divided by `stands_for`, is the
    gradient of the mean loss over all examples.

    Attributes:
        indices: int64 [draws], in the order of training; any stretch is distributed like any other.
        weights: The weight of each example of the *training set* [examples], or None if all are 1.
        candidates: How many of these indices are forwarded for each one that is trained on (see
            `headrace.policies.BatchPolicy`).
        stands_for: How many examples the plan represents; None means the number of indices.
        dealt: Whether position p is for worker p modulo `Epoch.workers`; otherwise a worker may get any.
    """

    indices: Int[np.ndarray, " draws"]
    weights: Float[np.ndarray, " examples"] | None = None
    candidates: int = 1
    stands_for: int | None = None
    dealt: bool = False


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What is trained on of a batch of candidates.

    Attributes:
        positions: Positions within the candidates, int64 `[chosen]`, on their device; may repeat.
        weights: What each chosen example's loss is multiplied by `[chosen]`.
    """

    positions: Tensor
    weights: Tensor


class Planner(Protocol):
    """What the sampler calls; `headrace.policies.Policy` describes the whole contract."""

    needs: frozenset[Need]
    refresh_epochs: int
    divides: bool

    def assess(self, known: Known, epoch: Epoch) -> Float[np.ndarray, " examples"] | None:
        """One number per example, at the start of an epoch."""
        ...

    def plan(
        self, values: Float[np.ndarray, " examples"] | None, epoch: Epoch, rng: np.random.Generator
    ) -> Plan:
        """The epoch: a pure function of its arguments."""
        ...

    def draws(self, epoch: Epoch) -> int | None:
        """The number of indices in the epoch's plan, or None if it depends on the values."""
        ...


@runtime_checkable
class Picker(Protocol):
    """What the sampler calls of a policy that chooses within batches; see `headrace.policies.BatchPolicy`."""

    def rate(self, outputs: Tensor, targets: Tensor, losses: Tensor, values: Tensor | None) -> Tensor:
        """One number per candidate."""
        ...

    def pick(
        self, ratings: Tensor, count: int, state: dict[str, Tensor], rng: np.random.Generator
    ) -> tuple[Chosen, dict[str, Tensor]]:
        """Choose `count` candidates."""
        ...
