"""The table of all observations so far, weighted alike or fading exponentially: 56 bytes per example."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from headrace.histories._base import SPARE
from headrace.histories.arrays import Array, alike, differ, gathered, is_count, summed
from headrace.histories.moments import Layout, advanced, increments, merged, slots
from headrace.histories.observations import Quantity
from headrace.histories.parts import united

_ROUNDING = 1e-3
CHUNK = 1 << 20
"""Rows merged at a time, so that a merge needs little memory besides the two tables."""


class GrowingTable:
    """Running means and second moments of every example (a `Table`).

    Args:
        quantities: What is averaged.
        num_examples: The number of rows.
        decay: The weight of an observation is `decay` to the number of later batches that hold its
            example; 1 weighs all alike.
        device: Where the rows live.
    """

    def __init__(
        self, quantities: tuple[Quantity, ...], num_examples: int, *, decay: float, device: torch.device
    ) -> None:
        self.layout = Layout(quantities)
        self.decay = decay
        rows = num_examples + SPARE
        self._take(torch.zeros((rows, self.layout.width), device=device))
        self._slots = torch.zeros(rows, dtype=torch.int32, device=device)

    def _take(self, rows: Tensor) -> None:
        self._rows = rows
        self._examples = rows[:-SPARE]
        self._fading = (
            None if self.decay == 1.0 else torch.tensor(self.layout.fading(self.decay)).to(rows.device)
        )

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The quantities that are averaged."""
        return self.layout.quantities

    def add(self, index: Int[Array, " batch"], values: Float[Array, "quantities batch"]) -> None:
        """Take in one batch; occurrences of one example in it are merged first."""
        table, scratch, fading = alike(values, self._rows, self._slots, self._fading)
        rows = gathered(table, index)
        slot, position = slots(scratch, index)
        terms, last = increments(rows, values, self.layout), values[self.layout.last]
        # Looking for duplicates is free on the host; a device would be waited for, so there all are summed.
        if not isinstance(slot, np.ndarray) or differ(slot, position):
            terms, last = summed(slot, terms), last[:, slot]
        table[index] = advanced(rows, terms, last, fading, self.layout).T

    def _column(self, block: int, place: int) -> Float[Tensor, " examples"]:
        return self._examples[:, sum(self.layout.sizes[:block]) + place]

    def count(self) -> Float[Tensor, " examples"]:
        """How many times each example was observed (exact to 2^24)."""
        return self._column(0, 2).clone()

    def size(self) -> Float[Tensor, " examples"]:
        """The effective number of observations (Kish): (sum of weights)^2 / sum of squared weights."""
        if self.decay == 1.0:
            return self.count()
        return self._column(0, 0).square() / self._column(0, 1).clamp_min(torch.finfo(torch.float32).tiny)

    def mean(self, quantity: Quantity) -> Float[Tensor, " examples"]:
        """The weighted mean of a quantity."""
        return self._column(2, self.quantities.index(quantity)).clone()

    def variance(self, quantity: Quantity) -> Float[Tensor, " examples"]:
        """The weighted population variance of the probability or of the loss."""
        place = self.quantities.index(quantity)
        weight = self._column(0, 0)
        # The weight is at least 1 where anything was observed; rounding may leave the moment just below 0.
        return (self._column(1, place) / weight.clamp_min(1.0)).clamp_min_(0.0)

    def last(self, quantity: Quantity) -> Float[Tensor, " examples"]:
        """The last value of the loss or of correct."""
        return self._column(3, ("loss", "correct").index(quantity)).clone()

    def transitions(self) -> Float[Tensor, " examples"]:
        """How often an example went from correct to wrong, weighted like the rest."""
        return self._column(0, 3).clone()

    def merge(self, other: Tensor) -> None:
        """Take in the rows of another growing table, in pieces."""
        for start in range(0, len(self._examples), CHUNK):
            rows = self._examples[start : start + CHUNK]
            rows.copy_(merged(rows.T, other[start : start + CHUNK].to(rows.device).T, self.layout).T)

    def united(
        self, base: Float[Tensor, "rows columns"], parts: Float[Tensor, "recorders rows columns"]
    ) -> Float[Tensor, "rows columns"]:
        """The rows of one table in place of several that continued from the same base."""
        return united(base, parts, self.layout, self.decay)

    def impossible(self, rows: Float[Tensor, "rows columns"]) -> Bool[Tensor, " rows"]:
        """Those whose weights, transitions, moments or shares do not go with a number of observations."""
        layout, means = self.layout, rows[:, self.layout.means]
        sums, seconds, _, _ = layout.sizes
        weight, squares, count = rows[:, :3].T
        most = count * (1 + _ROUNDING)
        bad = ~is_count(count) | ((weight > 0) != (count > 0)) | ~(weight <= most) | ~(squares <= most)
        if self.decay == 1.0:
            bad |= (weight != count) | (squares != count)
        # What was recorded may be NaN, so that only what is compared and found wrong counts.
        rounding = _ROUNDING * (1 + count[:, None] * means[:, :seconds].square())
        bad |= (rows[:, sums : sums + seconds] < -rounding).any(1)
        if layout.predictions:
            shares = means[:, [0, 2]]
            bad |= ~is_count(rows[:, 3]) & (self.decay == 1.0) | ~(rows[:, 3] <= most)
            bad |= ((shares < -_ROUNDING) | (shares > 1 + _ROUNDING)).any(1) | (means[:, 4] < -_ROUNDING)
        return bad

    @property
    def tensor(self) -> Float[Tensor, "rows columns"]:
        """The rows of the examples."""
        return self._examples

    @property
    def bytes_per_example(self) -> int:
        """The row and the slot."""
        return 4 * self.layout.width + self._slots.element_size()

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        self._take(self._rows.to(device))
        self._slots = self._slots.to(device)
