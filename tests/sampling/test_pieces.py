"""Batches that straddle epochs, and whose part of them is whose: against lists of (index, weight, worker)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.random import generator
from headrace.sampling.batches import Batch
from headrace.sampling.pieces import Piece, joined, together
from headrace.sampling.plan import Plan
from headrace.sampling.split import check_dealing

N = 9


def plan_of(seed: int, *, weighted: str, dealt: bool) -> Plan:
    rng = generator(seed, "plan")
    weights = {"not": None, "alike": np.ones(N), "nothing": np.zeros(N), "unlike": rng.uniform(0.5, 2, N)}[
        weighted
    ]
    return Plan(indices=rng.permutation(N), weights=weights, dealt=dealt)


KINDS = st.sampled_from(["not", "alike", "nothing", "unlike"])


@st.composite
def stretches(draw) -> list[Piece]:
    """The end of an epoch, perhaps whole ones, the beginning of another."""
    dealt = draw(st.booleans())
    found = []
    for number in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, N - 1)) if number == 0 else 0
        stop = draw(st.integers(start + 1, N))
        plan = plan_of(draw(st.integers(0, 5)), weighted=draw(KINDS), dealt=dealt)
        found.append(Piece(plan, start, stop))
    return found


@given(stretches(), st.integers(1, 4))
def test_a_batch_is_its_pieces_in_order_and_of_dealt_plans_each_workers_own(pieces, workers):
    entries = [
        (
            int(piece.plan.indices[at]),
            1.0 if (w := piece.plan.weights) is None else w[piece.plan.indices[at]],
            at,
        )
        for piece in pieces
        for at in range(piece.start, piece.stop)
    ]
    dealt = workers > 1 and pieces[0].plan.dealt
    shares = [[e for e in entries if e[2] % workers == w] for w in range(workers)] if dealt else [entries]
    expected = [entry for share in shares for entry in share]
    indices, weights, sizes = joined(pieces, workers)
    assert indices.tolist() == [index for index, _, _ in expected]
    assert sizes == (tuple(len(share) for share in shares) if dealt else None)
    if all(weight == 1 for _, weight, _ in entries):
        assert weights is None
    else:
        assert weights.tolist() == [weight for _, weight, _ in expected]
    batch = together(pieces, workers, epoch=3, train_on=2)
    assert (batch.indices.tolist(), batch.sizes, batch.epoch, batch.train_on) == (
        indices.tolist(),
        sizes,
        3,
        2,
    )
    assert (batch.weights is None) == (weights is None)


@given(st.integers(1, 30), st.integers(1, 6))
def test_the_parts_of_workers_are_contiguous_cover_the_batch_and_differ_by_one(size, workers):
    batch = Batch(indices=np.arange(size))
    if size < workers:
        with pytest.raises(InputError, match="cannot be shared"):
            batch.parts(workers)
        return
    parts = batch.parts(workers)
    assert [at for part in parts for at in range(part.start, part.stop)] == list(range(size))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) - min(lengths) <= 1 <= min(lengths)


@pytest.mark.parametrize(
    ("sizes", "workers", "says"),
    [((2, 3), 3, "cut for other"), ((2, 2), 2, "cut for other"), ((5, 0), 2, "cannot be shared")],
)
def test_sizes_that_do_not_fit_are_refused(sizes, workers, says):
    with pytest.raises(InputError, match=says):
        Batch(indices=np.arange(5), sizes=sizes).parts(workers)


def test_sizes_say_whose_part_is_whose():
    batch = Batch(indices=np.arange(5), weights=np.arange(5) / 2, sizes=(2, 3), epoch=4, train_on=7)
    assert batch.parts(2) == [slice(0, 2), slice(2, 5)]
    part = batch.only(slice(2, 5))
    assert (part.indices.tolist(), part.weights.tolist()) == ([2, 3, 4], [1.0, 1.5, 2.0])
    assert (part.sizes, part.epoch, part.train_on, len(part)) == (None, 4, 7, 3)


@given(st.integers(1, 24), st.integers(1, 5), st.integers(1, 12))
def test_batches_of_dealt_epochs_are_accepted_only_if_each_worker_finds_an_example(examples, workers, size):
    """Positions are dealt in turn, in each epoch from the first worker on; the epochs are joined and cut."""
    if examples < workers:
        return
    owners = np.resize(np.arange(examples) % workers, examples * size * 4)
    served = all(len(set(batch)) == workers for batch in owners.reshape(-1, size))
    try:
        check_dealing(examples, size, workers, where="policy")
    except InputError:
        # Refused without need only where the workers do not divide the examples, and never from 2 W - 1 on.
        assert not served or (examples % workers and size < 2 * workers - 1)
    else:
        assert served
