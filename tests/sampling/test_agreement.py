"""Ranks that are held against each other, without processes: what is sent, and what each difference says."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.errors import InputError
from headrace.sampling import ExampleSampler, ranks
from headrace.sampling.plan import Known, Plan
from headrace.sampling.planning import Planning
from headrace.sampling.ranks import DIFFERENT, Ranks, alike, difference

N = 6


class Group:
    """What all_gather would do: the rows of the other ranks are made from this one's."""

    def __init__(self, patch: pytest.MonkeyPatch, size: int = 3) -> None:
        self.sent: list[list[int]] = []
        self.size = size
        self.change = lambda rank, row: row
        patch.setattr(ranks, "_grouped", lambda size: size == self.size)
        patch.setattr(ranks, "_exchange", self.exchange)

    def exchange(self, numbers, rank):
        self.sent.append(list(numbers))
        rows = [[numbers[0], other, *numbers[1:]] for other in range(self.size)]
        return [row if row[1] == rank else self.change(row[1], row) for row in rows]


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Group:
    return Group(monkeypatch)


def sampler(rank: int = 1, **more) -> ExampleSampler:
    return ExampleSampler(12, batch_size=6, rank=rank, world_size=3, **more)


def test_every_epoch_is_held_against_the_other_ranks_when_it_begins(group: Group) -> None:
    mine = sampler()
    for number in range(3):
        assert len(list(mine)) == 2
        assert len(group.sent) == number + 1
    assert len({tuple(row) for row in group.sent}) == 3
    other = sampler()
    list(other)
    assert group.sent[3] == group.sent[0]


@pytest.mark.parametrize("place", range(len(DIFFERENT)))
def test_a_rank_that_differs_in_anything_stops_all(group: Group, place: int) -> None:
    group.change = lambda rank, row: [n + (rank == 2 and at == 2 + place) for at, n in enumerate(row)]
    what, fix = [*DIFFERENT.values()][place]
    for rank in (0, 1):
        with pytest.raises(InputError) as caught:
            iter(sampler(rank))
        assert f"the ranks differ in {what}: rank 0 and 2" in str(caught.value)
        assert fix in str(caught.value)


def test_what_differs_is_seen_in_what_is_sent(group: Group) -> None:
    """One change of a sampler after the other: each reaches the column that says so."""
    names = ["failed", *DIFFERENT]

    def sent(made: ExampleSampler) -> dict[str, int]:
        iter(made)
        return dict(zip(names, group.sent[-1], strict=True))

    plain = sent(sampler())
    later = sampler()
    later.set_epoch(1)
    for changed, columns in (
        (sampler(), set()),
        (sampler(seed=1), {"settings", "order"}),
        (ExampleSampler(12, batch_size=3, rank=1, world_size=3), {"settings"}),
        (sampler(last="drop"), {"settings"}),
        (later, {"epoch", "order"}),
    ):
        found = sent(changed)
        assert {name for name in names if found[name] != plain[name]} == columns
    weighted = [
        sent(ExampleSampler(np.arange(12.0) + first, batch_size=6, rank=1, world_size=3)) for first in (1, 9)
    ]
    assert weighted[0]["values"] != weighted[1]["values"]


def test_an_error_on_one_rank_is_an_error_on_all(group: Group) -> None:
    def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        alike(fails, dict, Ranks(1, 3, "x"))
    assert group.sent[0][0] == 1
    assert len(group.sent[0]) == 1 + len(DIFFERENT)
    group.change = lambda rank, row: [1, *row[1:]] if rank == 2 else row
    with pytest.raises(InputError, match="rank 2 could not plan the epoch"):
        alike(lambda: 5, lambda _: dict.fromkeys(DIFFERENT, 0), Ranks(1, 3, "x"))


def test_nothing_is_sent_where_there_is_no_group_of_that_size(group: Group) -> None:
    for among in (Ranks(0, 1, "x"), Ranks(0, 2, "x")):
        assert alike(lambda: 5, lambda _: {}, among) == 5
    assert not group.sent
    assert alike(lambda: 5, lambda _: dict.fromkeys(DIFFERENT, 0), Ranks(0, 3, "x")) == 5
    assert len(group.sent) == 1


