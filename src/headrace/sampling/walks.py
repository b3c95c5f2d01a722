"""Walks through a planned epoch. Each is an iterator of its own that knows how far it came."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise
from operator import length_hint

import numpy as np
from jaxtyping import Int

from headrace.sampling.split import part

_STRETCH = 1 << 16
"""Indices turned into Python integers at a time."""


class Singles:
    """One rank's examples one by one, at the speed of a list.

    Args:
        indices: The whole epoch's, of all ranks [draws].
        start: The position in it where the walk begins.
        rank: Takes the positions `start + rank`, `start + rank + world_size`, ...
        world_size: Number of ranks.
    """

    def __init__(self, indices: Int[np.ndarray, " draws"], start: int, rank: int, world_size: int) -> None:
        self.end = len(indices)
        self.start = start
        self._step = world_size
        self._mine = indices[start + rank :: world_size]
        self._given = 0
        self._stretch: Iterator[int] = iter(())

    def __iter__(self) -> Iterator[int]:
        """The indices, from the start."""
        return chain.from_iterable(self._stretches())

    @property
    def position(self) -> int:
        """The position in the epoch that all ranks have reached when each came as far as this one."""
        return self.reached(self._given - length_hint(self._stretch))

    def reached(self, done: int) -> int:
        """The position when `done` examples of this walk are done on every rank."""
        return min(self.start + done * self._step, self.end)

    def _stretches(self) -> Iterator[Iterator[int]]:
        for first in range(0, len(self._mine), _STRETCH):
            stretch = self._mine[first : first + _STRETCH].tolist()
            self._given = first + len(stretch)
            self._stretch = iter(stretch)
            yield self._stretch


class Batches:
    """One rank's parts of the global batches, each a list of indices.

    Args:
        indices: The whole epoch's, of all ranks [draws].
        edges: Where the global batches begin and end in it, ascending.
        rank: Takes its part of each batch.
        world_size: Number of ranks.
        dealt: Whether position p is for rank p modulo the number of ranks.
    """

    def __init__(
        self,
        indices: Int[np.ndarray, " draws"],
        edges: Int[np.ndarray, " edges"],
        rank: int,
        world_size: int,
        *,
        dealt: bool = False,
    ) -> None:
        self.start = self.position = int(edges[0])
        self.end = int(edges[-1])
        self._indices = indices
        self._edges = edges
        self._rank = rank
        self._world_size = world_size
        self._dealt = dealt

    def reached(self, done: int) -> int:
        """The position when `done` batches of this walk are done."""
        return int(self._edges[min(done, len(self._edges) - 1)])

    def __iter__(self) -> Iterator[list[int]]:
        """The batches, from the first."""
        for start, stop in pairwise(self._edges.tolist()):
            self.position = stop
            if self._dealt:
                first = start + (self._rank - start) % self._world_size
                yield self._indices[first : stop : self._world_size].tolist()
            else:
                low, high = part(start, stop, self._rank, self._world_size)
                yield self._indices[low:high].tolist()
