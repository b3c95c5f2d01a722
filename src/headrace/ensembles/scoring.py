"""Members over data into statistics, resumable by member and shard; or chunk by chunk into scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from headrace.ensembles.coverage import Interval
from headrace.ensembles.inference import Examples, Predictions, predict_members
from headrace.ensembles.members import Member, check_names
from headrace.ensembles.statistics import EnsembleStatistics
from headrace.ensembles.streaming import Chunk

Progress = Callable[[int, int], None]
"""Called after each batch with (member-examples done, member-examples there were to do)."""


def score_members(
    members: Sequence[Member],
    data: Examples,
    statistics: EnsembleStatistics,
    *,
    labelled: bool = True,
    start: int = 0,
    stop: int | None = None,
    progress: Progress | None = None,
    **inference: Any,
) -> EnsembleStatistics:
    """Add what is missing of `members` for the examples start..stop-1 to `statistics`.

    What is there already is not computed again, so an interrupted run resumes with the statistics it saved,
    and workers that share out the examples have theirs merged.

    Args:
        members: Unique names.
        data: As many examples as the statistics have.
        statistics: Altered in place.
        labelled: Whether the data's targets may be looked at, for the error count.
        start: The first example.
        stop: The example after the last; all by default.
        progress: Told after each batch.
        **inference: `batch_size`, `device`, `memory_bytes`, `stacked` of `predict_members`.

    Returns:
        The statistics.

    Raises:
        InputError: A checkpoint does not fit, or predictions that the statistics refuse.
    """
    check_names(tuple(members))
    shard = (start, len(data) if stop is None else stop)
    gaps = {member.name: within(statistics.missing(member.name), shard) for member in members}
    total = sum(b - a for pairs in gaps.values() for a, b in pairs)
    done = 0
    for intervals, group in groupby(members, key=lambda member: gaps[member.name]):
        together = tuple(group)
        for first, last in intervals:
            for part in predict_members(
                together, data, start=first, stop=last, multilabel=statistics.multilabel, **inference
            ):
                _add(statistics, part, labelled=labelled and not statistics.multilabel)
                done += part.probabilities.shape[0] * part.probabilities.shape[1]
                if progress:
                    progress(done, total)
    return statistics


def as_chunks(predictions: Iterable[Predictions], *, labelled: bool = True) -> Iterator[Chunk]:
    """Predictions as `score_chunks` takes them; all members must fit in one pass."""
    for part in predictions:
        yield Chunk(start=part.start, members=part.probabilities, targets=part.targets if labelled else None)


def within(intervals: Iterable[Interval], shard: Interval) -> tuple[Interval, ...]:
    """The parts of the intervals that are in the shard."""
    cut = ((max(a, shard[0]), min(b, shard[1])) for a, b in intervals)
    return tuple(pair for pair in cut if pair[0] < pair[1])


def _add(statistics: EnsembleStatistics, part: Predictions, *, labelled: bool) -> None:
    targets = part.targets if labelled else None
    for name, probabilities in zip(part.members, part.probabilities, strict=True):
        statistics.add_member(part.start, probabilities, targets, member=name)