def test_differences_in_order() -> None:
    same = [[1, 2, 3, 4, 5]] * 3
    assert difference([0, 0, 0], [2, 0, 1], same) is None
    assert "rank 0, 1 could" in str(difference([0, 1, 1], [2, 0, 1], same))
    assert "same rank; got [1, 0, 1]" in str(difference([0, 0, 0], [1, 0, 1], same))
    assert "in the epoch: rank 2 and 0, 1" in str(
        difference([0, 0, 0], [2, 0, 1], [[1] * 5, [2] * 5, [3] * 5])
    )


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 1)),
        ({"WORLD_SIZE": "1", "RANK": "0"}, (0, 1)),
        ({"WORLD_SIZE": "1"}, (0, 1)),
        ({"WORLD_SIZE": "2", "RANK": "0"}, (0, 2)),
        ({"WORLD_SIZE": "2", "RANK": "1"}, (1, 2)),
        ({"WORLD_SIZE": "2", "RANK": "2"}, None),
        ({"WORLD_SIZE": "2"}, None),
        ({"WORLD_SIZE": "3", "RANK": "-1"}, None),
        ({"RANK": "5"}, (0, 1)),
        ({"WORLD_SIZE": "x", "RANK": "1"}, (0, 1)),
    ],
)
def test_ranks_of_the_environment(monkeypatch: pytest.MonkeyPatch, environment: dict, expected) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if expected is None:
        with pytest.raises(InputError, match="RANK does not say which"):
            ranks.found()
        return
    found = ranks.found()
    assert (found.rank, found.size) == expected


@pytest.mark.parametrize(
    ("around", "rank", "size", "expected"),
    [
        ((0, 1), None, None, None),
        ((0, 1), 0, 1, (0, 1)),
        ((0, 1), 2, 3, (2, 3)),
        ((0, 1), 0, None, (0, 1)),
        ((0, 1), None, 1, (0, 1)),
        ((0, 1), 3, 3, "from 0 to 2"),
        ((0, 1), 1, None, "from 0 to 0"),
        ((0, 1), None, 2, "rank: must be given"),
        ((1, 2), None, 2, (1, 2)),
        ((1, 2), None, 1, (0, 1)),
        ((1, 2), 0, 1, (0, 1)),
        ((1, 2), 1, None, (1, 2)),
        ((1, 2), 1, 2, (1, 2)),
        ((1, 2), 0, 2, "says that this process is rank 1 of 2"),
        ((1, 2), 0, None, "says that this process is rank 1 of 2"),
        ((1, 2), None, 3, "rank: must be given"),
        ((1, 2), 0, 3, (0, 3)),
        ((0, 1), -1, 2, "rank"),
        ((0, 1), 0, 0, "world_size"),
    ],
)
def test_ranks_that_are_given_are_completed_and_held_against_the_environment(
    monkeypatch: pytest.MonkeyPatch, around, rank, size, expected
) -> None:
    monkeypatch.setenv("RANK", str(around[0]))
    monkeypatch.setenv("WORLD_SIZE", str(around[1]))
    if isinstance(expected, str):
        with pytest.raises(InputError, match=expected):
            ranks.given(rank, size)
        return
    found = ranks.given(rank, size)
    assert (None if found is None else (found.rank, found.size)) == expected


class Silent:
    """Assesses nothing, and counts how often it is asked."""

    needs = frozenset()
    divides = False

    def __init__(self, refresh_epochs: int) -> None:
        self.refresh_epochs = refresh_epochs
        self.asked: list[int] = []

    def assess(self, known, epoch):
        self.asked.append(epoch.number)

    def plan(self, values, epoch, rng):
        return Plan(indices=rng.permutation(N))

    def draws(self, epoch):
        return N


@pytest.mark.parametrize("refresh", [1, 3])
def test_a_policy_that_knew_nothing_is_asked_again_in_the_next_epoch_and_not_in_a_resumed_one(
    refresh,
) -> None:
    def planning(policy) -> Planning:
        return Planning(
            policy, Known(num_examples=N), seed=0, epochs=None, size=None, labels=None, workers=lambda: 1
        )

    first, second = Silent(refresh), Silent(refresh)
    made, again = planning(first), planning(second)
    plans = [made.plan(number).indices.tolist() for number in range(3)]
    assert first.asked == [0, 1, 2]
    again.load_state_dict(made.state_dict())
    assert again.plan(2).indices.tolist() == plans[2]
    assert second.asked == []
    again.plan(3)
    again.plan(0)
    assert second.asked == [3, 0]
