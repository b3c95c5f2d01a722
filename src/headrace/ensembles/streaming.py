"""Scores without sums over all examples: every member sees one chunk of examples at a time.

ImageNet at 100 members is 5.1 GB as float32 sums, and a few MB this way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.ensembles.acquisition import Acquisition, Scores
from headrace.ensembles.coverage import Interval, missing, overlap, union
from headrace.ensembles.statistics import EnsembleStatistics
from headrace.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """All members' predictions for the examples from `start` on.

    Attributes:
        start: The index of the first example.
        members: Each member's probabilities [batch, classes], one after the other; a generator will do.
        targets: True classes [batch], or None.
    """

    start: int
    members: Iterable[Any]
    targets: Any = None


def score_chunks(
    num_examples: int,
    num_classes: int,
    chunks: Iterable[Chunk],
    functions: Mapping[str, Acquisition],
    *,
    multilabel: bool = False,
) -> dict[str, Scores]:
    """Acquisition functions of all examples, holding the sums of one chunk at a time, in float64.

    Args:
        num_examples: The number of examples.
        num_classes: The number of classes.
        chunks: Chunks that cover every example once, in any order, each with the same number of members.
        functions: Name -> acquisition function.
        multilabel: As for `EnsembleStatistics`.

    Returns:
        Name -> scores [examples], float64.

    Raises:
        InputError: Bad probabilities, chunks that overlap or leave examples out, or numbers of members that
            differ.
    """
    scores = {name: np.empty(num_examples) for name in functions}
    done: tuple[Interval, ...] = ()
    members: int | None = None
    for chunk in chunks:
        statistics = _chunk_statistics(chunk, num_examples, num_classes, multilabel=multilabel)
        interval = (chunk.start, chunk.start + statistics.num_examples)
        members = _check_chunk(interval, done, int(statistics.members[0]), members)
        done = union((*done, interval))
        for name, function in functions.items():
            scores[name][slice(*interval)] = function(statistics)
    gaps = missing(done, num_examples)
    if gaps:
        raise InputError("the chunks leave examples out", got=f"nothing for {gaps[0][0]}..{gaps[0][1] - 1}")
    return scores


def _chunk_statistics(
    chunk: Chunk, num_examples: int, num_classes: int, *, multilabel: bool
) -> EnsembleStatistics:
    statistics: EnsembleStatistics | None = None
    for number, probabilities in enumerate(chunk.members):
        if statistics is None:
            statistics = EnsembleStatistics(
                len(probabilities), num_classes, multilabel=multilabel, precision="float64"
            )
        elif len(probabilities) != statistics.num_examples:
            raise InputError(
                f"every member of a chunk must have the same {statistics.num_examples} examples",
                where=f"chunk from example {chunk.start}, member {number}",
                got=len(probabilities),
            )
        statistics.add_member(0, probabilities, chunk.targets)
    if statistics is None:
        raise InputError("a chunk has no members", where=f"chunk from example {chunk.start}")
    if chunk.start < 0 or chunk.start + statistics.num_examples > num_examples:
        got = f"examples {chunk.start}..{chunk.start + statistics.num_examples - 1}"
        raise InputError(f"a chunk must be within 0..{num_examples - 1}", got=got)
    return statistics


def _check_chunk(interval: Interval, done: tuple[Interval, ...], count: int, expected: int | None) -> int:
    where = f"chunk from example {interval[0]}"
    if overlap(done, [interval]):
        raise InputError("a chunk has examples that another had before", where=where)
    if expected is not None and count != expected:
        raise InputError(f"every chunk must have the same {expected} members", where=where, got=count)
    return count
