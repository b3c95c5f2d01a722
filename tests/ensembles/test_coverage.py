"""Intervals against sets of examples, votes against lists, and states of which one part is altered."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.ensembles import EnsembleStatistics
from headrace.ensembles.coverage import Coverage, missing, overlap, union
from headrace.ensembles.scoring import within
from headrace.ensembles.votes import Votes, smallest_signed
from headrace.errors import InputError
from headrace.random import generator

intervals = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=6)


def examples(pairs) -> set[int]:
    return {i for start, stop in pairs for i in range(start, stop)}


def tidy(pairs) -> bool:
    """Sorted, none empty, and none touching the next."""
    flat = [edge for pair in pairs for edge in pair]
    return all(a < b for a, b in itertools.pairwise(flat))


@given(intervals, intervals, st.integers(12, 14))
def test_intervals_are_sets_of_examples(first, second, total):
    joined = union(first)
    assert examples(joined) == examples(first)
    assert tidy(joined)
    left = missing(first, total)
    assert examples(left) == set(range(total)) - examples(first)
    assert tidy(left)
    common = examples(union(first)) & examples(union(second))
    found = overlap(union(first), union(second))
    assert (found is None) == (not common)
    if found:
        assert found[0] == min(common)
        assert examples([found]) <= common
        assert found[1] not in common or found[1] in {
            edge for pair in union(first) + union(second) for edge in pair
        }
    shard = (5, total - 3)
    assert examples(within(joined, shard)) == examples(first) & set(range(*shard))
    assert tidy(within(joined, shard))


@given(st.dictionaries(st.sampled_from("abc"), intervals), st.dictionaries(st.sampled_from("abc"), intervals))
def test_members_cover_what_either_covers(first, second):
    one, other = Coverage(first), Coverage(second)
    clash = one.clash(other)
    both = {name: examples(one.of(name)) & examples(other.of(name)) for name in "abc"}
    expected = next((name for name in "abc" if both[name]), None)
    assert (clash[0] if clash else None) == expected
    assert not clash or examples([clash[1]]) <= both[clash[0]]
    before = dict(other.members)
    one.merge(other)
    assert other.members == before
    for name in "abc":
        assert examples(one.of(name)) == examples(first.get(name, ())) | examples(second.get(name, ()))
    one.add("a", (20, 22))
    assert examples(one.of("a")) >= {20, 21}
    assert one.of("never") == ()


@pytest.mark.parametrize(
    ("largest", "dtype"),
    [
        (1, torch.int8), (127, torch.int8), (128, torch.int16), (32767, torch.int16), (32768, torch.int32),
        (2**31 - 1, torch.int32), (2**31, torch.int64),
    ],
)  # fmt: skip
def test_class_numbers_take_the_smallest_type_that_holds_them(largest, dtype):
    assert smallest_signed(largest) == dtype


@pytest.mark.parametrize(("classes", "most"), [(1000, 62), (128, 16), (129, 8), (160, 10), (7, 0), (8, 1)])
def test_ballots_are_kept_while_they_take_an_eighth_of_the_counts(classes, most):
    votes = Votes(1, classes, torch.device("cpu"))
    row = torch.zeros(1, classes)
    row[0, classes - 1] = 1
    for number in range(most + 2):
        votes.add(0, row, torch.tensor([number]))
        assert (votes.counts is None) == (number + 1 <= most)
    (_, tally), *_ = votes.blocks(iter([slice(0, 1)]))
    assert tally[0, classes - 1] == most + 2 == int(tally.sum())


@pytest.mark.parametrize(("members", "dtype"), [(255, torch.uint8), (256, torch.int16)])
def test_counts_are_bytes_up_to_255_members(members, dtype):
    one, other = EnsembleStatistics(1, 2), EnsembleStatistics(1, 2)
    for number in range(members):
        (one if number % 2 else other).add_member(0, [[0.2, 0.8]])
    one.merge(other)
    assert one.votes.counts.dtype == dtype
    assert one.votes.counts.tolist() == [[0, members]]


@pytest.mark.parametrize(("mine", "theirs"), list(itertools.product([0, 1, 2, 3, 6], repeat=2)))
def test_ballots_and_counts_of_each_side_are_merged(mine: int, theirs: int) -> None:
    """Of 20 classes up to two members are kept as ballots, and more as counts."""
    one, other = EnsembleStatistics(2, 20), EnsembleStatistics(2, 20)
    expected = np.zeros((2, 20), int)
    for number in range(mine + theirs):
        votes = [number % 5, (3 * number + 7) % 20]
        (one if number < mine else other).add_member(0, np.eye(20)[votes])
        expected[[0, 1], votes] += 1
    assert [side.votes.counts is None for side in (one, other)] == [mine < 3, theirs < 3]
    merged = one.merge(other)
    assert [part.tolist() for _, part in merged.votes.blocks(iter([slice(0, 2)]))] == [expected.tolist()]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([3, 20, 40, 70]), st.booleans())
def test_votes_added_and_merged_in_any_order_are_counted_once(seed, classes, apart):
    """Examples with different numbers of members, and kept ballots on one side and counts on the other."""
    rng = generator(seed, "votes")
    statistics = [EnsembleStatistics(6, classes) for _ in range(2)]
    expected = np.zeros((6, classes), int)
    for number in range(int(rng.integers(1, 9))):
        start, rows = int(rng.integers(0, 5)), 0
        rows = int(rng.integers(1, 6 - start + 1))
        p = rng.dirichlet(np.full(classes, 0.2), size=rows)
        if rng.random() < 0.3:
            p[:] = 1 / classes
        statistics[number % 2 if apart else 0].add_member(start, p)
        expected[np.arange(start, start + rows), p.argmax(1)] += 1
    merged = statistics[0].merge(statistics[1])
    found = torch.cat([part for _, part in merged.votes.blocks(iter([slice(0, 2), slice(2, 6)]))])
    assert found.tolist() == expected.tolist()
    assert merged.members.tolist() == expected.sum(1).tolist()


def state(classes: int = 3, **form: Any) -> dict[str, Any]:
    made = EnsembleStatistics(4, classes, **form)
    p = np.full((3, classes), 1 / classes)
    made.add_member(0, p, None if form.get("multilabel") else [0, 1, 0], member="a")
    made.add_member(1, p, member="b")
    return made.state_dict()


FORMS = {
    "counts": {},
    "ballots": {"classes": 100},
    "none": {"votes": False},
    "multilabel": {"multilabel": True},
    "float32": {"precision": "float32"},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_state_is_taken_over_as_it_was(form):
    given_state = state(**FORMS[form])
    again = EnsembleStatistics.from_state_dict(given_state).state_dict()
    assert again.keys() == given_state.keys()
    assert {k: v for k, v in again.items() if k != "tensors"} == {
        k: v for k, v in given_state.items() if k != "tensors"
    }
    assert again["tensors"].keys() == given_state["tensors"].keys()
    assert all(again["tensors"][name].equal(value) for name, value in given_state["tensors"].items())
    loaded = EnsembleStatistics.from_state_dict(given_state)
    assert loaded.missing("a") == ((3, 4),)
    loaded.add_member(0, np.full((1, loaded.num_classes), 1 / loaded.num_classes), member="b")


@pytest.mark.parametrize("form", FORMS)
def test_a_state_of_which_one_part_is_altered_is_refused(form):
    altered: list[dict[str, Any]] = []
    whole = state(**FORMS[form])
    for key, values in {
        "version": [0, 2, None, "1"],
        "num_examples": [3, 5, 0, 4.0],
        "num_classes": [2, 4, 0],
        "multilabel": [None, 1],
        "votes": [None, 1, *([False] if whole["votes"] else [])],
        "coverage": [{"a": [[0, 5]]}, {"a": [[-1, 2]]}, {"a": [[2, 2]]}, {"a": [[3, 1]]}, {"a": [[0, 1, 2]]},
                     {"a": [[0]]}, {"a": 3}, None],
        "more": [1],
    }.items():  # fmt: skip
        altered += [whole | {key: value} for value in values]
    for name, tensor in whole["tensors"].items():
        others = [tensor[:-1], torch.cat([tensor, tensor[:1]]), tensor.bool(), tensor.unsqueeze(1)]
        altered += [whole | {"tensors": whole["tensors"] | {name: other}} for other in others]
        without = {key: value for key, value in whole["tensors"].items() if key != name}
        # Of several ballots the last may be missing: fewer members then.
        altered += [whole | {"tensors": without}] if name not in ("vote_counts", "ballot_1") else []
    altered.append(whole | {"tensors": whole["tensors"] | {"unknown": torch.zeros(4)}})
    altered += [{key: value for key, value in whole.items() if key != left_out} for left_out in whole]
    for one in altered:
        with pytest.raises(InputError):
            EnsembleStatistics.from_state_dict(one)


@pytest.mark.parametrize("size", ["num_examples", "num_classes"])
def test_a_state_of_nothing_is_refused_although_it_fits_together(size: str) -> None:
    whole = EnsembleStatistics(4, 3).state_dict()
    keep = {"num_examples": lambda tensor: tensor[:0], "num_classes": lambda tensor: tensor[:, :0]}[size]
    tensors = {
        name: keep(value) if value.ndim == 2 or size == "num_examples" else value
        for name, value in whole["tensors"].items()
    }
    with pytest.raises(InputError, match=f"cannot be used .*{size}"):
        EnsembleStatistics.from_state_dict(whole | {size: 0, "tensors": tensors})
    EnsembleStatistics.from_state_dict(EnsembleStatistics(1, 1, multilabel=True).state_dict())


@pytest.mark.parametrize("edge", [[0, 4], [3, 4], [0, 1]])
def test_a_member_may_have_been_counted_up_to_the_last_example(edge):
    made = EnsembleStatistics.from_state_dict(state() | {"coverage": {"a": [edge]}})
    assert examples(made.missing("a")) == set(range(4)) - set(range(*edge))


def test_all_types_of_counts_and_sums_are_taken():
    whole = state()
    for name, dtypes in {"vote_counts": [torch.uint8, torch.int16, torch.int32],
                         "probability_sum": [torch.float32, torch.float64]}.items():  # fmt: skip
        for dtype in dtypes:
            tensors = whole["tensors"] | {name: whole["tensors"][name].to(dtype)}
            EnsembleStatistics.from_state_dict(whole | {"tensors": tensors})
