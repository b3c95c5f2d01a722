"""Histories of several ranks as one: against one history that saw everything, and between real processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import multiprocessing

from headrace.errors import InputError
from headrace.histories import History, LossHistory, SharedHistory
from headrace.histories._base import SPARE
from headrace.histories.shared import _check_alike, _identity
from headrace.training.parallel.joining import end

from .brute import Batch, Stored, batches, record
from .test_history import as_on_a_device, expect

N = 5
FORMS = [{}, {"decay": 0.8}, {"window": 3}]


def unite(ranks: list[History], base: torch.Tensor) -> torch.Tensor:
    """What a merge does, without processes: all histories become the united one, the next base."""
    rows = ranks[0].table.united(base, torch.stack([history.table.tensor for history in ranks]))
    for history in ranks:
        history.table.tensor.copy_(rows)
    return rows.clone()


@given(st.lists(st.lists(batches(), min_size=3, max_size=3), min_size=1, max_size=3))
@settings(max_examples=40, deadline=None)
def test_merged_again_and_again_ranks_equal_all_observations_stored(epochs: list[list[list[Batch]]]) -> None:
    ranks, stored = [History(N) for _ in range(3)], Stored(N)
    base = torch.zeros_like(ranks[0].table.tensor)
    for parts in epochs:
        for history, sequence in zip(ranks, parts, strict=True):
            for batch in sequence:
                record(history, batch)
                stored.record(*batch)
        base = unite(ranks, base)
        expect(ranks[1], stored)
        assert torch.equal(unite(ranks, base), base)


@given(st.lists(st.lists(batches(), min_size=2, max_size=2), min_size=1, max_size=3), st.sampled_from(FORMS))
@settings(max_examples=40, deadline=None)
def test_ranks_equal_one_history_that_recorded_theirs_in_turn(
    epochs: list[list[list[Batch]]], form: dict
) -> None:
    """Counts, means, variances and windows; one observation of an example a batch, as fading asks."""
    ranks, one = [History(N, **form) for _ in range(2)], History(N, **form)
    base = torch.zeros_like(one.table.tensor)
    for parts in epochs:
        for history, sequence in zip(ranks, parts, strict=True):
            for index, logits, targets in sequence:
                first = sorted({example: place for place, example in enumerate(index)}.values())
                batch = [index[i] for i in first], logits[first], [targets[i] for i in first]
                record(history, batch)
                record(one, batch)
        base = unite(ranks, base)
    if "window" in form:
        assert torch.equal(ranks[0].table.tensor, one.table.tensor)
        return
    for quantity in ("probability", "loss", "margin"):
        torch.testing.assert_close(ranks[0].mean(quantity), one.mean(quantity), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ranks[0].variance("loss"), one.variance("loss"), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ranks[0].size, one.size, rtol=1e-5, atol=1e-6)
    assert torch.equal(ranks[0].count, one.count)
    assert torch.equal(ranks[0].last_loss(), one.last_loss())


def epoch(seed: int, number: int, examples: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """An order of all examples, with logits and targets in that order."""
    rng = torch.Generator().manual_seed(100 * seed + number)
    order = torch.randperm(examples, generator=rng)
    return order, torch.randn(examples, 3, generator=rng), order % 3


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("world", [2, 3])
def test_epochs_in_which_an_example_is_one_rank_s_are_those_of_one_process_to_the_bit(
    form: dict, world: int
) -> None:
    ranks, one = [History(40, **form) for _ in range(world)], History(40, **form)
    base = torch.zeros_like(one.table.tensor)
    for number in range(4):
        order, logits, targets = epoch(1, number, 40)
        one.record(order, logits, targets)
        for rank, history in enumerate(ranks):
            part = slice(rank, None, world)
            history.record(order[part], logits[part], targets[part])
        base = unite(ranks, base)
    assert all(torch.equal(history.table.tensor, one.table.tensor) for history in ranks)
    assert one.transitions().sum() > 0


def test_a_variance_far_below_the_mean_survives_many_merges() -> None:
    """Differences of sums in float32 would lose it."""
    losses = 5.0 + 0.005 * torch.randn(400, generator=torch.Generator().manual_seed(0))
    ranks = [LossHistory(1), LossHistory(1)]
    base = torch.zeros_like(ranks[0].table.tensor)
    for place, loss in enumerate(losses):
        ranks[place % 2].record(torch.tensor([0]), loss.reshape(1))
        if place % 10 == 9:
            base = unite(ranks, base)
    expected = float(losses.double().var(correction=0))
    assert float(ranks[0].variance("loss")[0]) == pytest.approx(expected, rel=0.01)


def test_one_process_needs_no_other() -> None:
    history = History(3)
    shared = SharedHistory(history)
    history.record(torch.tensor([1]), torch.randn(1, 2), torch.tensor([0]))
    shared.merge()
    shared.merge()
    assert (shared.rank, shared.ranks, history.count.tolist()) == (0, 1, [0, 1, 0])
    as_on_a_device(history).record(torch.tensor([3]), torch.randn(1, 2), torch.tensor([0]))
    with pytest.raises(InputError, match="values out of range"):
        shared.merge()


def rank_of_two(rank: int, folder: str) -> None:
    """One of two real processes; what it finds is left in the folder."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    torch.set_num_threads(1)
    tables, said = [], []
    for form in FORMS:
        history = History(41, **form)
        shared = SharedHistory(history)
        for number in range(3):
            order, logits, targets = epoch(2, number, 41)
            # The last part is padded to the length of the first, as samplers do.
            part = torch.arange(rank, 42, 2)
            keep, part = part < 41, part.clamp_max(40)
            history.record(order[part], logits[part], targets[part], keep=keep)
            shared.merge()
            shared.merge()
            if number == 1:
                state = history.state_dict()
                history = History(41, **form)
                history.load_state_dict(state)
                shared = SharedHistory(history)
        tables.append(history.table.tensor)
    for attempt in (differing, out_of_range, not_the_same):
        with pytest.raises(InputError) as error:
            attempt(rank)
        said.append(str(error.value))
    np.savez(Path(folder) / f"{rank}.npz", *tables, said=np.array(said))
    end()


