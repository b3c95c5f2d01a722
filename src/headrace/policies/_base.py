"""The contract of policies, told as a lifetime. Imports no torch.

1. *Made*: `SomePolicy(setting=...)` stores its settings and checks them. It is frozen, plain data: two equal
   policies do the same, and a policy serves any number of samplers at once.
2. *Asked at the start of an epoch*, once, by the sampler, in the main process: `assess(known, epoch)` reads
   the history (which it must not change) and returns one number per example, or None if it needs none. The
   sampler keeps these values, as part of its state, for `refresh_epochs` epochs.
3. *Plans*, directly after: `plan(values, epoch, rng)` is a pure function: the same values, epoch and
   generator state give the same plan in any process. The generator is the epoch's own. A resumed run plans
   again from the saved values and continues where it was, so no order needs to be stored.
4. *Chooses* (only a `BatchPolicy`, only in epochs whose plan asks for candidates): in every step the loop
   forwards `candidates` examples for each one to be trained on. `rate` gives each candidate one number, on
   the device and without waiting for it; `pick` takes the numbers of the whole global batch and returns which
   are trained on. What it must remember it takes and returns as `state`, a dict of tensors.

A policy holds no arithmetic that cannot be called alone, changes no global state, and says whether it changes
the objective. `headrace.policies.testing` checks all this; every policy joins it by one line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from headrace.sampling.plan import Chosen, Epoch, Known, Need, Plan

if TYPE_CHECKING:
    from torch import Tensor

Values = Float[np.ndarray, " examples"]
"""One number per example of the training set, as `assess` returns it."""

State = dict[str, "Tensor"]
"""What a batch policy remembers from step to step; empty at the start."""


class Policy(ABC):
    """Decides once per epoch which examples are trained on, in which order, and what their losses weigh."""

    changes_objective: bool
    """Whether training minimises something other than the mean loss over all examples."""

    needs: frozenset[Need] = frozenset()
    """What must be given to the sampler; its absence is an error when the sampler is made."""

    refresh_epochs: int = 1
    """For how many epochs assessed values are used."""

    graded: bool = False
    """Whether treatment follows the values smoothly, so that equal values mean uniform treatment."""

    divides: bool = False
    """Whether each worker has examples of its own, so that its plans depend on the number of workers."""

    @property
    def least_burn_in(self) -> int:
        """Epochs of burn-in without which it cannot assess the examples."""
        return 0

    @abstractmethod
    def assess(self, known: Known, epoch: Epoch) -> Values | None:
        """One number per example [examples], NaN where undefined, or None; changes nothing."""

    @abstractmethod
    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """The epoch's plan; pure. `values` is None if `assess` returned None; it must not be changed."""

    @abstractmethod
    def draws(self, epoch: Epoch) -> int | None:
        """The number of indices that `plan` will return, or None if it depends on the values."""


class BatchPolicy(Policy):
    """A policy that also chooses within each batch, from the outputs of a forward pass over candidates."""

    candidates: int
    """At most this many examples are forwarded for each one trained on: the cost of the policy."""

    @abstractmethod
    def rate(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Tensor,
        losses: Float[Tensor, " batch"],
        values: Float[Tensor, " batch"] | None,
    ) -> Float[Tensor, " batch"]:
        """One number per candidate, on the device of the outputs; `values` are those assessed for them."""

    @abstractmethod
    def pick(
        self, ratings: Float[Tensor, " batch"], count: int, state: State, rng: np.random.Generator
    ) -> tuple[Chosen, State]:
        """Choose `count` candidates of the global batch, and return what to remember; pure."""
