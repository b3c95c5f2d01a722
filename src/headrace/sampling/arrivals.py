"""Which part of a walk arrived in the training loop: indices that come back against those handed out.

Between the sampler and the loop lies a loader, and layers of frameworks around it, each of which may shuffle,
share out, drop, put together or fetch ahead. The loop shows the indices it got, and they must be the walk's
next ones: a batch, or its parts in order. Pure bookkeeping on the host.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from headrace.errors import InputError
from headrace.sampling.walks import Walk

Arrived = Int[np.ndarray, " arrived"]


class Arrivals:
    """How much of one walk arrived.

    Args:
        walk: The walk.
    """

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.items = 0
        self._part = 0
        self._last: Arrived | None = None

    @property
    def any(self) -> bool:
        """Whether anything arrived."""
        return self._last is not None

    @property
    def complete(self) -> bool:
        """Whether all of the walk arrived."""
        return self.items == self.walk.size

    def take(self, arrived: Arrived) -> bool:
        """Count indices if they are the next ones that were handed out; returns whether they are."""
        if self.items >= self.walk.given:
            return False
        due = self._due(len(arrived))
        # Bytes of one type and length: three times as fast as np.array_equal.
        if len(due) < len(arrived) or due[: len(arrived)].tobytes() != arrived.tobytes():
            return False
        self._last = due[: len(arrived)]
        if self.walk.word == "examples":
            self.items += len(arrived)
        elif len(due) == len(arrived):
            self.items, self._part = self.items + 1, 0
        else:
            self._part += len(arrived)
        return True

    def again(self, arrived: Arrived) -> bool:
        """Whether these are the indices that arrived last: a second look at them."""
        return self._last is not None and np.array_equal(self._last, arrived)

    def _due(self, most: int) -> Arrived:
        return self.walk.stretch(self.items, most)[self._part :]

    def explain(self, arrived: Arrived) -> InputError:
        """The error for indices that are not the next ones: what happened to them, and the fix."""
        what, fix = self._diagnosis(arrived)
        place = f"{self.walk.word[:-2] if self.walk.word == 'batches' else 'example'} {self._number}"
        return InputError(
            f"the indices that arrived are not those of {place} of this rank's epoch: {what}",
            where="ExampleSampler",
            got=arrived.tolist(),
            fix=fix,
        )

    @property
    def _number(self) -> int:
        return self.walk.before + self.items

    def _diagnosis(self, arrived: Arrived) -> tuple[str, str]:
        due = self._due(len(arrived)) if self.items < self.walk.size else np.empty(0, np.int64)
        if len(due) and np.array_equal(np.sort(due), np.sort(arrived)):
            return "they are in another order", f"Another layer shuffles them. {_ONE_LAYER}"
        place = self._found(arrived)
        if place is not None and place < self.items:
            return (
                f"they are those of {self.walk.word} number {self.walk.before + place}, which arrived before",
                "Train on each batch of a walk once; if two loops train at the same time, "
                "give each a sampler of its own.",
            )
        if place is not None and place > self.items:
            return (
                f"they are those of number {self.walk.before + place}, and what comes before did not arrive",
                "Show every batch to the sampler. If batches are left out, use last='drop' instead of "
                "the loader's drop_last; if they come out of order, use DataLoader(in_order=True); if "
                f"another layer divides them among the ranks again, remove it. {_ONE_LAYER}",
            )
        if len(due) and len(arrived) > len(due) and np.array_equal(due, arrived[: len(due)]):
            return "they begin with it and continue", f"Another layer makes batches of batches. {_ONE_LAYER}"
        if len(due) and len(arrived) < len(due):
            return (
                "they are fewer and not the beginning of it",
                f"Another layer divides or cuts the batch again, as accelerate.prepare does. {_ONE_LAYER}",
            )
        return "they are other examples", f"Another layer shuffles or divides them. {_ONE_LAYER}"

    def _found(self, arrived: Arrived) -> int | None:
        """The item of the walk that is equal to what arrived."""
        if self.walk.word == "examples":
            mine = self.walk.stretch(0, self.walk.size)
            for place in np.flatnonzero(mine == arrived[0]).tolist():
                if np.array_equal(mine[place : place + len(arrived)], arrived):
                    return place
            return None
        for item in range(self.walk.size):
            if np.array_equal(self.walk.stretch(item, 0), arrived):
                return item
        return None


_ONE_LAYER = (
    "Give the sampler to one plain DataLoader (batch_sampler=sampler, or sampler=sampler without shuffle), "
    "keep that loader out of accelerator.prepare, and in Lightning set use_distributed_sampler=False: the "
    "sampler itself gives each rank its part of the batches."
)
