"""Epochs and their plans: how far a training is, and when a plan or its values are made anew."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.errors import InputError
from headrace.sampling.plan import Epoch, Known, Plan
from headrace.sampling.planning import GivenWeights, Planning

N = 6


def planning(policy, **changes) -> Planning:
    asked = {"seed": 0, "epochs": None, "size": None, "labels": None, "workers": lambda: 1, **changes}
    return Planning(policy, Known(num_examples=N), **asked)


@pytest.mark.parametrize(("number", "share"), [(0, 0.0), (1, 0.2), (4, 0.8), (5, 1.0), (6, 1.0), (50, 1.0)])
def test_progress_is_the_share_of_the_epochs_and_stays_at_one(number, share):
    assert Epoch(number=number, epochs=5, num_examples=N).progress("focal") == pytest.approx(share)


def test_progress_of_a_training_without_an_end_is_refused():
    with pytest.raises(InputError, match="epochs: focal changes over the training"):
        Epoch(number=1, num_examples=N).progress("focal")


def test_an_epoch_draws_what_was_asked_for_or_one_for_each_example():
    assert Epoch(number=0, num_examples=N).draws == N
    assert Epoch(number=0, num_examples=N, size=17).draws == 17


class Counting:
    """Values that say in which epoch they were assessed; a plan of three candidates for each."""

    needs = frozenset()
    divides = False

    def __init__(self, refresh_epochs=1):
        self.refresh_epochs = refresh_epochs
        self.assessed: list[int] = []
        self.planned: list[tuple[int, float]] = []

    def assess(self, known, epoch):
        self.assessed.append(epoch.number)
        return np.full(N, float(epoch.number))

    def plan(self, values, epoch, rng):
        self.planned.append((epoch.number, values[0]))
        return Plan(indices=rng.permutation(N)[: 3 + epoch.number], candidates=3)

    def draws(self, epoch):
        return None


def test_an_epoch_is_planned_once_however_often_it_is_asked_for():
    policy = Counting()
    made = planning(policy)
    first = made.plan(0)
    assert made.plan(0) is first
    second = made.plan(1)
    assert made.plan(1) is second
    assert policy.planned == [(0, 0.0), (1, 1.0)]
    assert made.plan(0).indices.tolist() == first.indices.tolist()


def test_weights_that_change_during_an_epoch_count_from_the_next():
    weights = np.array([1.0, 0, 0, 0, 0, 0])
    made = planning(GivenWeights(weights))
    assert set(made.plan(0).indices) == {0}
    weights[:] = [0, 0, 0, 0, 0, 1.0]
    assert set(made.plan(0).indices) == {0}
    assert set(made.plan(1).indices) == {5}


@pytest.mark.parametrize(
    ("refresh", "assessed", "served"),
    [
        (1, [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]),
        (2, [0, 2, 4], [0, 0, 2, 2, 4, 4]),
        (5, [0, 5], [0] * 5 + [5]),
    ],
)
def test_values_serve_as_many_epochs_as_the_policy_says(refresh, assessed, served):
    policy = Counting(refresh)
    made = planning(policy)
    for number in range(6):
        made.plan(number)
    assert policy.assessed == assessed
    assert policy.planned == [(number, float(value)) for number, value in enumerate(served)]


def test_going_back_assesses_anew():
    policy = Counting(4)
    made = planning(policy)
    made.plan(3)
    made.plan(1)
    assert policy.assessed == [3, 1]


def test_a_state_serves_as_long_as_the_values_it_holds():
    policy = Counting(3)
    made = planning(policy)
    plans = [made.plan(number).indices.tolist() for number in (2, 3)]
    again = planning(resumed := Counting(3))
    again.load_state_dict(made.state_dict())
    assert again.plan(3).indices.tolist() == plans[1]
    again.plan(4)
    again.plan(5)
    assert resumed.assessed == [5]


def test_length_and_candidates_are_those_of_the_plan_once_there_is_one():
    made = planning(Counting())
    assert (made.length(1), made.candidates(1)) == (None, 1)
    made.plan(1)
    assert (made.length(1), made.candidates(1)) == (4, 3)
    assert (made.length(2), made.candidates(2)) == (None, 1)


def test_a_length_that_the_policy_decides_cannot_be_asked_for():
    assert planning(GivenWeights(np.ones(N)), size=9).plan(0).indices.shape == (9,)
    with pytest.raises(InputError, match="size: has no effect"):
        planning(Counting(), size=9)


def test_another_number_of_weights_is_refused():
    weights = [np.ones(N), np.ones(N + 1)]
    made = planning(GivenWeights(lambda: weights[0]))
    made.plan(0)
    weights.pop(0)
    with pytest.raises(InputError, match="number of weights changed from 6"):
        made.plan(1)
