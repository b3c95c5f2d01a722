"""Which member has been counted for which examples, as few intervals: so none is counted twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Interval = tuple[int, int]
"""Examples start..stop-1."""


def union(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Sorted, disjoint intervals with the same examples; touching ones are joined."""
    joined: list[Interval] = []
    for start, stop in sorted(intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        elif start < stop:
            joined.append((start, stop))
    return tuple(joined)


def overlap(first: Iterable[Interval], second: Iterable[Interval]) -> Interval | None:
    """The first interval that both have in common, or None."""
    common = [(max(a, c), min(b, d)) for a, b in first for c, d in second]
    return min((pair for pair in common if pair[0] < pair[1]), default=None)


def missing(intervals: Iterable[Interval], total: int) -> tuple[Interval, ...]:
    """The examples of 0..total-1 that no interval covers."""
    gaps: list[Interval] = []
    end = 0
    for start, stop in union(intervals):
        if start > end:
            gaps.append((end, start))
        end = stop
    return (*gaps, (end, total)) if end < total else tuple(gaps)


class Coverage:
    """Named members and the examples they were counted for.

    Attributes:
        members: Name -> disjoint, sorted intervals.
    """

    def __init__(self, members: Mapping[str, Iterable[Interval]] | None = None) -> None:
        self.members: dict[str, tuple[Interval, ...]] = {
            name: union((int(a), int(b)) for a, b in intervals) for name, intervals in (members or {}).items()
        }

    def of(self, member: str) -> tuple[Interval, ...]:
        """The intervals of `member`; none if it is unknown."""
        return self.members.get(member, ())

    def add(self, member: str, interval: Interval) -> None:
        """Note that `member` was counted for `interval`."""
        self.members[member] = union((*self.of(member), interval))

    def clash(self, other: Coverage) -> tuple[str, Interval] | None:
        """The first member and interval that both have, or None."""
        for name in sorted(self.members.keys() & other.members.keys()):
            common = overlap(self.members[name], other.members[name])
            if common:
                return name, common
        return None

    def merge(self, other: Coverage) -> None:
        """Take over the other's intervals."""
        for name, intervals in other.members.items():
            self.members[name] = union((*self.of(name), *intervals))
