"""What lies between the sampler and the loop: each layer that changes the batches is found and named."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader

from headrace.errors import InputError
from headrace.histories import History
from headrace.sampling import ExampleSampler, Indexed, ranks
from headrace.sampling.ranks import DIFFERENT, difference

DATA = [(float(i), i % 3) for i in range(24)]
WHOLE = list(ExampleSampler(24, batch_size=4, seed=2))


def train(sampler, batches, shows="weights_for"):
    for index in map(torch.as_tensor, batches):
        if shows == "weights_for":
            sampler.weights_for(index)
        else:
            sampler.narrow(index, index, index, None, None)


def indices(loader):
    return (index for index, _ in loader)


def plain(sampler, **settings):
    return DataLoader(Indexed(DATA), batch_sampler=sampler, **settings)


class Sharded:
    """What accelerate.prepare makes of a batch sampler for process 1 of 2."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return (batch for place, batch in enumerate(self.batches) if place % 2 == 1)


class Halved(Sharded):
    """The same with split_batches=True."""

    def __iter__(self):
        return (batch[len(batch) // 2 :] for batch in self.batches)


class Reordered(Sharded):
    """A layer that shuffles within each batch."""

    def __iter__(self):
        return (sorted(batch) for batch in self.batches)


class Late(Sharded):
    """Batches out of order."""

    def __iter__(self):
        batches = list(self.batches)
        return iter([batches[1], batches[0], *batches[2:]])


class Joined(Sharded):
    """Two batches put together."""

    def __iter__(self):
        return (a + b for a, b in zip(*[iter(self.batches)] * 2, strict=False))


class Twice(Sharded):
    """Each batch twice."""

    def __iter__(self):
        return (batch for batch in self.batches for _ in range(2))


@pytest.mark.parametrize("shows", ["weights_for", "narrow"])
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Sharded, "those of number 1, and what comes before did not arrive.*drop_last.*accelerator.prepare"),
        (Halved, "fewer and not the beginning of it.*cuts the batch again"),
        (Reordered, "in another order.*Another layer shuffles"),
        (Late, "number 1, and what comes before did not arrive.*in_order"),
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_a_layer_that_changes_batches_is_named(layer, message, workers, shows):
    sampler = ExampleSampler(24, batch_size=4, seed=2)
    with pytest.raises(InputError, match=f"(?s)not those of batch 0.*{message}"):
        train(sampler, indices(plain(layer(sampler), num_workers=workers)), shows)


def test_batches_put_together_are_named():
    sampler = ExampleSampler(24, batch_size=4, seed=2)
    with pytest.raises(InputError, match=r"begin with it and continue.*batches of batches"):
        train(sampler, indices(plain(Joined(sampler))))


def test_a_second_look_is_allowed_and_a_batch_of_before_is_not():
    sampler = ExampleSampler(24, batch_size=4, seed=2)
    walk = iter(plain(Twice(sampler)))
    train(sampler, (index for index, _ in (next(walk), next(walk))))
    next(walk)
    assert sampler.state_dict()["items"] == 1
    with pytest.raises(InputError, match="those of batches number 0, which arrived before"):
        train(sampler, [WHOLE[1], WHOLE[0]])


@pytest.mark.parametrize("before", [0, 5])
def test_single_examples_of_before_and_of_later_are_told_apart(before):
    sampler = ExampleSampler(12, seed=2)
    order = list(ExampleSampler(12, seed=2))
    walk = iter(sampler)
    for _ in range(before):
        sampler.weights_for(torch.tensor([next(walk)]))
    if before:
        resumed = ExampleSampler(12, seed=2)
        resumed.load_state_dict(sampler.state_dict())
        sampler, walk = resumed, iter(resumed)
    list(walk)
    sampler.weights_for(torch.tensor(order[before : before + 4]))
    with pytest.raises(
        InputError, match=rf"example {before + 4} of .*those of examples number {before + 1}, which"
    ):
        sampler.weights_for(torch.tensor(order[before + 1 : before + 3]))
    with pytest.raises(
        InputError, match=f"those of number {before + 6}, and what comes before did not arrive"
    ):
        sampler.weights_for(torch.tensor(order[before + 6 :]))
    with pytest.raises(InputError, match="they are in another order"):
        sampler.weights_for(torch.tensor(order[before + 4 : before + 6][::-1]))


def test_parts_of_a_batch_in_order_are_right_and_count_when_they_are_whole():
    sampler = ExampleSampler(24, batch_size=4, seed=2)
    walk = iter(plain(sampler, num_workers=2))
    first, second = next(walk)[0], next(walk)[0]
    train(sampler, [first[:1], first[1:], second[:3]])
    assert sampler.state_dict()["position"] == 4
    train(sampler, [second[3:]])
    assert sampler.state_dict(done=2)["position"] == 8
    with pytest.raises(
        InputError, match=r"done: .*trained on 2 batches.*; got 1.*from the beginning of the epoch"
    ):
        sampler.state_dict(done=1)


@pytest.mark.parametrize("device_like", ["cpu"])
def test_a_loader_that_drops_what_the_sampler_gives_is_refused_at_once(device_like):
    sampler = ExampleSampler(23, seed=2)
    loader = DataLoader(Indexed(DATA[:23]), sampler=sampler, batch_size=4, drop_last=True)
    with pytest.raises(InputError, match=r"drop_last: the loader would drop the last 3 of .* 23.*last=.drop"):
        next(iter(loader))
    fitting = DataLoader(Indexed(DATA), sampler=ExampleSampler(24), batch_size=4, drop_last=True)
    assert len(list(fitting)) == 6


@pytest.mark.parametrize("done", [-1, 99, 1.5, True])
def test_done_is_a_number_of_this_epoch(done):
    sampler = ExampleSampler(24, batch_size=4)
    next(iter(plain(sampler, num_workers=1)))
    with pytest.raises(InputError, match="done: "):
        sampler.state_dict(done=done)


@pytest.mark.parametrize("shown", [False, True])
def test_what_is_done_must_be_what_was_seen_or_lie_within_what_was_taken(shown):
    sampler = ExampleSampler(11, batch_size=4)
    walk = iter(sampler)
    for _ in range(2):
        batch = next(walk)
        if shown:
            sampler.weights_for(torch.tensor(batch))
    for done in range(-1, 5):
        if done in ([2] if shown else [0, 1, 2]):
            state = sampler.state_dict(done=done)
            assert (state["items"], state["position"]) == (done, 4 * done)
            continue
        with pytest.raises(InputError, match="done"):
            sampler.state_dict(done=done)
    resumed = ExampleSampler(11, batch_size=4)
    resumed.load_state_dict(sampler.state_dict())
    for done in (1, 3):
        with pytest.raises(InputError, match="done"):
            resumed.state_dict(done=done)
    assert resumed.state_dict(done=2)["position"] == 8
    next(iter(resumed))
    state = resumed.state_dict(done=3)
    assert (state["finished"], state["position"]) == (True, 11)


def test_a_loop_that_shows_nothing_must_say_what_a_prefetching_loader_hides():
    sampler = ExampleSampler(24, batch_size=4, seed=2)
    walk = iter(plain(sampler, num_workers=1, prefetch_factor=2))
    next(walk)
    with pytest.raises(InputError, match=r"fetched \d batches of the epoch ahead.*state_dict\(done="):
        sampler.state_dict()
    assert sampler.state_dict(done=1)["position"] == 4


def test_what_a_history_records_is_known_to_be_trained_on():
    history = History(24)
    sampler = ExampleSampler(24, batch_size=4, seed=2, history=history)
    walk = iter(plain(sampler, num_workers=1, prefetch_factor=2))
    for _ in range(2):
        index, (_, targets) = next(walk)
        history.record(index, torch.randn(4, 3), targets)
    assert sampler.state_dict()["position"] == 8
    history.record(torch.arange(24), torch.randn(24, 3), torch.zeros(24, dtype=torch.int64))
    with pytest.raises(InputError, match="cannot see how many were trained on"):
        sampler.state_dict()


def test_an_evaluation_pass_within_an_epoch_changes_nothing():
    sampler = ExampleSampler(24, batch_size=4, seed=2)
    loader = plain(sampler)
    walk = indices(loader)
    train(sampler, [next(walk), next(walk)])
    list(loader)
    next(iter(loader))
    train(sampler, [next(walk)])
    assert (sampler.state_dict()["position"], sampler.epoch) == (12, 0)
    train(sampler, walk)
    assert sampler.epoch == 1


def test_two_loops_over_one_sampler_are_refused():
    sampler = ExampleSampler(24, batch_size=4, seed=2)
    pairs = zip(indices(plain(sampler)), indices(plain(sampler)), strict=True)
    with pytest.raises(InputError, match="two loops train on one sampler"):
        train(sampler, (index for pair in pairs for index in pair))


def test_an_epoch_left_early_is_followed_by_what_set_epoch_says():
    sampler = ExampleSampler(24, batch_size=4, seed=2)
    loader = plain(sampler)
    train(sampler, [next(indices(loader))])
    with pytest.raises(InputError, match=r"1 of the epoch's 6 batches arrived.*set_epoch"):
        train(sampler, indices(loader))
    sampler.set_epoch(0)
    train(sampler, indices(loader))
    train(sampler, [next(indices(loader))])
    sampler.set_epoch(2)
    train(sampler, indices(loader))
    assert sampler.epoch == 3


def test_an_epoch_resumed_at_its_end_is_not_trained_twice():
    sampler = ExampleSampler(24, batch_size=4, seed=2)
    train(sampler, indices(plain(sampler)))
    state = sampler.state_dict()
    for workers in (0, 2):
        counts, other = [], ExampleSampler(24, batch_size=4, seed=2)
        other.load_state_dict(state)
        loader = plain(other, num_workers=workers, persistent_workers=workers > 0)
        for epoch in (0, 1):
            other.set_epoch(epoch)
            counts.append(sum(1 for _ in loader))
        assert counts == [0, 6]


def test_shown_in_a_worker_it_is_refused():
    sampler = ExampleSampler(24, batch_size=4)

    def collate(items):
        return sampler.weights_for(torch.tensor([index for index, _ in items]))

    with pytest.raises(Exception, match="in a worker process of the loader"):
        list(plain(sampler, num_workers=1, collate_fn=collate))
    assert len(list(plain(sampler, num_workers=0, collate_fn=collate))) == 6


def test_the_environment_says_the_rank(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    sampler = ExampleSampler(24, batch_size=4, seed=2)
    assert (sampler.rank, sampler.world_size, sampler.workers) == (1, 2, 2)
    assert list(sampler) == [batch[2:] for batch in WHOLE]
    assert list(ExampleSampler(24, batch_size=4, seed=2, rank=0, world_size=1)) == WHOLE
    assert [len(batch) for _, batch in zip(range(2), sampler.batches(), strict=False)] == [4, 4]
    for given in ({"rank": 0}, {"rank": 0, "world_size": 2}):
        with pytest.raises(InputError, match="RANK, WORLD_SIZE\\) says that this process is rank 1 of 2"):
            ExampleSampler(24, batch_size=4, **given)
    with pytest.raises(InputError, match="workers: every rank is one worker, so this must be 2; got 3"):
        list(ExampleSampler(24, batch_size=4, workers=3))
    monkeypatch.delenv("RANK")
    with pytest.raises(InputError, match="WORLD_SIZE is 2, and RANK does not say"):
        list(sampler)
    assert ranks.given(1, 2).source == "the arguments"


@pytest.mark.parametrize("name", DIFFERENT)
def test_ranks_that_differ_are_told_in_what(name):
    alike = [[1] * len(DIFFERENT), [1] * len(DIFFERENT)]
    assert difference([0, 0], [0, 1], alike) is None
    other = [1 + (name == column) for column in DIFFERENT]
    error = difference([0, 0], [0, 1], [alike[0], other])
    assert error is not None and f"differ in {DIFFERENT[name][0]}: rank 0 and 1" in str(error)
    assert "rank 1 could not plan" in str(difference([0, 1], [0, 1], alike))
    assert "same rank" in str(difference([0, 0], [0, 0], alike))


class BatchSamplerShard(Sharded):
    """As accelerate's, by its name; walked by a loop that shows nothing."""

    def __init__(self, batches, processes):
        super().__init__(batches)
        self.num_processes = processes

    def __iter__(self):
        yield from super().__iter__()


def test_a_layer_that_divides_a_ranks_part_is_refused_even_if_nothing_is_shown():
    sampler = ExampleSampler(24, batch_size=4, seed=2, rank=1, world_size=2)
    with pytest.raises(InputError, match=r"accelerator.prepare would divide .* 2 ranks once more"):
        list(plain(BatchSamplerShard(sampler, 2)))
    assert len(list(plain(BatchSamplerShard(sampler, 1)))) == 3
    whole = ExampleSampler(24, batch_size=4, seed=2, rank=0, world_size=1)
    assert len(list(plain(BatchSamplerShard(whole, 2)))) == 3


@pytest.mark.parametrize("given", [iter([1, 2]), {1, 2}, 3, None, "text", b"bytes", (x for x in "ab")])
def test_only_data_sets_with_a_length_and_items_have_indices(given: object) -> None:
    with pytest.raises(InputError, match="must be a map-style data set"):
        Indexed(given)  # pyright: ignore[reportArgumentType]
    taken = Indexed([5, 6])
    assert (len(taken), taken[1]) == (2, (1, 6))


@pytest.mark.parametrize("draw", ["random", "", "Systematic", None, 1])
@pytest.mark.parametrize("examples", [4, [1.0, 2.0]])
def test_an_unknown_way_of_drawing_is_refused(draw: object, examples: object) -> None:
    with pytest.raises(InputError, match="draw"):
        ExampleSampler(examples, draw=draw, seed=0)  # pyright: ignore[reportArgumentType]
    assert len(list(ExampleSampler([1.0, 2.0], draw="systematic", seed=0))) == 2
