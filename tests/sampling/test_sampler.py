"""The sampler: ranks, epochs, exact resume, and the moment at which weights act."""

from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.histories import History
from headrace.policies import InfoBatch, RhoLoss, Sample, SelectiveBackprop, Shuffle, make_policy
from headrace.policies.testing import Example, make_sampler
from headrace.sampling import ExampleSampler
from headrace.sampling.split import cut, part


@settings(max_examples=40, deadline=None)
@given(
    num_examples=st.integers(1, 60),
    world_size=st.integers(1, 5),
    batch_size=st.one_of(st.none(), st.integers(1, 20)),
    last=st.sampled_from(["short", "drop", "even"]),
)
def test_ranks_are_disjoint_and_covering(num_examples, world_size, batch_size, last):
    try:
        ranks = [
            ExampleSampler(num_examples, rank=rank, world_size=world_size, batch_size=batch_size, last=last)
            for rank in range(world_size)
        ]
    except InputError:
        assert world_size > 1
        return
    lone = ExampleSampler(num_examples, batch_size=batch_size, last=last)
    if batch_size is None:
        everything = [index for rank in ranks for index in rank]
        assert sorted(everything) == list(range(num_examples))
        assert [len(rank) for rank in ranks] == [len(list(rank)) for rank in ranks]
        return
    whole, parts = list(lone), [list(rank) for rank in ranks]
    assert {len(part) for part in parts} == {len(whole)} == {len(lone)}
    for step, batch in enumerate(whole):
        mine = [part[step] for part in parts]
        assert all(mine)
        assert [*chain(*mine)] == batch
    lost = num_examples - sum(map(len, whole))
    assert len({index for batch in whole for index in batch}) == num_examples - lost
    assert lost == (num_examples % batch_size if last == "drop" else 0)


@given(length=st.integers(0, 100), batch_size=st.integers(1, 30), start=st.integers(0, 100))
def test_cuts(length, batch_size, start):
    start = min(start, length)
    short, drop, even = (cut(length, batch_size, last, start) for last in ("short", "drop", "even"))
    assert short[0] == drop[0] == even[0] == start
    assert short[-1] == even[-1] == length
    assert length - drop[-1] < batch_size
    assert (np.diff(drop) == batch_size).all()
    assert len(even) == len(short)
    assert len(even) < 3 or np.ptp(np.diff(even)) <= 1


def test_parts_by_hand():
    assert [part(10, 17, rank, 3) for rank in range(3)] == [(10, 12), (12, 14), (14, 17)]


def test_every_iter_is_a_walk_of_its_own():
    sampler = ExampleSampler(10)
    a, b = iter(sampler), iter(sampler)
    assert sorted([*[next(a) for _ in range(4)], *list(a)]) == list(range(10))
    assert sorted(b) == list(range(10))


def test_a_finished_epoch_is_followed_by_the_next_and_set_epoch_goes_back():
    sampler = ExampleSampler(30, seed=5)
    first, second = list(sampler), list(sampler)
    assert first != second
    assert sampler.epoch == 2
    sampler.set_epoch(0)
    assert list(sampler) == first
    sampler.set_epoch(1)
    sampler.set_epoch(1)
    assert list(sampler) == second


def test_an_epoch_that_was_broken_off_begins_anew():
    sampler = ExampleSampler(30, batch_size=4)
    whole = list(ExampleSampler(30, batch_size=4))
    assert next(iter(sampler)) == whole[0]
    assert list(sampler) == whole


def test_orders_of_seeds_and_epochs_are_all_distinct():
    orders = set()
    for seed in range(5):
        sampler = ExampleSampler(50, seed=seed)
        orders |= {tuple(sampler) for _ in range(20)}
    assert len(orders) == 100


@settings(max_examples=30, deadline=None)
@given(
    policy=st.sampled_from(["shuffle", "sample-difficulty", "infobatch", "focal"]),
    worlds=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    done=st.integers(0, 3),
    batched=st.booleans(),
)
def test_resume_at_another_world_size_goes_on_with_the_global_order(policy, worlds, done, batched):
    example, settings = Example(), {"batch_size": 12, "last": "drop"} if batched else {}
    make = lambda rank, world: make_sampler(  # noqa: E731
        make_policy(policy), example, rank=rank, world_size=world, **settings
    )
    whole = list(make(0, 1))
    flat = [index for batch in whole for index in batch] if batched else whole
    # A state at the end of an epoch begins the next one, which another test looks at.
    done = min(done, len(whole) - 1)
    before = [make(rank, worlds[0]) for rank in range(worlds[0])]
    seen = []
    for sampler in before:
        walk = iter(sampler)
        for _ in range(done):
            item = next(walk)
            seen.extend(item if batched else [item])
    state = before[0].state_dict()
    rest = []
    for rank in range(worlds[1]):
        sampler = make(rank, worlds[1])
        sampler.load_state_dict(state)
        rest.extend(index for item in sampler for index in (item if batched else [item]))
    together = done * (12 if batched else worlds[0])
    assert sorted(seen) == sorted(flat[:together])
    assert sorted(rest) == sorted(flat[together:])


