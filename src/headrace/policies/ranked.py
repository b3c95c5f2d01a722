"""Policies that draw with a pressure which falls to uniform over the training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from headrace.checks import number
from headrace.policies._base import Policy, Values
from headrace.policies._values import as_float64, filled, last_losses, pressure, store
from headrace.sampling.draws import draw_with_replacement
from headrace.sampling.plan import Epoch, Known, Plan


def rank_odds(losses: Values, pressure: float) -> Float[np.ndarray, " examples"]:
    """Odds `pressure^(-rank / N)`, rank 0 for the largest loss; examples without a loss (NaN) rank first.

    So the first is drawn about `pressure` times as often as the last (Loshchilov and Hutter 2015).
    """
    ranks: Int[np.ndarray, " examples"] = np.empty(losses.size, dtype=np.int64)
    ranks[np.argsort(-np.nan_to_num(losses, nan=np.inf), kind="stable")] = np.arange(losses.size)
    return pressure ** (-ranks / losses.size)


@dataclass(frozen=True)
class OnlineBatchSelection(Policy):
    """Draw by the rank of the last loss, with falling pressure (Loshchilov and Hutter 2015).

    Args:
        pressure: How much more often the largest loss is drawn than the smallest in epoch 0, at least 1;
            falls exponentially to 1 in the last epoch.
    """

    pressure: float = 100.0
    changes_objective = True
    needs = frozenset({"history"})

    def __post_init__(self) -> None:
        """Check the settings."""
        number(self.pressure, "online-batch-selection.pressure", least=1)
        store(self, pressure=self.pressure)

    def assess(self, known: Known, epoch: Epoch) -> Values:
        """The last loss of each example."""
        return last_losses(known.history)

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """As many draws as were asked for; uniform while no loss was recorded."""
        now = pressure(self.pressure, epoch, "online-batch-selection")
        if values is None or np.isnan(values).all():
            values = np.zeros(epoch.num_examples)
            now = 1.0
        return Plan(indices=draw_with_replacement(rank_odds(values, now), epoch.draws, rng))

    def draws(self, epoch: Epoch) -> int:
        """As many as were asked for."""
        return epoch.draws


@dataclass(frozen=True)
class RecencyBias(Policy):
    """Draw by how much the labels predicted lately disagree, with falling pressure (Song et al. 2020).

    Odds are `pressure^uncertainty`, uncertainty the entropy of the labels in the window over its greatest.
    That is Song et al.'s rule with its quantisation taken to the limit.

    Args:
        pressure: How much more often a fully uncertain example is drawn than a certain one in epoch 0, at
            least 1; falls exponentially to 1 in the last epoch.
    """

    pressure: float = 100.0
    changes_objective = True
    graded = True
    needs = frozenset({"label_window"})

    def __post_init__(self) -> None:
        """Check the settings."""
        number(self.pressure, "recency-bias.pressure", least=1)
        store(self, pressure=self.pressure)

    def assess(self, known: Known, epoch: Epoch) -> Values:
        """The entropy of each example's window over that of all classes alike, in [0, 1]; NaN if empty."""
        window = known.label_window
        share = as_float64(window.entropy()) / np.log(window.num_classes)
        return np.where(as_float64(window.count) > 0, share, np.nan)

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """As many draws as were asked for."""
        now = pressure(self.pressure, epoch, "recency-bias")
        known = np.ones(epoch.num_examples) if values is None else filled(values)
        return Plan(indices=draw_with_replacement(now**known, epoch.draws, rng))

    def draws(self, epoch: Epoch) -> int:
        """As many as were asked for."""
        return epoch.draws
