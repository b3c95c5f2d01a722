"""Any sequence of training, checkpoints, crashes and resumes trains what the undisturbed run trains."""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.histories import History, LabelWindow
from headrace.policies import make_policy
from headrace.policies.testing import Example
from headrace.sampling import ExampleSampler

EXAMPLE = Example(num_examples=23)
EPOCHS = 4
POLICIES = {
    "shuffle": {},
    "uniform": {},
    "sample-difficulty": {},
    "importance-difficulty": {"refresh_epochs": 2},
    "weight-easiness": {"burn_in_epochs": 1},
    "infobatch": {"until": 1.0},
    "self-paced": {},
    "focal": {"annealing_epochs": 3},
    "rs2": {},
    "online-batch-selection": {},
    "recency-bias": {},
    "partition-blocks": {"burn_in_epochs": 2, "score": "mean-loss"},
    "partition-random": {},
    "sample-prediction-variance": {"per_class": True},
}
CHOOSING = {"rho-loss": {"candidates": 2}, "selective-backprop": {}, "gradient-norm": {"always": True}}


@dataclass
class Run:
    """A training loop on several ranks that share one history, as merged ones are."""

    policy: str
    world: int = 1
    batch_size: int | None = 5
    last: str = "short"
    ahead: int = 0
    shows: bool = True
    log: list[Any] = field(default_factory=list)
    epoch: int = 0

    def __post_init__(self):
        self.history, self.window = History(23), LabelWindow(23, 3)
        made = make_policy(self.policy, **(POLICIES | CHOOSING)[self.policy])
        self.samplers = [
            ExampleSampler(
                23,
                policy=made,
                batch_size=self.batch_size,
                epochs=EPOCHS,
                history=self.history,
                label_window=self.window,
                holdout_losses=EXAMPLE.losses / 2,
                labels=EXAMPLE.labels.numpy(),
                last=self.last,
                rank=rank,
                world_size=self.world,
            )
            for rank in range(self.world)
        ]

    def state(self, done):
        # Ranks are at the same place, and a state is loaded on any of them.
        states = [sampler.state_dict(done=done) for sampler in self.samplers]
        if self.batch_size is not None:
            assert len({(state["position"], state["finished"], state["items"]) for state in states}) == 1
        return copy.deepcopy(
            {
                "sampler": states[0],
                "history": self.history.state_dict(),
                "window": self.window.state_dict(),
                "epoch": self.epoch,
                "done": self.done,
                "log": self.log,
            }
        )

    def load(self, state):
        state = copy.deepcopy(state)
        for sampler in self.samplers:
            sampler.load_state_dict(copy.deepcopy(state["sampler"]))
        self.history.load_state_dict(state["history"])
        self.window.load_state_dict(state["window"])
        self.epoch, self.done, self.log = state["epoch"], state["done"], state["log"]

    done: int = 0

    def steps(self):
        """Yield after every step; the epoch that a checkpoint holds is that of the step before it."""
        for epoch in range(self.epoch, EPOCHS):
            if epoch != self.epoch:
                self.done = 0
            self.epoch = epoch
            for sampler in self.samplers:
                sampler.set_epoch(epoch)
            for parts in zip(*(fetched(sampler, self.ahead) for sampler in self.samplers), strict=True):
                self.train(parts)
                yield

    def train(self, parts):
        # A history hears one rank after the other; a policy that chooses sees the whole batch.
        for rank, (sampler, part) in enumerate(zip(self.samplers, parts, strict=True)):
            index = torch.tensor(part)
            logits = EXAMPLE.logits(noise=1.0, round=self.epoch)[index]
            weights = torch.ones(len(index))
            if self.policy in CHOOSING:
                forward = lambda x, logits=logits: logits  # noqa: E731
                index, _, _, weights = sampler.narrow(index, index, EXAMPLE.labels[index], forward, losses)
                logits = EXAMPLE.logits(noise=1.0, round=self.epoch)[index]
            elif self.shows:
                weights = torch.cat([sampler.weights_for(micro) for micro in index.split(2)])
            self.history.record(index, logits, EXAMPLE.labels[index])
            self.window.record(index, logits)
            self.log.append((self.epoch, rank, index.tolist(), weights.tolist()))
        self.done += 1


def losses(outputs, targets):
    return torch.nn.functional.cross_entropy(outputs, targets, reduction="none")


def fetched(sampler, ahead):
    """A sampler's batches, so many fetched ahead; single examples in batches of 3."""
    walk = iter(sampler)
    if sampler.batch_size is None:
        walk = iter(lambda items=walk: list(islice(items, 3)) or None, None)
    held = deque()
    for item in walk:
        held.append(item)
        if len(held) > ahead:
            yield held.popleft()
    yield from held


def flat(log):
    return [(epoch, i, w) for epoch, _, index, weights in log for i, w in zip(index, weights, strict=True)]


def disturbed(settings, plan, says_done):
    """Train with a checkpoint and a crash after so many and so many steps; then to the end."""
    saved = None
    for until_save, until_crash in plan:
        run = resumed(settings, saved)
        for step, _ in enumerate(run.steps(), 1):
            if step == until_save:
                saved = run.state(run.done if says_done else None)
            if step >= until_save + until_crash:
                break
    run = resumed(settings, saved)
    for _ in run.steps():
        pass
    return run.log


