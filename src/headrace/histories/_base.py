"""The contract between a history and where it keeps its numbers.

A `Table` lives as long as its history. `add` is called once per recorded batch, within the step: it
must not wait for the device, and may not keep or change what it is given. All else is called between
steps, at any time, and may be slow. The row after the last example swallows what is not to count.
"""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from headrace.histories.arrays import Array
from headrace.histories.observations import Quantity

SPARE = 1
"""Rows beyond the examples."""


class Table(Protocol):
    """Numbers of each example, from which counts, means and variances can be read."""

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The quantities that are kept, the rows of the `values` given to `add`."""
        ...

    def add(self, index: Int[Array, " batch"], values: Float[Array, "quantities batch"]) -> None:
        """Take in one batch: NumPy arrays or tensors, the indices in range."""
        ...

    def count(self) -> Float[Tensor, " examples"]:
        """How many times each example was observed."""
        ...

    def size(self) -> Float[Tensor, " examples"]:
        """How many observations the means rest on: the count, the filled window, or the effective size."""
        ...

    def mean(self, quantity: Quantity) -> Float[Tensor, " examples"]:
        """The mean of a quantity; 0 where nothing was observed."""
        ...

    def variance(self, quantity: Quantity) -> Float[Tensor, " examples"]:
        """The population variance of a quantity; 0 where nothing was observed."""
        ...

    def last(self, quantity: Quantity) -> Float[Tensor, " examples"]:
        """The last value of a quantity; 0 where nothing was observed."""
        ...

    def transitions(self) -> Float[Tensor, " examples"]:
        """How often an example went from correct to wrong."""
        ...

    def merge(self, other: Tensor) -> None:
        """Take in the `tensor` of another table of the same kind and size."""
        ...

    def united(
        self, base: Float[Tensor, "rows columns"], parts: Float[Tensor, "recorders rows columns"]
    ) -> Float[Tensor, "rows columns"]:
        """The rows of one table in place of several, `parts`, that continued from the same `base`.

        A pure function of any of the table's rows: it changes neither the table nor what it is given.
        """
        ...

    def impossible(self, rows: Float[Tensor, "rows columns"]) -> Bool[Tensor, " rows"]:
        """Which of these rows, of a saved table, nothing that is recorded can lead to."""
        ...

    @property
    def tensor(self) -> Float[Tensor, "rows columns"]:
        """All that is kept, without the spare row; writing into it changes the table."""
        ...

    @property
    def bytes_per_example(self) -> int:
        """The memory of one example."""
        ...

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        ...
