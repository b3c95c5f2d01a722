"""`state_dict` of every object: what it gives is taken back, and an impossible one is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from headrace import (
    EnsembleStatistics,
    ExampleSampler,
    History,
    LabelWindow,
    LossHistory,
    NoiseScale,
    policies,
)
from headrace.errors import InputError

State = dict[str, Any]


def ensemble(**settings: Any) -> EnsembleStatistics:
    generator = torch.Generator().manual_seed(3)
    made = EnsembleStatistics(6, 40, **settings)
    for member, (start, rows) in enumerate([(0, 6), (0, 4), (2, 4)]):
        logits = torch.randn(rows, 40, generator=generator)
        if settings:
            made.add_member(start, logits.sigmoid(), member=str(member))
        else:
            targets = torch.randint(0, 40, (rows,), generator=generator) if member else None
            made.add_member(start, logits.softmax(1), targets, member=str(member))
    return made


def with_counts() -> EnsembleStatistics:
    """One with so many members that votes are counted for each class."""
    made = EnsembleStatistics(5, 2)
    for member in range(4):
        made.add_member(0, torch.rand(5, 2).softmax(1), member=str(member))
    return made


def history(kind: Callable[..., Any], **settings: Any) -> Any:
    made, generator = kind(5, **settings), torch.Generator().manual_seed(1)
    for _ in range(4):
        index = torch.randint(0, 4, (6,), generator=generator)
        if kind is History:
            made.record(index, 3 * torch.randn(6, 3, generator=generator), index % 3)
        else:
            made.record(index, torch.rand(6, generator=generator))
    return made


def labels() -> LabelWindow:
    made = LabelWindow(5, 3, window=2)
    made.record(torch.tensor([0, 0, 0, 3]), torch.randn(4, 3))
    return made


def noise() -> NoiseScale:
    model = nn.Linear(3, 1)
    made = NoiseScale(model.parameters())
    for _ in range(2):
        for _ in range(2):
            model(torch.randn(4, 3)).square().sum().backward()
        made.step(8)
        model.zero_grad()
    return made


def sampler(policy: str = "shuffle") -> ExampleSampler:
    made = ExampleSampler(20, batch_size=4, policy=getattr(policies, policy)())
    walk = iter(made)
    for _ in range(2):
        made.weights_for(torch.as_tensor(next(walk)))
    return made


def put(*path: Any, value: Any) -> Callable[[State], None]:
    """Puts a value at a path of keys; a function is given what is there."""

    def change(state: State) -> None:
        *outer, key = path
        place: Any = state
        for name in outer:
            place = place[name]
        place[key] = value(place[key]) if callable(value) else value

    return change


def cell(name: str, *at: int, value: float) -> Callable[[State], None]:
    return put("tensors", name, at, value=value)


def column(number: int, value: float) -> Callable[[State], None]:
    return put("table", (1, number), value=value)


@dataclass(frozen=True)
class Case:
    """An object, how its state is taken back, and what is done to the state so that it is refused."""

    make: Callable[[], Any]
    changes: dict[str, Callable[[State], None]]


VOTES = {
    "more members than votes": cell("members", 5, value=9),
    "a negative number of members": cell("members", 0, value=-1),
    "fewer members than were named": cell("members", 5, value=1),
    "more targets than members": cell("targeted", 0, value=4),
    "more errors than targets": cell("errors", 0, value=3),
    "NaN in the sums": cell("probability_sum", 0, 0, value=float("nan")),
    "a sum below zero": cell("probability_sum", 0, 0, value=-0.5),
    "sums that miss a member": put("tensors", "probability_sum", value=lambda sums: sums * 0.5),
    "more entropy than there is": cell("entropy_sum", 1, value=500.0),
    "entropy below zero": cell("entropy_sum", 1, value=-0.5),
    "more named members than counted": put("coverage", "new", value=[[0, 6]]),
    "another version": put("version", value=2),
    "another number of examples": put("num_examples", value=7),
}
BALLOTS = {
    "a vote for no class": cell("ballot_0", 2, value=40),
    "a vote that is missing": cell("ballot_0", 2, value=-1),
    "a vote below -1": cell("ballot_2", 0, value=-2),
    "a vote of nobody": cell("ballot_2", 0, value=1),
    "a round of votes that is missing": put(
        "tensors", value=lambda t: {k: t[k] for k in t if k != "ballot_2"}
    ),
}
COUNTS = {
    "a vote too many": put("tensors", "vote_counts", (1, 0), value=lambda votes: votes + 1),
    "votes below zero": put("tensors", "vote_counts", 1, value=torch.tensor([5, -1])),
}
TABLE = {
    "another type": put("table", value=lambda table: table.double()),
    "another shape": put("table", value=lambda table: table[:-1]),
    "no table": put("table", value=None),
    "text for classes": put("num_classes", value="3"),
    "another kind": put("kind", value="other"),
}
GROWING = {
    **TABLE,
    "half an observation": column(2, 2.5),
    "a count below zero": column(2, -1.0),
    "no finite count": column(2, float("nan")),
    "weight without observations": column(2, 0.0),
    "observations without weight": column(0, 0.0),
    "more weight than observations": column(0, 1e3),
    "more squared weight than observations": column(1, 1e3),
}
CASES = {
    "ensemble": Case(ensemble, VOTES | BALLOTS),
    "ensemble with counts": Case(
        with_counts, COUNTS | {k: VOTES[k] for k in ("a sum below zero", "another version")}
    ),
    "multilabel": Case(
        lambda: ensemble(multilabel=True),
        {
            k: VOTES[k]
            for k in ("a sum below zero", "more entropy than there is", "fewer members than were named")
        }
        | {"targets": cell("targeted", 0, value=1), "a sum above": cell("probability_sum", 0, 0, value=3.5)},
    ),
    "history": Case(
        lambda: history(History),
        GROWING
        | {
            "uneven weights": column(0, 1.0),
            "uneven squares": column(1, 1.0),
            "half a transition": column(3, 0.5),
        }
        | {"more transitions than observations": column(3, 99.0), "a negative moment": column(5, -50.0)}
        | {
            "a probability above 1": column(6, 1.5),
            "a share below 0": column(8, -0.5),
            "a norm below 0": column(10, -1.0),
        },
    ),
    "fading history": Case(lambda: history(History, decay=0.5), GROWING | {"transitions": column(3, 99.0)}),
    "history of losses": Case(
        lambda: history(LossHistory), GROWING | {"a negative moment": column(3, -50.0)}
    ),
    "window": Case(
        lambda: history(History, window=3),
        TABLE
        | {"half an observation": column(0, 1.5), "below zero": column(0, -1.0), "a norm": column(3, -1.0)},
    ),
    "window of losses": Case(lambda: history(LossHistory, window=3), {"half an observation": column(0, 1.5)}),
    "labels": Case(
        labels,
        {
            "a count below zero": put("count", 0, value=-1),
            "no such class": put("labels", (0, 1), value=3),
            "another type": put("labels", value=lambda held: held.long()),
            "another shape": put("count", value=lambda held: held[1:]),
            "nothing": put("count", value=None),
            "another window": put("window", value=3),
        },
    ),
    "noise": Case(
        noise,
        {
            "another version": put("version", value=0),
            "other ranks": put("ranks", value=2),
            "steps without sizes": put("examples", value=[8]),
            "steps without norms": put("squares", value=lambda squares: squares[1:]),
            "steps without shares": put("shares", value=[]),
            "no list": put("squares", value=None),
            "three norms": put("squares", 1, value=[1.0, 2.0, 3.0]),
            "a negative norm": put("squares", 1, value=[-1.0, 2.0]),
            "text": put("squares", 0, value=["1", "2"]),
            "no examples": put("examples", 0, value=0),
            "half an example": put("examples", 0, value=1.5),
            "no share": put("shares", 0, value=0.0),
            "more than all": put("shares", 0, value=1.5),
        },
    ),
    "sampler": Case(
        sampler,
        {
            "beyond the epoch": put("position", value=24),
            "a negative place": put("position", value=-4),
            "more items than examples": put("items", value=9),
            "cut behind its place": put("cut", value=9),
            "half an epoch": put("epoch", value=0.5),
            "no flag": put("finished", value=0),
            "another seed": put("seed", value=1),
            "another plan": put("plan", value=lambda plan: plan ^ 1),
            "negative steps": put("steps", value=-1),
            "no memory": put("memory", value=None),
            "a memory of text": put("memory", value={"losses": "x"}),
            "a square memory": put("memory", value={"losses": torch.ones(2, 2)}),
            "values of others": put("values", value=torch.ones(19)),
            "assessed in no epoch": put("assessed_in", value=-1),
        },
    ),
}


def taken_back(made: Any, state: Any) -> Any:
    """A new object of the same kind with a state."""
    if isinstance(made, EnsembleStatistics):
        return EnsembleStatistics.from_state_dict(state)
    fresh = copy.deepcopy(made) if not isinstance(made, NoiseScale | ExampleSampler) else None
    if isinstance(made, NoiseScale):
        fresh = NoiseScale(nn.Linear(3, 1).parameters())
    if isinstance(made, ExampleSampler):
        fresh = ExampleSampler(made.num_examples, batch_size=4, policy=made.policy)
    fresh.load_state_dict(state)
    if isinstance(made, ExampleSampler):
        iter(fresh)
    return fresh


def plain(state: Any) -> Any:
    """What a state holds, comparable; NaN like NaN."""
    if isinstance(state, torch.Tensor):
        return repr(state.tolist())
    return {key: plain(value) for key, value in state.items()} if isinstance(state, dict) else repr(state)


@pytest.mark.parametrize("name", CASES)
def test_a_state_is_taken_back_and_no_impossible_one_is(name: str) -> None:
    case = CASES[name]
    made = case.make()
    before = copy.deepcopy(made.state_dict())
    assert plain(taken_back(made, copy.deepcopy(before)).state_dict()) == plain(before)
    for what, change in case.changes.items():
        state = copy.deepcopy(before)
        change(state)
        with pytest.raises(InputError) as found:
            raise AssertionError(what, plain(taken_back(made, state).state_dict()))
        assert str(found.value), what


@pytest.mark.parametrize("name", CASES)
def test_what_is_no_state_is_refused_by_name(name: str) -> None:
    made = CASES[name].make()
    for wrong in (None, [], "state", {}, 3):
        with pytest.raises(InputError):
            taken_back(made, wrong)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "losses", [[float("nan")] * 3, [float("inf")] * 3, [1e30] * 3, [0.0] * 3, [7.7, 7.7, 7.7]]
)
def test_what_a_diverging_run_recorded_is_still_taken_back(losses: list[float]) -> None:
    for settings in ({}, {"decay": 0.9}, {"window": 2}):
        made = LossHistory(3, **settings)
        for _ in range(3):
            made.record(torch.tensor([1, 1, 2]), torch.tensor(losses))
        assert plain(taken_back(made, made.state_dict()).state_dict()) == plain(made.state_dict())


def test_an_overflowed_step_is_still_taken_back() -> None:
    made = noise()
    state = made.state_dict()
    state["squares"][0] = [float("inf"), float("nan")]
    assert repr(taken_back(made, state).state_dict()["squares"][0]) == "[inf, nan]"
