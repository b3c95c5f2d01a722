"""Whether every rank and worker gets an example, against looking at each; and the cuts themselves."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.sampling.batches import Batch
from headrace.sampling.narrowing import as_indices, check_candidates, device_of, rows
from headrace.sampling.split import check_dealing, check_one_worker_per_rank, check_split, cut, cut_on, part
from headrace.sampling.sums import checksum

lasts = st.sampled_from(["short", "drop", "even"])


def refused(call: Any, *arguments: Any) -> bool:
    try:
        call(*arguments)
    except InputError:
        return True
    return False


@given(st.integers(0, 30), st.integers(1, 9), lasts, st.integers(0, 30))
def test_cuts_are_of_the_size_asked_for_but_the_last(length: int, size: int, last: Any, start: int) -> None:
    start = min(start, length)
    edges = cut(length, size, last, start)
    sizes = np.diff(edges).tolist()
    left = length - start
    assert edges[0] == start
    if last == "drop":
        assert sizes == [size] * (left // size)
    elif last == "short":
        assert sizes == [size] * (left // size) + ([left % size] if left % size else [])
    else:
        assert len(sizes) == -(-left // size)
        assert sum(sizes) == left
        assert not sizes or max(sizes) - min(sizes) <= 1
        assert not sizes or max(sizes) <= size


@given(st.integers(1, 30), st.integers(1, 9), lasts, st.integers(0, 5), st.integers(0, 9))
def test_a_rest_is_cut_as_the_whole_was(
    length: int, size: int, last: Any, cut_from: int, batches: int
) -> None:
    edges = cut(length, size, last, min(cut_from, length))
    start = int(edges[min(batches, len(edges) - 1)])
    assert cut_on(length, size, last, int(edges[0]), start).tolist() == [e for e in edges if e >= start]
    between = [at for at in range(int(edges[0]), length) if at not in edges]
    for at in between[:3]:
        assert cut_on(length, size, last, int(edges[0]), at).tolist() == cut(length, size, last, at).tolist()


@given(st.integers(0, 9), st.integers(0, 20), st.integers(1, 6))
def test_parts_follow_each_other_and_differ_by_one(start: int, length: int, ranks: int) -> None:
    parts = [part(start, start + length, rank, ranks) for rank in range(ranks)]
    assert parts[0][0] == start
    assert parts[-1][1] == start + length
    assert all(one[1] == other[0] for one, other in itertools.pairwise(parts))
    sizes = [stop - first for first, stop in parts]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 25), st.one_of(st.none(), st.integers(1, 9)), lasts, st.integers(1, 5))
def test_a_split_is_refused_where_some_rank_would_get_nothing(
    examples: int, size: int | None, last: Any, ranks: int
) -> None:
    if size is None:
        nothing = examples < ranks
    else:
        edges = cut(examples, size, last)
        parts = [part(a, b, rank, ranks) for a, b in itertools.pairwise(edges) for rank in range(ranks)]
        empty = any(start == stop for start, stop in parts)
        nothing = empty or examples < ranks or (size < ranks and ranks > 1)
    assert refused(check_split, examples, size, last, ranks) == nothing


@given(st.one_of(st.none(), st.integers(1, 9)), lasts, st.integers(1, 5))
def test_a_split_of_any_length_is_taken_only_where_no_length_leaves_a_rank_empty(
    size: int | None, last: Any, ranks: int
) -> None:
    lengths = range(ranks, 40)
    if not refused(check_split, None, size, last, ranks):
        assert not any(refused(check_split, length, size, last, ranks) for length in lengths)
    elif size is not None and size >= ranks:
        assert any(refused(check_split, length, size, last, ranks) for length in lengths)


@given(st.integers(1, 24), st.integers(1, 16), st.integers(1, 5))
def test_dealt_batches_that_straddle_epochs_hold_every_worker(examples: int, size: int, workers: int) -> None:
    owners = np.tile(np.arange(examples) % workers, 4 + 3 * size // examples)
    windows = [set(owners[at : at + size]) for at in range(2 * examples)]
    holds = examples >= workers and all(len(window) == workers for window in windows)
    taken = not refused(check_dealing, examples, size, workers, "x")
    assert holds or not taken or examples < workers
    if examples >= workers and examples % workers in (0, workers - 1):
        assert taken == holds or size > examples


@pytest.mark.parametrize(
    ("workers", "ranks", "fits"),
    [(None, 1, True), (None, 3, True), (3, 3, True), (2, 3, False), (7, 1, True), (1, 2, False)],
)
def test_every_rank_is_one_worker(workers: int | None, ranks: int, fits: bool) -> None:
    assert refused(check_one_worker_per_rank, workers, ranks) == (not fits)


@pytest.mark.parametrize("sizes", [None, (2, 1, 4), (1, 6), (7,)])
@pytest.mark.parametrize("workers", [1, 2, 3, 7, 8])
def test_the_parts_of_a_batch_are_those_it_was_cut_for(sizes: tuple[int, ...] | None, workers: int) -> None:
    batch = Batch(indices=torch.arange(7), weights=torch.arange(7.0), sizes=sizes)
    if workers > 7 or (sizes is not None and len(sizes) != workers):
        with pytest.raises(InputError, match=r"cannot be shared by 8 workers|was cut for other than"):
            batch.parts(workers)
        return
    parts = batch.parts(workers)
    assert torch.cat([batch.only(p).indices for p in parts]).equal(batch.indices)
    assert torch.cat([batch.only(p).weights for p in parts]).equal(batch.weights)
    found = [len(batch.only(p)) for p in parts]
    assert found == list(sizes) if sizes else max(found) - min(found) <= 1
    with pytest.raises(InputError, match="was cut for"):
        Batch(indices=torch.arange(7), sizes=(3, 3)).parts(2)
    with pytest.raises(InputError, match="cannot be shared"):
        Batch(indices=torch.arange(7), sizes=(7, 0)).parts(2)


@pytest.mark.parametrize("bad", [-1, 5, 2**40])
def test_indices_are_of_the_examples_there_are(bad: int) -> None:
    assert as_indices([0, 4], 5).tolist() == as_indices(np.array([0, 4], np.uint8), 5).tolist() == [0, 4]
    assert as_indices(torch.tensor([4], dtype=torch.int16), 5).dtype == torch.int64
    assert len(as_indices(torch.tensor([], dtype=torch.int64), 5)) == 0
    with pytest.raises(InputError, match=f"must be from 0 to 4; got {bad}"):
        as_indices(torch.tensor([3, bad, 9]), 5)
    for other in (torch.tensor(3), torch.zeros(2), torch.zeros(2, 1).long(), torch.tensor([True])):
        with pytest.raises(InputError, match="a row of integers"):
            as_indices(other, 5)


def test_rows_of_nested_inputs() -> None:
    places = torch.tensor([2, 0])
    inputs = {
        "x": torch.arange(3),
        "flag": True,
        "both": (torch.arange(3) * 2, ["a", "b", "c"]),
        "n": np.arange(3),
    }
    found = rows(inputs, places, 3, "inputs")
    assert found["x"].tolist() == [2, 0]
    assert found["flag"] is True
    assert found["both"][0].tolist() == [4, 0]
    assert found["both"][1] == ["c", "a"]
    assert found["n"].tolist() == [2, 0]
    assert [t.tolist() for t in rows([torch.arange(3)] * 3, places, 3, "x")] == [[2, 0]] * 3
    assert device_of([{"a": 1, "b": torch.ones(1, device="meta")}], torch.device("cpu")).type == "meta"
    assert device_of({"a": 1}, torch.device("cpu")).type == "cpu"
    for bad, where in (
        (torch.arange(4), "inputs"), (torch.tensor(1), "inputs"), ({"x": torch.arange(2)}, "inputs.'x'."),
        ((torch.arange(3), torch.arange(2)), "inputs.1."), (object(), "inputs"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=where):
            rows(bad, places, 3, "inputs")


@pytest.mark.parametrize("shape", [(), (2,), (4,), (3, 1)])
def test_candidates_have_one_row_and_one_loss_each(shape: tuple[int, ...]) -> None:
    check_candidates(torch.arange(3), torch.zeros(3), torch.zeros(3))
    with pytest.raises(InputError, match="losses"):
        check_candidates(torch.arange(3), torch.zeros(3, 2), torch.zeros(shape))
    if shape[:1] != (3,):
        with pytest.raises(InputError, match="outputs"):
            check_candidates(torch.arange(3), torch.zeros(shape), torch.zeros(3))


def test_checksums_tell_arrays_apart() -> None:
    one, other = np.arange(3), np.arange(3) + 1
    assert checksum(None) == checksum() == 0
    assert checksum(one, None) == checksum(one) == checksum(one[::-1][::-1])
    assert len({checksum(one), checksum(other), checksum(one, other), checksum(other, one)}) == 4
