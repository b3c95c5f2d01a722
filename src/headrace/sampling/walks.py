"""Walks through a planned epoch. Each is an independent iterator that knows how far it came.

A walk consists of *items*: single examples, or batches. They are counted from the beginning of the epoch, as
training loops count them: a walk that begins in the middle of an epoch has items before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise
from operator import length_hint
from typing import TYPE_CHECKING, Protocol

import numpy as np
from jaxtyping import Int

from headrace.sampling.plan import Plan
from headrace.sampling.split import Last, cut_on
from headrace.sampling.split import part as part_of

if TYPE_CHECKING:
    from headrace.sampling.ranks import Ranks

_STRETCH = 1 << 16
"""Indices turned into Python integers at a time."""


class Walk(Protocol):
    """What the sampler asks of a walk.

    Attributes:
        start: The position in the epoch where it begins.
        end: The position where it ends.
        before: Items of this rank that were done in the epoch before it began.
        cut: The position from which the epoch's batches were cut.
        size: The items of the walk.
        walked: Whether it was asked for more than there was.
        word: What its items are, for messages.
    """

    start: int
    end: int
    before: int
    cut: int
    size: int
    walked: bool
    word: str

    def __iter__(self) -> Iterator[int] | Iterator[list[int]]:
        """The items, from the start."""
        ...

    @property
    def given(self) -> int:
        """How many items were handed out."""
        ...

    def reached(self, items: int) -> int:
        """The position in the epoch when every rank has done as many items of this walk."""
        ...

    def stretch(self, item: int, most: int) -> Int[np.ndarray, " stretch"]:
        """This rank's indices from an item on, within the batch, or at most `most` single examples."""
        ...


class Singles:
    """One rank's examples one by one, at the speed of a list (a `Walk`).

    Args:
        indices: The whole epoch's, of all ranks [draws].
        start: The position in it where the walk begins.
        rank: Takes the positions `start + rank`, `start + rank + world_size`, ...
        world_size: Number of ranks.
    """

    word = "examples"
    cut = 0

    def __init__(
        self, indices: Int[np.ndarray, " draws"], start: int, rank: int, world_size: int, before: int = 0
    ) -> None:
        self.end = len(indices)
        self.start = start
        self.before = 0
        self.walked = False
        self._step = world_size
        self._mine = indices[start + rank :: world_size]
        self.size = len(self._mine)
        self._given = 0
        self._stretch: Iterator[int] = iter(())

    def __iter__(self) -> Iterator[int]:
        """The indices, from the start."""
        return chain.from_iterable(self._stretches())

    @property
    def given(self) -> int:
        """How many examples were handed out."""
        return self._given - length_hint(self._stretch)

    def reached(self, items: int) -> int:
        """The position when `items` examples of this walk are done on every rank."""
        return min(self.start + items * self._step, self.end)

    def stretch(self, item: int, most: int) -> Int[np.ndarray, " stretch"]:
        """At most `most` of this rank's indices."""
        return self._mine[item : item + most]

    def _stretches(self) -> Iterator[Iterator[int]]:
        for first in range(0, len(self._mine), _STRETCH):
            stretch = self._mine[first : first + _STRETCH].tolist()
            self._given = first + len(stretch)
            self._stretch = iter(stretch)
            yield self._stretch
        self.walked = True


class Batches:
    """One rank's parts of the global batches, each a list of indices (a `Walk`).

    Args:
        indices: The whole epoch's, of all ranks [draws].
        edges: Where the global batches begin and end in it, ascending.
        rank: Takes its part of each batch.
        world_size: Number of ranks.
        dealt: Whether position p is for rank p modulo the number of ranks.
        cut: The position from which the epoch's batches were cut.
    """

    word = "batches"

    def __init__(
        self,
        indices: Int[np.ndarray, " draws"],
        edges: Int[np.ndarray, " edges"],
        rank: int,
        world_size: int,
        *,
        dealt: bool = False,
        cut: int = 0,
    ) -> None:
        self.start = int(edges[0])
        self.end = int(edges[-1])
        self.before = 0
        self.cut = cut
        self.size = len(edges) - 1
        self.given = 0
        self.walked = False
        self._indices = indices
        self._edges = edges
        self._rank = rank
        self._world_size = world_size
        self._dealt = dealt

    def reached(self, items: int) -> int:
        """The position when `items` batches of this walk are done."""
        return int(self._edges[min(items, self.size)])

    def stretch(self, item: int, most: int) -> Int[np.ndarray, " stretch"]:
        """This rank's part of a batch."""
        return self._part(int(self._edges[item]), int(self._edges[item + 1]))

    def __iter__(self) -> Iterator[list[int]]:
        """The batches, from the first."""
        for item, (start, stop) in enumerate(pairwise(self._edges.tolist()), 1):
            self.given = item
            yield self._part(start, stop).tolist()
        self.walked = True

    def _part(self, start: int, stop: int) -> Int[np.ndarray, " part"]:
        if self._dealt:
            first = start + (self._rank - start) % self._world_size
            return self._indices[first : stop : self._world_size]
        low, high = part_of(start, stop, self._rank, self._world_size)
        return self._indices[low:high]


def new_walk(
    plan: Plan, ranks: Ranks, batch_size: int | None, last: Last, *, start: int, cut_from: int
) -> Walk:
    """The walk of one rank through the rest of an epoch.

    Args:
        plan: The epoch's.
        ranks: This process among the others.
        batch_size: Examples trained on in a global batch, or None for single examples.
        last: What happens to an incomplete last batch.
        start: The position where the walk begins.
        cut_from: The position from which batches are cut.
    """
    if batch_size is None:
        return Singles(plan.indices, start, ranks.rank, ranks.size)
    edges = cut_on(len(plan.indices), batch_size * plan.candidates, last, cut_from, start)
    dealt = plan.dealt and ranks.size > 1
    return Batches(plan.indices, edges, ranks.rank, ranks.size, dealt=dealt, cut=cut_from)