@pytest.mark.parametrize("weights", [None, np.arange(1.0, 25.0)])
@pytest.mark.parametrize("worlds", [(1, 3), (3, 2)])
def test_without_a_policy_too_any_number_of_ranks_resumes(weights, worlds):
    source = 24 if weights is None else weights
    make = lambda rank, world: ExampleSampler(  # noqa: E731
        source, batch_size=6, seed=4, rank=rank, world_size=world
    )
    whole = [index for batch in make(0, 1) for index in batch]
    first = make(0, worlds[0])
    next(iter(first))
    rest = []
    for rank in range(worlds[1]):
        later = make(rank, worlds[1])
        later.load_state_dict(first.state_dict())
        rest += [index for batch in later for index in batch]
    assert sorted(rest) == sorted(whole[6:])


@settings(max_examples=40, deadline=None)
@given(
    policy=st.sampled_from([None, "shuffle", "infobatch", "rs2", "selective-backprop", "sample-difficulty"]),
    world=st.integers(1, 3),
    batch_size=st.sampled_from([None, 3, 6, 12]),
    last=st.sampled_from(["short", "drop", "even"]),
)
def test_its_length_is_that_of_the_planned_epoch_and_before_at_least_that(policy, world, batch_size, last):
    last = "short" if batch_size is None else "drop" if world > 1 else last
    world = 1 if policy == "selective-backprop" else world
    given = {"rank": world - 1, "world_size": world, "batch_size": batch_size, "last": last}
    if policy is None:
        sampler = ExampleSampler(31, **given)
    else:
        sampler = make_sampler(make_policy(policy), Example(), **given)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        most = len(sampler)
        sampler.plan()
        exact = len(sampler)
        assert exact == len(list(sampler)) <= most
        if policy not in ("infobatch", "selective-backprop"):
            assert exact == most


def test_resume_keeps_its_place_when_the_loop_sets_the_epoch():
    sampler = ExampleSampler(20, batch_size=3)
    sampler.set_epoch(4)
    walk = iter(sampler)
    next(walk)
    state = sampler.state_dict()
    other = ExampleSampler(20, batch_size=3)
    other.load_state_dict(state)
    other.set_epoch(4)
    assert list(other) == list(walk)


def test_a_state_at_the_end_of_an_epoch_begins_the_next():
    sampler = ExampleSampler(20, batch_size=3)
    list(sampler)
    other = ExampleSampler(20, batch_size=3)
    other.load_state_dict(sampler.state_dict())
    assert other.epoch == 1
    assert list(other) == list(sampler)