def differing(rank: int) -> None:
    SharedHistory(History(4, window=2 + rank))


def out_of_range(rank: int) -> None:
    history = as_on_a_device(History(4))
    shared = SharedHistory(history)
    history.record(torch.tensor([4 * rank]), torch.randn(1, 2), torch.tensor([0]))
    shared.merge()


def not_the_same(rank: int) -> None:
    history = History(4)
    history.record(torch.tensor([rank]), torch.randn(1, 2), torch.tensor([0]))
    SharedHistory(history)


def test_two_processes_hold_the_history_of_one(tmp_path: Path) -> None:
    multiprocessing.spawn(rank_of_two, (str(tmp_path),), nprocs=2)
    found = [np.load(tmp_path / f"{rank}.npz") for rank in range(2)]
    for place, form in enumerate(FORMS):
        one = History(41, **form)
        for number in range(3):
            one.record(*epoch(2, number, 41))
        for tables in found:
            assert np.array_equal(tables[f"arr_{place}"], one.table.tensor.numpy())
    first, second = (list(tables["said"]) for tables in found)
    assert "differ in their window, here and on rank 1" in first[0]
    assert "rank 1 has recorded what cannot be right" in first[1]
    assert "values out of range" in second[1]
    assert "differ in their content, here and on rank 0" in second[2]


SAME = {"error": 0, "num_examples": 4, "window": 7, "num_classes": 3, "fingerprint": 11, "content": 5}


@pytest.mark.parametrize("name", SAME)
def test_ranks_must_agree_but_for_what_one_does_not_know_yet(name: str) -> None:
    _check_alike(SAME, [SAME, SAME])
    for value in (0, 9):
        others = [SAME, SAME | {name: value}, SAME | {name: value}]
        for mine, theirs in ((SAME, others), (SAME | {name: value}, [*others[1:], SAME])):
            unknown = name in ("num_classes", "fingerprint") and value == 0
            if unknown or (name == "error" and value == 0):
                _check_alike(mine, theirs)
                continue
            place = "1, 2" if mine is SAME else "2"
            word = (
                r"rank .* has recorded" if name == "error" else f"in their {name}, here and on rank {place}"
            )
            with pytest.raises(InputError, match=word):
                _check_alike(mine, theirs)