def resumed(settings, saved):
    run = Run(**settings)
    if saved is not None:
        run.load(saved)
    return run


SETTINGS = st.fixed_dictionaries(
    {
        "policy": st.sampled_from(list(POLICIES)),
        "world": st.integers(1, 3),
        "batch_size": st.sampled_from([5, 6, 8]),
        "last": st.sampled_from(["drop", "even"]),
        "ahead": st.integers(0, 3),
    }
)
PLAN = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3)), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(settings=SETTINGS, plan=PLAN, says_done=st.booleans())
def test_whatever_breaks_off_the_same_is_trained(settings, plan, says_done):
    whole = Run(**settings)
    for _ in whole.steps():
        pass
    assert disturbed(settings, plan, says_done) == whole.log


@settings(max_examples=30, deadline=None)
@given(
    policy=st.sampled_from([*POLICIES, *CHOOSING]),
    batch_size=st.sampled_from([3, 5]),
    ahead=st.integers(0, 3),
    plan=PLAN,
)
def test_in_one_process_with_short_last_batches_and_policies_that_choose(policy, batch_size, ahead, plan):
    settings = {"policy": policy, "batch_size": batch_size, "ahead": ahead}
    whole = Run(**settings)
    for _ in whole.steps():
        pass
    assert disturbed(settings, plan, says_done=False) == whole.log


@settings(max_examples=20, deadline=None)
@given(policy=st.sampled_from(["shuffle", "sample-difficulty"]), plan=PLAN, says_done=st.booleans())
def test_a_loop_that_shows_nothing_and_fetches_nothing_ahead(policy, plan, says_done):
    settings = {"policy": policy, "shows": False}
    whole = Run(**settings)
    for _ in whole.steps():
        pass
    assert disturbed(settings, plan, says_done) == whole.log


@settings(max_examples=20, deadline=None)
@given(
    policy=st.sampled_from(["shuffle", "weight-easiness"]),
    ahead=st.integers(0, 2),
    plan=PLAN,
)
def test_single_examples(policy, ahead, plan):
    settings = {"policy": policy, "batch_size": None, "ahead": ahead}
    whole = Run(**settings)
    for _ in whole.steps():
        pass
    assert flat(disturbed(settings, plan, says_done=False)) == flat(whole.log)


@settings(max_examples=30, deadline=None)
@given(
    worlds=st.lists(st.tuples(st.integers(1, 3), st.sampled_from([5, 6, 8])), min_size=2, max_size=4),
    steps=st.lists(st.integers(1, 4), min_size=4, max_size=4),
)
def test_another_world_and_batch_size_go_on_with_the_same_order(worlds, steps):
    """The examples and their order within an epoch stay; only the batches are cut anew."""
    whole = Run("weight-easiness", last="even")
    for _ in whole.steps():
        pass
    saved, run = None, whole
    for (world, batch_size), until in zip(worlds, steps, strict=False):
        run = Run("weight-easiness", world=world, batch_size=batch_size, last="even")
        if saved is not None:
            run.load(saved)
        for step, _ in enumerate(run.steps(), 1):
            if step == until:
                saved = run.state(run.done)
                break
    last = run.epoch
    assert flat(run.log) == [entry for entry in flat(whole.log) if entry[0] <= last][: len(flat(run.log))]


def test_every_example_is_trained_once_per_epoch_whatever_breaks_off():
    log = disturbed(
        {"policy": "shuffle", "world": 2, "batch_size": 6, "last": "even"}, [(3, 1), (4, 0)] * 3, True
    )
    for epoch in range(EPOCHS):
        assert sorted(i for e, i, _ in flat(log) if e == epoch) == list(range(23))


def test_a_resumed_epoch_that_is_planned_otherwise_is_refused():
    first = Run("self-paced")
    for _ in first.steps():
        if first.epoch == 1 and first.done == 2:
            break
    longer = ExampleSampler(
        23, policy=make_policy("self-paced"), batch_size=5, epochs=9, history=first.history
    )
    longer.load_state_dict(first.state(None)["sampler"])
    with pytest.raises(InputError, match="differs from its plan when it began"):
        list(longer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"position": -1}, "position: must not be negative"),
        ({"epoch": 1.5}, "epoch: must be a whole number"),
        ({"finished": 1}, "finished: must be True or False"),
        ({"values": torch.ones(4)}, "values: must be one number per example"),
        ({"cut": 99}, "cut: must be 0 to 5; got 99"),
        (None, "must be what state_dict\\(\\) gave; got 'NoneType'"),
    ],
)
def test_states_that_are_none(change, message):
    sampler = ExampleSampler(23, batch_size=5)
    next(iter(sampler))
    state = None if change is None else sampler.state_dict() | change
    with pytest.raises(InputError, match=message):
        ExampleSampler(23, batch_size=5).load_state_dict(state)


def test_a_state_of_before_is_read():
    sampler = ExampleSampler(23, batch_size=5)
    walk = iter(sampler)
    next(walk), next(walk)
    state = {k: v for k, v in sampler.state_dict().items() if k not in ("items", "cut", "batch_size", "plan")}
    other = ExampleSampler(23, batch_size=5)
    other.load_state_dict(state)
    assert list(other) == list(walk)
