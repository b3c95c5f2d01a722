"""Partitions as policies: each worker keeps to its own examples, every example comes once an epoch."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.histories import History, LossHistory
from headrace.policies import Partition, PerClass, Plan, RandomPartition, make_policy
from headrace.policies.partitioned import dealt
from headrace.sampling import ExampleSampler, partition
from headrace.sampling.batches import Batch
from headrace.sampling.plan import Epoch, Known


def observed(losses: list[list[float]]) -> LossHistory:
    history = LossHistory(len(losses[0]))
    for row in losses:
        history.record(torch.arange(len(row)), torch.tensor(row))
    return history


def ramp(examples: int, rounds: int = 3) -> LossHistory:
    """Losses in a scrambled order, whose variance has another order than their mean."""
    rng = np.random.default_rng(examples)
    return observed([list(rng.permutation(examples) / examples + 1.0) for _ in range(rounds)])


def sampler(policy: Any, examples: int, **given: Any) -> ExampleSampler:
    return ExampleSampler(examples, policy=policy, history=ramp(examples), **given)


def owned(batches: list[Batch], workers: int, examples: int) -> list[list[list[int]]]:
    """Epoch -> worker -> what it trained on, from batches cut at the ends of epochs by counting."""
    epochs: list[list[list[int]]] = []
    seen: list[int] = []
    for batch in batches:
        for worker, part in enumerate(batch.parts(workers)):
            for index in batch.indices[part].tolist():
                epoch = seen.count(index)
                seen.append(index)
                while len(epochs) <= epoch:
                    epochs.append([[] for _ in range(workers)])
                epochs[epoch][worker].append(index)
    return epochs


@settings(max_examples=40)
@given(
    examples=st.integers(6, 40),
    workers=st.integers(1, 5),
    more=st.integers(0, 12),
    heuristic=st.sampled_from(["stripes", "blocks"]),
    score=st.sampled_from(["mean-loss", "loss-variance"]),
)
def test_each_worker_trains_on_its_own_examples_once_an_epoch(examples, workers, more, heuristic, score):
    """Also where neither workers nor batches divide the examples, and batches straddle epochs."""
    size = 2 * workers - 1 + more
    policy = Partition(heuristic, score)
    batches = list(islice(sampler(policy, examples, batch_size=size, workers=workers).batches(), 12))
    values = {"mean-loss": ramp(examples).mean("loss"), "loss-variance": ramp(examples).variance("loss")}
    parts = partition(values[score].numpy(), workers, heuristic)
    for epoch in owned(batches, workers, examples)[: 12 * size // examples]:
        for worker in range(workers):
            assert sorted(epoch[worker]) == sorted(parts[worker].tolist())
    for batch in batches:
        sizes = [part.stop - part.start for part in batch.parts(workers)]
        # One more than even for each epoch that ends within the batch.
        assert max(sizes) - min(sizes) <= 2 + size // examples


@pytest.mark.parametrize("last", ["short", "drop", "even"])
def test_ranks_of_an_own_loop_get_the_same_parts(last: str) -> None:
    """Disjoint, covering, and each within its own examples; single examples too."""
    parts = partition(ramp(23).mean("loss").numpy(), 3, "blocks")
    for shape in ({"batch_size": 5, "last": last}, {}):
        seen: list[int] = []
        for rank in range(3):
            mine = sampler(Partition("blocks"), 23, rank=rank, world_size=3, **shape)
            got = [i for item in mine for i in (item if shape else [item])]
            assert set(got) <= set(parts[rank].tolist())
            seen += got
        assert len(set(seen)) == len(seen) == (20 if shape and last == "drop" else 23)


def test_workers_of_one_process_are_the_ranks_of_several() -> None:
    whole = islice(sampler(Partition("stripes"), 23, batch_size=7, workers=3).batches(), 9)
    shape: dict[str, Any] = {"batch_size": 7, "world_size": 3, "last": "drop"}
    ranks = [islice(sampler(Partition("stripes"), 23, rank=r, **shape).batches(), 9) for r in range(3)]
    for batch, *mine in zip(whole, *ranks, strict=True):
        for part, own in zip(batch.parts(3), mine, strict=True):
            assert batch.indices[part].equal(own.indices)


def test_workers_shuffle_anew_within_parts_that_stay_for_the_interval() -> None:
    made = sampler(make_policy("partition-random", refresh_epochs=2), 40, batch_size=8, workers=4)
    batches = list(islice(made.batches(), 4 * 5))
    epochs = owned(batches, 4, 40)
    sets = [[set(worker) for worker in epoch] for epoch in epochs]
    assert sets[0] == sets[1] != sets[2] == sets[3]
    assert epochs[0] != epochs[1]
    other = sampler(make_policy("partition-random"), 40, batch_size=8, workers=4, seed=1)
    assert owned(list(islice(other.batches(), 5)), 4, 40)[0] != epochs[0]


def test_with_one_worker_it_is_plain_shuffling() -> None:
    """Every order as likely as any other: 24 of 4 examples, each within 5 standard errors."""
    counts: dict[tuple[int, ...], int] = {}
    policy, values = Partition("blocks"), np.array([0.3, 0.1, 0.9, 0.5])
    rng = np.random.default_rng(0)
    for _ in range(4800):
        plan: Plan = policy.plan(values, Epoch(number=0, num_examples=4), rng)
        order = tuple(plan.indices.tolist())
        counts[order] = counts.get(order, 0) + 1
        assert plan.weights is None
    assert len(counts) == 24
    assert all(abs(count - 200) < 5 * 14 for count in counts.values())


def test_dealing_by_hand() -> None:
    assert dealt([np.array([5, 6]), np.array([3, 4]), np.array([1])]).tolist() == [5, 3, 1, 6, 4]


def test_resume_goes_on_with_the_same_parts_and_not_with_other_workers() -> None:
    policy = make_policy("partition-random", refresh_epochs=3)
    first = sampler(policy, 23, batch_size=7, workers=3)
    for _ in islice(first.batches(), 5):
        pass
    state = first.state_dict()
    again = sampler(policy, 23, batch_size=7, workers=3)
    again.load_state_dict(state)
    for mine, theirs in zip(islice(again.batches(), 9), first.batches(), strict=False):
        assert mine.indices.equal(theirs.indices)
        assert mine.sizes == theirs.sizes
    with pytest.raises(InputError, match="the saved sampler has another workers than this one, which has 2"):
        sampler(policy, 23, batch_size=7, workers=2).load_state_dict(state)


def test_a_variance_of_one_value_is_refused() -> None:
    once = observed([[0.5, 1.0, 2.0, 3.0]])
    once.record(torch.arange(3), torch.ones(3))
    made = ExampleSampler(4, policy=Partition("stripes", "loss-variance"), history=once, batch_size=2)
    with pytest.raises(
        InputError, match=r"needs 2 observations, but 1 examples \(first 3\) have fewer; got 1\. Warm"
    ):
        next(made.batches())
    mean = ExampleSampler(4, policy=Partition("stripes"), history=once, batch_size=2)
    assert len(next(mean.batches())) == 2
    none = ExampleSampler(4, policy=Partition("stripes"), history=History(4), batch_size=2)
    with pytest.raises(InputError, match="no example was observed yet"):
        next(none.batches())


def test_what_is_refused() -> None:
    for make, message in (
        (lambda: make_policy("partition-stripes", burn_in_epochs=0), "at least 1 to have a score"),
        (
            lambda: make_policy("partition-blocks", score="loss-variance", burn_in_epochs=1),
            "burn_in_epochs: partition-blocks needs at least 2",
        ),
        (lambda: Partition("rows"), "must be 'stripes' or 'blocks'; got 'rows'"),
        (lambda: Partition("blocks", "luck"), "partition-blocks.score: unknown score; got 'luck'"),
        (lambda: PerClass(RandomPartition()), "divides the examples among workers"),
        (
            lambda: next(sampler(Partition(), 7, batch_size=4, workers=3).batches()),
            "3 workers with examples of their own need batches of at least 5",
        ),
        (lambda: sampler(Partition(), 7, batch_size=4, rank=0, world_size=2, workers=3), "Leave it out"),
    ):
        with pytest.raises(InputError, match=message):
            make()
    assert len(next(sampler(Partition(), 6, batch_size=3, workers=3).batches())) == 3


def test_one_observation_is_a_score_and_none_is_the_mean() -> None:
    history = LossHistory(4)
    history.record(torch.tensor([1, 2, 2, 3]), torch.tensor([4.0, 1.0, 3.0, 6.0]))
    known = Known(num_examples=4, history=history)
    values = Partition("stripes", score="mean-loss").assess(known, Epoch(number=1, num_examples=4))
    # Example 0 was never seen: the mean of 4, 2 and 6.
    assert values.tolist() == pytest.approx([4.0, 4.0, 2.0, 6.0])


def test_a_history_of_nothing_is_refused_and_of_one_observation_is_not() -> None:
    history = LossHistory(2)
    policy, epoch = Partition("blocks", score="mean-loss"), Epoch(number=1, num_examples=2)
    with pytest.raises(InputError, match="no example was observed yet"):
        policy.assess(Known(num_examples=2, history=history), epoch)
    history.record(torch.tensor([1]), torch.tensor([2.0]))
    assert policy.assess(Known(num_examples=2, history=history), epoch).tolist() == [2.0, 2.0]
