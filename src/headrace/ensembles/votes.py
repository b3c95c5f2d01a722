"""How often each class was voted for, per example, in the least memory that holds it.

Few members over many classes are kept as a list of ballots (one small class number a member);
once that list would take an eighth of a count for every class, it becomes the counts: with a handful
of classes at once, for a thousand classes after 62 members. Counts are bytes up to 255 members.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from headrace.ensembles._probabilities import equal, winners

_COUNT_DTYPES = (torch.uint8, torch.int16, torch.int32)
_EMPTY = -1
BALLOT_SHARE = 8
"""Ballots are kept while they take at most this fraction (1/8) of what counts in bytes would."""


def smallest_signed(largest: int) -> torch.dtype:
    """The smallest signed integer type that holds 0..`largest` and -1."""
    return next(
        d for d in (torch.int8, torch.int16, torch.int32, torch.int64) if torch.iinfo(d).max >= largest
    )


def one_hot_votes(probabilities: Float[Tensor, "batch classes"]) -> Bool[Tensor, "batch classes"]:
    """True at the most probable class of each row, the first where several tie.

    Comparing with the maximum is the fastest way for few classes; ties are rare and repaired.
    """
    votes = equal(probabilities, probabilities.amax(1, keepdim=True).expand_as(probabilities).contiguous())
    if int(votes.count_nonzero()) > len(votes):
        votes = torch.zeros_like(votes).scatter_(1, winners(probabilities)[:, None], value=True)
    return votes


class Votes:
    """Votes of any number of members; an example may have more of them than another.

    Args:
        num_examples: The number of examples.
        num_classes: The number of classes.
        device: Where the votes are kept.
    """

    def __init__(self, num_examples: int, num_classes: int, device: torch.device) -> None:
        self.num_examples = num_examples
        self.num_classes = num_classes
        self.device = device
        self.ballots: list[Int[Tensor, " examples"]] = []
        self.counts: Int[Tensor, "examples classes"] | None = None

    def add(
        self, start: int, probabilities: Float[Tensor, "batch classes"], members: Int[Tensor, " batch"]
    ) -> None:
        """Add each row's vote for its most probable class (the first of those that tie), from `start` on.

        Args:
            start: The first example.
            probabilities: One member's probabilities.
            members: How many votes each of these examples had before.
        """
        needed = int(members.max()) + 1
        counts = self._make_room(needed)
        if counts is not None:
            counts[start : start + len(probabilities)] += one_hot_votes(probabilities)
            return
        classes = winners(probabilities)
        for slot in range(int(members.min()), needed):
            column = self.ballots[slot][start : start + len(classes)]
            column.copy_(torch.where(members == slot, classes.to(column.dtype), column))

    def merge(self, other: Votes, members: Int[Tensor, " examples"]) -> None:
        """Add another's votes; `members` is how many votes each example has here before."""
        if other.counts is None:
            for column in other.ballots:
                self._merge_ballots(column, members)
                members = members + (column >= 0)
            return
        counts = self._as_counts(int(members.max()) + int(other.counts.max()))
        counts += other.counts.to(counts)

    def blocks(self, rows: Iterator[slice]) -> Iterator[tuple[slice, Int[Tensor, "batch classes"]]]:
        """The votes of each class, for one slice of examples after the other."""
        for part in rows:
            yield part, self._tally(part) if self.counts is None else self.counts[part]

    def tensors(self) -> dict[str, Tensor]:
        """The votes by name, as `take` reads them."""
        if self.counts is not None:
            return {"vote_counts": self.counts}
        return {f"ballot_{slot}": column for slot, column in enumerate(self.ballots)}

    def take(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` gave; other names are left alone."""
        self.counts = tensors.get("vote_counts")
        ballots = sum(name.startswith("ballot_") for name in tensors)
        self.ballots = [tensors[f"ballot_{slot}"] for slot in range(ballots)]

    def _tally(self, part: slice) -> Int[Tensor, "batch classes"]:
        size = part.stop - part.start
        tally = torch.zeros(size, self.num_classes, dtype=torch.int32, device=self.device)
        for column in self.ballots:
            classes = column[part].long()[:, None]
            tally.scatter_add_(1, classes.clamp_min(0), (classes >= 0).to(tally.dtype))
        return tally

    def _merge_ballots(self, column: Int[Tensor, " examples"], members: Int[Tensor, " examples"]) -> None:
        voted = (column >= 0).nonzero()[:, 0]
        if len(voted) == 0:
            return
        slots = members[voted]
        counts = self._make_room(int(slots.max()) + 1)
        classes = column[voted].long()
        if counts is not None:
            counts[voted, classes] += 1
            return
        for slot in slots.unique().tolist():
            chosen = slots == slot
            self.ballots[slot][voted[chosen]] = classes[chosen].to(self.ballots[slot].dtype)

    def _make_room(self, members: int) -> Int[Tensor, "examples classes"] | None:
        """Make sure that `members` votes an example fit; the counts, or None while ballots are kept."""
        dtype = smallest_signed(self.num_classes - 1)
        if self.counts is not None or members * dtype.itemsize * BALLOT_SHARE > self.num_classes:
            return self._as_counts(members)
        while len(self.ballots) < members:
            column = torch.full((self.num_examples,), _EMPTY, dtype=dtype, device=self.device)
            self.ballots.append(column)
        return None

    def _as_counts(self, most: int) -> Int[Tensor, "examples classes"]:
        """The counts, in a type that holds `most`; the ballots, if any, are turned into them."""
        dtype = next(d for d in _COUNT_DTYPES if torch.iinfo(d).max >= most)
        if self.counts is None:
            self.counts = torch.zeros(self.num_examples, self.num_classes, dtype=dtype, device=self.device)
            rows = torch.arange(self.num_examples, device=self.device)
            for column in self.ballots:
                voted = column >= 0
                self.counts[rows[voted], column[voted].long()] += 1
            self.ballots = []
        if torch.iinfo(self.counts.dtype).max < most:
            self.counts = self.counts.to(dtype)
        return self.counts
