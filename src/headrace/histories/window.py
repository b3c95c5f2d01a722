"""The table of each example's last few observations."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from headrace.histories._base import SPARE
from headrace.histories.arrays import Array, is_count
from headrace.histories.observations import Quantity
from headrace.histories.parts import newest

CHUNK = 1 << 20
"""Rows merged or read at a time."""


def ranks(index: Int[Tensor, " batch"]) -> tuple[Int[Tensor, " batch"], Int[Tensor, " batch"]]:
    """For each entry how many equal ones come before it, and how many after it, in the batch."""
    ordered, order = index.sort(stable=True)
    position = torch.arange(index.shape[0], device=index.device)
    before = position - torch.searchsorted(ordered, ordered)
    after = torch.searchsorted(ordered, ordered, right=True) - 1 - position
    restored = torch.empty_like(order).index_copy_(0, order, position)
    return before.index_select(0, restored), after.index_select(0, restored)


def ring_places(
    seen: Float[Tensor, " batch"], index: Int[Tensor, " batch"], window: int
) -> tuple[Int[Tensor, " batch"], Bool[Tensor, " batch"]]:
    """Where in its example's ring each occurrence goes, and whether a later one would overwrite it.

    Args:
        seen: How many observations each example had before the batch.
        index: The examples.
        window: The length of the rings.
    """
    before, after = ranks(index)
    return (seen.long() + before) % window, after >= window


class WindowTable:
    """The last `window` observations of each example (a `Table`).

    Stored are the loss (the probability is exp(-loss)), the margin (correct is margin > 0) and EL2N:
    12 bytes per observation, or 4 if there are losses only; and the count. Up to a window of 5 that
    is at most 64 bytes per example; longer windows cost more.

    Args:
        quantities: What is kept.
        num_examples: The number of rows.
        window: How many observations of an example are kept.
        device: Where the rows live.
    """

    def __init__(
        self, quantities: tuple[Quantity, ...], num_examples: int, *, window: int, device: torch.device
    ) -> None:
        self.quantities = quantities
        self.window = window
        self._stored: tuple[Quantity, ...] = ("loss", "margin", "el2n") if len(quantities) > 1 else ("loss",)
        width = 1 + window * len(self._stored)
        self._rows = torch.zeros((num_examples + SPARE, width), device=device)

    def add(self, index: Int[Array, " batch"], values: Float[Array, "quantities batch"]) -> None:
        """Take in one batch; occurrences of one example enter in the order of the batch."""
        index, values = torch.as_tensor(index), torch.as_tensor(values)
        rows, fields = self._rows, len(self._stored)
        seen = rows[:, 0].index_select(0, index)
        place, overwritten = ring_places(seen, index, self.window)
        row = torch.where(overwritten, len(rows) - SPARE, index)
        for field, quantity in enumerate(self._stored):
            target = row * rows.shape[1] + 1 + place * fields + field
            rows.view(-1).index_copy_(0, target, values[self.quantities.index(quantity)])
        rows[:, 0].index_add_(0, index, torch.ones_like(seen))

    def count(self) -> Float[Tensor, " examples"]:
        """How many times each example was observed, ever (exact to 2^24)."""
        return self.tensor[:, 0].clone()

    def size(self) -> Float[Tensor, " examples"]:
        """How many observations of each example are kept."""
        return self.tensor[:, 0].clamp_max(self.window)

    def _kept(self, quantity: Quantity) -> tuple[Float[Tensor, "examples window"], Tensor]:
        """The observations of a quantity in no particular order, and which of them there are."""
        source: Quantity = {"probability": "loss", "correct": "margin"}.get(quantity, quantity)  # pyright: ignore
        field = self._stored.index(source)
        raw = self.tensor[:, 1 + field :: len(self._stored)]
        there = torch.arange(self.window, device=raw.device) < self.size().unsqueeze(1)
        if quantity == "probability":
            return (-raw).exp(), there
        return ((raw > 0).float() if quantity == "correct" else raw), there

    def mean(self, quantity: Quantity) -> Float[Tensor, " examples"]:
        """The mean of the observations that are kept."""
        values, there = self._kept(quantity)
        return torch.where(there, values, 0.0).sum(1) / self.size().clamp_min(1.0)

    def variance(self, quantity: Quantity) -> Float[Tensor, " examples"]:
        """The population variance of the observations that are kept."""
        values, there = self._kept(quantity)
        deviations = torch.where(there, values - self.mean(quantity).unsqueeze(1), 0.0)
        return deviations.square().sum(1) / self.size().clamp_min(1.0)

    def _in_order(self, quantity: Quantity) -> tuple[Float[Tensor, "examples window"], Tensor]:
        """The observations from the oldest to the newest, and which of them there are; the newest is last."""
        values, there = self._kept(quantity)
        oldest = self.tensor[:, :1].long()
        turn = (oldest + torch.arange(self.window, device=values.device)) % self.window
        return values.gather(1, turn), there.gather(1, turn)

    def last(self, quantity: Quantity) -> Float[Tensor, " examples"]:
        """The newest observation."""
        values, there = self._in_order(quantity)
        return torch.where(there[:, -1], values[:, -1], 0.0)

    def transitions(self) -> Float[Tensor, " examples"]:
        """How often an example went from correct to wrong within the window."""
        values, there = self._in_order("correct")
        lost = (values[:, :-1] > values[:, 1:]) & there[:, :-1] & there[:, 1:]
        return lost.sum(1).float()

    def merge(self, other: Tensor) -> None:
        """Append the observations of another table of the same window and keep the last ones."""
        for start in range(0, len(self.tensor), CHUNK):
            rows, theirs = self.tensor[start : start + CHUNK], other[start : start + CHUNK]
            rows.copy_(self._appended(rows, theirs.to(rows.device), theirs[:, 0].to(rows.device)))

    def united(
        self, base: Float[Tensor, "rows columns"], parts: Float[Tensor, "recorders rows columns"]
    ) -> Float[Tensor, "rows columns"]:
        """The rows of one table in place of several that continued from one base, one after the other."""
        added = parts[..., 0] - base[:, 0]
        first = newest(base, parts.flip(0), (added > 0).flip(0))
        before = (added.cumsum(0) - added) > 0
        for part, more, others in zip(parts, added, before, strict=True):
            place = ((more > 0) & others).nonzero()[:, 0]
            if len(place):
                first[place] = self._appended(first[place], part[place], more[place])
        return first

    def _appended(
        self,
        rows: Float[Tensor, "rows columns"],
        other: Float[Tensor, "rows columns"],
        added: Float[Tensor, " rows"],
    ) -> Float[Tensor, "rows columns"]:
        """The rows with the newest `added` observations of `other` after their own."""
        fields, window = len(self._stored), self.window
        count, theirs, new = rows[:, :1].long(), other[:, :1].long(), added.unsqueeze(1).long()
        rings = rows[:, 1:].reshape(len(rows), window, fields).clone()
        source_rings = other[:, 1:].reshape(len(rows), window, fields)
        for age in range(window - 1, -1, -1):
            there = (age < new.clamp_max(window)).expand(-1, fields)
            source = ((theirs - 1 - age) % window).unsqueeze(2).expand(-1, 1, fields)
            target = ((count + new - 1 - age) % window).unsqueeze(2).expand(-1, 1, fields)
            value = torch.where(there, source_rings.gather(1, source)[:, 0], rings.gather(1, target)[:, 0])
            rings.scatter_(1, target, value.unsqueeze(1))
        return torch.cat(((count + new).float(), rings.flatten(1)), 1)

    def impossible(self, rows: Float[Tensor, "rows columns"]) -> Bool[Tensor, " rows"]:
        """Those without a number of observations, or with a negative EL2N."""
        count, kept = rows[:, 0], rows[:, 1:]
        norms = kept[:, 2 :: len(self._stored)] if len(self._stored) > 1 else kept[:, :0]
        return ~is_count(count) | (norms < 0).any(1)

    @property
    def tensor(self) -> Float[Tensor, "rows columns"]:
        """The count and the ring of each example."""
        return self._rows[:-SPARE]

    @property
    def bytes_per_example(self) -> int:
        """The count and the ring."""
        return 4 * self._rows.shape[1]

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        self._rows = self._rows.to(device)