def test_the_state_is_plain_and_survives_saving(tmp_path):
    sampler = make_sampler(Sample("difficulty"), Example(), batch_size=7)
    walk = iter(sampler)
    next(walk)
    torch.save(sampler.state_dict(), tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", weights_only=True)
    other = make_sampler(Sample("difficulty"), Example(rounds=7), batch_size=7)
    other.load_state_dict(loaded)
    assert list(other) == list(walk)


def test_weights_act_at_the_next_epoch_and_not_later():
    weights = np.array([1.0, 0.0, 0.0])
    sampler = ExampleSampler(weights, size=50)
    walk = iter(sampler)
    assert next(walk) == 0
    weights[:] = [0.0, 1.0, 0.0]
    assert set(walk) == {0}
    assert set(sampler) == {1}


def test_weights_can_come_from_a_function():
    state = {"weights": [0.0, 0.0, 5.0]}
    sampler = ExampleSampler(lambda: state["weights"], size=9)
    assert set(sampler) == {2}
    state["weights"] = [1.0, 0.0, 0.0]
    assert set(sampler) == {0}
    state["weights"] = [1.0, 0.0]
    with pytest.raises(InputError, match="number of weights changed from 3; got 2"):
        iter(sampler)


def test_the_forms_of_drawing_from_weights():
    without = ExampleSampler(np.arange(6.0), draw="without-replacement", size=5)
    assert sorted(without) == [1, 2, 3, 4, 5]
    systematic = ExampleSampler(np.array([1.0, 2.0, 0.0]), draw="systematic", size=9)
    assert sorted(systematic) == [0] * 3 + [1] * 6


def test_weights_for_looks_up_the_epoch_weights():
    sampler = make_sampler(make_policy("weight-difficulty"), Example())
    list(sampler)
    everyone = sampler.weights_for(torch.arange(60))
    assert everyone.mean().item() == pytest.approx(1.0, abs=1e-6)
    assert torch.equal(sampler.weights_for(torch.tensor([7, 3, 7])), everyone[[7, 3, 7]])
    assert torch.equal(ExampleSampler(9).weights_for(torch.tensor([1, 2])), torch.ones(2))


def test_batches_join_the_epochs_end_to_end_and_resume_exactly():
    sampler = make_sampler(make_policy("weight-difficulty"), Example(), batch_size=25)
    stream = sampler.batches()
    drawn = [next(stream) for _ in range(3)]
    state = sampler.state_dict()
    more = [next(stream) for _ in range(4)]
    assert {len(batch) for batch in drawn + more} == {25}
    joined = torch.cat([batch.indices for batch in drawn + more]).tolist()
    assert sorted(joined[:60]) == sorted(joined[60:120]) == list(range(60))
    assert [batch.epoch for batch in drawn + more] == [0, 0, 0, 1, 1, 2, 2]
    other = make_sampler(make_policy("weight-difficulty"), Example(), batch_size=25)
    other.load_state_dict(state)
    for mine, theirs in zip(more, other.batches(), strict=False):
        assert torch.equal(mine.indices, theirs.indices)
        assert torch.equal(mine.weights, theirs.weights)


def test_batches_of_candidates_say_how_many_are_trained_on():
    sampler = make_sampler(RhoLoss(candidates=4), Example(), batch_size=5)
    batch = next(sampler.batches())
    assert (len(batch), batch.train_on) == (20, 5)
    assert next(ExampleSampler(9, batch_size=4).batches()).train_on is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"examples": 0}, "at least one example"),
        ({"examples": 5, "world_size": 6}, "5 examples cannot be shared by 6 ranks"),
        (
            {"examples": 9, "world_size": 3, "batch_size": 2},
            "batch of 2 cannot be shared.*all ranks together",
        ),
        ({"examples": 9, "world_size": 2, "batch_size": 4}, 'last batch of an epoch.*fewer.*last="drop"'),
        ({"examples": 9, "rank": 1}, "rank: must be from 0 to 0; got 1"),
        ({"examples": 9, "size": 5}, "size: has no effect.*EveryExample"),
        ({"examples": 9, "batch_size": 0}, "batch_size: must be at least 1"),
        ({"examples": 9, "last": "keep"}, "last: must be 'short', 'drop' or 'even'; got 'keep'"),
        ({"examples": 9, "policy": Sample()}, "needs history, which was not given.*history=\\.\\.\\."),
        ({"examples": 9, "policy": Sample(), "history": History(8)}, "history: is of 8 examples.* has 9"),
        ({"examples": 9, "policy": RhoLoss()}, "needs holdout_losses.*data held out from training"),
        ({"examples": 9, "policy": Shuffle(), "holdout_losses": [1.0]}, "one number for each of 9 examples"),
        ({"examples": [1.0, 2.0], "policy": Shuffle()}, "only one can decide"),
        ({"examples": [0.0, 0.0]}, "all weights are zero"),
        ({"examples": 4, "draw": "systematic"}, "no effect without weights"),
    ],
)
def test_bad_input(settings, message):
    with pytest.raises(InputError, match=message):
        ExampleSampler(**settings)


def test_what_a_rank_cannot_know_is_refused():
    with pytest.raises(InputError, match=r"rank: must be given if there are several ranks"):
        ExampleSampler(20, batch_size=4, world_size=2)
    with pytest.raises(InputError, match="must be a policy, not its name; got 'SD'"):
        ExampleSampler(20, policy="SD")
    with pytest.raises(InputError, match=r"must be a whole number; got 1\.5"):
        ExampleSampler(20).set_epoch(1.5)
    choosing = make_sampler(SelectiveBackprop(), Example(), rank=0, world_size=2, batch_size=8)
    with pytest.raises(InputError, match="chooses within global batches"):
        iter(choosing)
    some = torch.arange(4)
    with pytest.raises(InputError, match="chooses within global batches"):
        choosing.choose(some, torch.zeros(4, 2), some % 2, torch.ones(4), count=2)


def test_epochs_that_vary_cannot_end_short_on_several_ranks():
    with pytest.raises(InputError, match="fewer examples than there are ranks"):
        make_sampler(InfoBatch(), Example(), world_size=2, batch_size=8)
    make_sampler(InfoBatch(), Example(), rank=0, world_size=2, batch_size=8, last="even")


def test_a_state_that_does_not_fit():
    state = ExampleSampler(20, seed=3).state_dict()
    for other, name in ((ExampleSampler(21, seed=3), "num_examples"), (ExampleSampler(20), "seed")):
        with pytest.raises(InputError, match=f"another {name} than this one"):
            other.load_state_dict(state)
    with pytest.raises(InputError, match="another policy"):
        make_sampler(Sample(), Example(num_examples=20), seed=3).load_state_dict(state)
    with pytest.raises(InputError, match="epoch: must not be negative"):
        ExampleSampler(20).set_epoch(-1)
