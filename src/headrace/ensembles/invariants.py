"""What holds of the sums of every ensemble, however they were added up: what does not was not added up."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from headrace.ensembles._probabilities import row_blocks
from headrace.errors import InputError

_ROUNDING = 1e-2
"""Of a sum of probabilities or entropies, for each member."""


def check_sums(
    tensors: Mapping[str, Tensor],
    coverage: Iterable[Sequence[Sequence[int]]],
    classes: int,
    *,
    multilabel: bool,
) -> None:
    """Refuse sums that no members can have given.

    Args:
        tensors: Those of a state, of the right shapes and types.
        coverage: For each named member the examples that it was counted for, as pairs (start, stop).
        classes: How many classes there are.
        multilabel: Whether each class is answered yes or no.

    Raises:
        InputError: Names the sum and the first example at fault.
    """
    members, targeted, errors = (tensors[name] for name in ("members", "targeted", "errors"))
    most = torch.zeros_like(members) if multilabel else members
    _refuse(members < _named(coverage, len(members)).to(members), "members", "the named members", tensors)
    _refuse((targeted < 0) | (targeted > most), "targeted", "the members that can have targets", tensors)
    _refuse((errors < 0) | (errors > targeted), "errors", "the members with a target", tensors)
    for name, rows, bad in _of_probabilities(tensors, classes, multilabel=multilabel):
        _refuse(bad, name, "the members", tensors, start=rows.start)
    if any(name.startswith(("ballot_", "vote_")) for name in tensors):
        for rows in row_blocks(len(members), classes):
            bad = _bad_votes({name: values[rows] for name, values in tensors.items()}, classes)
            _refuse(bad, "votes", "the members", tensors, start=rows.start)


def _named(coverage: Iterable[Sequence[Sequence[int]]], size: int) -> Int[Tensor, " examples"]:
    """How many named members each example has: no fewer can have been counted."""
    change = np.zeros(size + 1, dtype=np.int64)
    for pairs in coverage:
        for start, stop in pairs:
            change[start] += 1
            change[stop] -= 1
    return torch.from_numpy(change[:-1].cumsum())


def _of_probabilities(
    tensors: Mapping[str, Tensor], classes: int, *, multilabel: bool
) -> Iterator[tuple[str, slice, Bool[Tensor, " batch"]]]:
    highest = classes * math.log(2) if multilabel else math.log(classes)
    for rows in row_blocks(len(tensors["members"]), classes):
        members = tensors["members"][rows].double()
        slack = _ROUNDING * members
        sums, entropies = tensors["probability_sum"][rows].double(), tensors["entropy_sum"][rows]
        inside = ((sums >= 0) & (sums <= (members + slack)[:, None])).all(1)
        whole = inside if multilabel else inside & ((sums.sum(1) - members).abs() <= slack)
        yield "probability_sum", rows, ~whole
        yield "entropy_sum", rows, ~((entropies >= -slack) & (entropies <= members * highest + slack))


def _bad_votes(part: Mapping[str, Tensor], classes: int) -> Bool[Tensor, " batch"]:
    """The examples that do not have one vote of each member."""
    members, counts = part["members"], part.get("vote_counts")
    if counts is not None:
        return (counts < 0).any(1) | (counts.sum(1) != members)
    bad = members > sum(name.startswith("ballot_") for name in part)
    for name, ballots in part.items():
        if name.startswith("ballot_"):
            cast = int(name.removeprefix("ballot_")) < members
            bad |= ((ballots >= 0) != cast) | (ballots >= classes) | (ballots < -1)
    return bad


def _refuse(
    bad: Bool[Tensor, " batch"], name: str, what: str, tensors: Mapping[str, Tensor], *, start: int = 0
) -> None:
    if bool(bad.any()):
        example = start + int(bad.nonzero()[0, 0])
        raise InputError(
            f"does not go with {what}",
            where=f"the state of ensemble statistics: {name}, example {example}",
            got=f"{int(tensors['members'][example])} members",
            fix="Give what state_dict() returned, unaltered.",
        )