@pytest.mark.parametrize("ranks", [2, 3, 4])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 9])
def test_shares_of_the_rows_are_equal_and_end_in_zeros(ranks: int, rows: int) -> None:
    shared = SharedHistory(History(rows))
    shared.ranks, shared._device = ranks, torch.device("cpu")
    table = torch.arange(1.0, 2 * rows + 1).view(rows, 2)
    shares = shared._padded(table)
    assert shares.shape == (ranks, -(-rows // ranks), 2)
    assert torch.equal(shares.flatten(0, 1)[:rows], table)
    assert float(shares.flatten(0, 1)[rows:].abs().sum()) == 0


def saved_by(histories: list[History], base: torch.Tensor, chunk: int) -> list[dict]:
    """What the ranks of these histories save between merges: each its own, and its share of the base."""
    states = []
    for rank, history in enumerate(histories):
        shares = []
        for rows in base.split(chunk):
            share = -(-len(rows) // len(histories))
            padded = torch.zeros(share * len(histories), rows.shape[1])
            padded[: len(rows)] = rows
            shares.append(padded.view(len(histories), share, -1)[rank].clone())
        state = {"rank": rank, "ranks": len(histories), "history": history.state_dict(), "base": shares}
        states.append(state)
    return states


@given(
    batches(),
    st.lists(batches(), min_size=2, max_size=4),
    st.sampled_from(FORMS),
    st.sampled_from([2, 3, 10]),
)
@settings(max_examples=40, deadline=None)
def test_states_of_several_ranks_are_one_history_with_all_that_they_recorded(
    before: list[Batch], parts: list[list[Batch]], form: dict, chunk: int
) -> None:
    common = History(N, **form)
    for batch in before:
        record(common, batch)
    base = common.table.tensor.clone()
    histories = []
    for sequence in parts:
        history = History(N, **form)
        history.load_state_dict(common.state_dict())
        for batch in sequence:
            record(history, batch)
        histories.append(history)
    expected = common.table.united(base, torch.stack([history.table.tensor for history in histories]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headrace.histories.shared.CHUNK", chunk)
        states = saved_by(histories, base, chunk)
        # Whatever the history held is replaced.
        resumed = SharedHistory(History(N, **form))
        record(resumed.history, ([1, 1], np.ones((2, 3), np.float32), [0, 1]))
        resumed.load_state_dict(*states)
        fresh = SharedHistory(History(N, **form))
        fresh.load_state_dict(*states)
        for one in (resumed.history, fresh.history):
            assert torch.equal(one.table.tensor, expected)
            assert one.num_classes == (3 if any([before, *parts]) else None)
        with pytest.raises(InputError, match="those of all ranks that saved one, in their order"):
            resumed.load_state_dict(*reversed(states))
        with pytest.raises(InputError, match="those of all ranks that saved one"):
            resumed.load_state_dict(*states[:-1])
        assert torch.equal(resumed.history.table.tensor, expected)


@pytest.mark.parametrize("knowing", [(False, True), (True, False), (False, False), (True, True)])
def test_a_rank_that_recorded_nothing_hides_no_classes(knowing: tuple[bool, ...]) -> None:
    histories = [History(N) for _ in knowing]
    for history, known in zip(histories, knowing, strict=True):
        if known:
            record(history, ([1, 2], np.ones((2, 3), np.float32), [0, 1]))
    states = saved_by(histories, torch.zeros_like(histories[0].table.tensor), 10)
    resumed = SharedHistory(History(N))
    resumed.load_state_dict(*states)
    assert resumed.history.num_classes == (3 if any(knowing) else None)
    assert int(resumed.history.count.sum()) == 2 * sum(knowing)


class Heard:
    """Keeps the indices that it is told."""

    def __init__(self) -> None:
        self.indices: list[list[int]] = []

    def __call__(self, index: torch.Tensor) -> None:
        raise AssertionError("listeners are bound methods")

    def take(self, index: torch.Tensor) -> None:
        self.indices.append(index.tolist())


@pytest.mark.parametrize("kind", [History, LossHistory])
def test_whoever_listens_is_told_of_every_batch_while_it_lives(kind: type) -> None:
    history, first, second = kind(N), Heard(), Heard()
    give = (torch.eye(3)[:2], torch.tensor([0, 2])) if kind is History else (torch.tensor([0.5, 0.25]),)
    history.listen(first.take)
    history.record(torch.tensor([3, 1]), *give)
    history.listen(second.take)
    history.record(torch.tensor([0, 0]), *give)
    assert (first.indices, second.indices) == ([[3, 1], [0, 0]], [[0, 0]])
    del second
    history.record(torch.tensor([2, 4]), *give)
    assert first.indices[-1] == [2, 4]


def test_what_a_rank_does_not_know_yet_is_0_and_all_else_a_number() -> None:
    assert set(_identity(History(N))) >= {
        "kind",
        "num_examples",
        "window",
        "decay",
        "num_classes",
        "fingerprint",
    }
    empty, known = _identity(History(N)), _identity(History(N, window=3, fingerprint="f" * 64))
    assert all(isinstance(value, int) for value in (*empty.values(), *known.values()))
    assert (empty["num_classes"], empty["fingerprint"]) == (0, 0)
    assert empty["window"] != known["window"]
    assert known["fingerprint"] != 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [History, LossHistory])
def test_the_bytes_of_an_example_are_those_of_its_tensors(kind: type, form: dict) -> None:
    few, many = (
        sum(
            value.nbytes
            for value in vars(kind(count, **form).table).values()
            if isinstance(value, torch.Tensor) and len(value) == count + SPARE
        )
        for count in (100, 300)
    )
    assert (many - few) / 200 == kind(N, **form).bytes_per_example
