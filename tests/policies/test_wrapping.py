"""What a wrapper adds to a policy, and that all else stays the policy's: for every policy of the registry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headrace.policies import (
    POLICIES,
    Annealed,
    BurnIn,
    Epoch,
    Focal,
    ImportanceSample,
    InfoBatch,
    PerClass,
    Policy,
    RandomSubsets,
    RecencyBias,
    Refreshed,
    Sample,
    SelfPaced,
    Shuffle,
    Weight,
    make_policy,
)
from headrace.policies._values import pressure
from headrace.policies.testing import EPOCHS, Example
from headrace.random import generator
from headrace.sampling.plan import Known, Plan
from policies.test_conformance import SETTINGS
from policies.test_settings import UNTAKEN

EXAMPLE = Example(num_examples=30, rounds=3)
GIVEN = EXAMPLE.known()
LABELS = GIVEN.pop("labels")
KNOWN = Known(num_examples=30, **GIVEN)
BURNT_IN = {"burn_in_epochs": 2}


def epoch(number: int, **given: Any) -> Epoch:
    return Epoch(number=number, epochs=EPOCHS, num_examples=30, **given)


def made(name: str, **settings: Any) -> Policy:
    return make_policy(name, **{**SETTINGS.get(name, {}), **settings})


def own(name: str) -> Policy:
    """The policy without any wrapper."""
    policy = made(name)
    return policy.policy if isinstance(policy, BurnIn) else policy


def planned(policy: Policy, at: Epoch) -> Plan:
    return policy.plan(policy.assess(KNOWN, at), at, generator(0, "plan"))


def same(one: Plan, other: Plan) -> bool:
    arrays = all(
        (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))
        for a, b in ((one.indices, other.indices), (one.weights, other.weights))
    )
    rest = ("candidates", "stands_for", "dealt")
    return arrays and all(getattr(one, name) == getattr(other, name) for name in rest)


@pytest.mark.parametrize("size", [None, 7, 90])
@pytest.mark.parametrize("name", POLICIES)
def test_plans_are_as_long_as_announced_in_every_wrapping(name: str, size: int | None) -> None:
    wrappings = [{}, BURNT_IN, {"refresh_epochs": 2}, {"per_class": True}, {"annealing_epochs": 4}]
    for wrapping in wrappings:
        if any(name in UNTAKEN.get(wrapper, ()) for wrapper in wrapping):
            continue
        policy = made(name, **wrapping)
        for number in range(5):
            at = epoch(number, size=size, labels=LABELS)
            announced, found = policy.draws(at), len(planned(policy, at).indices)
            assert announced in (None, found)
            # Only what InfoBatch leaves out depends on the losses.
            assert (announced is None) == (name == "infobatch" and not (wrapping == BURNT_IN and number < 2))


@pytest.mark.parametrize("name", POLICIES)
def test_burn_in_is_plain_until_it_is_over_and_the_policy_from_then_on(name: str) -> None:
    policy, inner = made(name, burn_in_epochs=3), own(name)
    for number in range(5):
        for size in (None, 50):
            at = epoch(number, size=size, labels=LABELS)
            if number >= 3:
                assert same(planned(policy, at), planned(inner, at))
                assert policy.draws(at) == inner.draws(at)
                continue
            assert policy.assess(KNOWN, at) is None
            plan = planned(policy, at)
            assert (plan.weights, plan.candidates, policy.draws(at)) == (None, 1, size or 30)
            counts = np.bincount(plan.indices, minlength=30)
            assert (counts.max() == 1) == (size is None)


@pytest.mark.parametrize("name", POLICIES)
def test_wrappers_leave_alone_what_is_not_theirs(name: str) -> None:
    inner = own(name)
    kept = {"changes_objective", "needs", "refresh_epochs", "graded", "divides"}
    for wrapping, changed in (
        (Refreshed, "refresh_epochs"),
        (BurnIn, ""),
        (Annealed, ""),
        (PerClass, "needs"),
    ):
        key = {Annealed: "annealing_epochs", PerClass: "per_class"}.get(wrapping, "")
        if name in UNTAKEN.get(key, ()):
            continue
        wrapped = wrapping(inner) if wrapping is PerClass else wrapping(inner, epochs=4)
        for setting in kept - {changed}:
            assert getattr(wrapped, setting) == getattr(inner, setting)
        assert wrapped.refresh_epochs == (4 if wrapping is Refreshed else 1)
        assert wrapped.needs == inner.needs | ({"labels"} if wrapping is PerClass else set())
    at = epoch(2)
    refreshed = Refreshed(inner, epochs=4)
    assert same(planned(refreshed, at), planned(inner, at))
    assert refreshed.draws(at) == inner.draws(at)
    assert Refreshed(BurnIn(refreshed), epochs=3).refresh_epochs == 3
    assert BurnIn(refreshed).refresh_epochs == 4


@pytest.mark.parametrize("name", [name for name in POLICIES if name not in UNTAKEN["annealing_epochs"]])
def test_annealing_is_the_policy_on_values_nearer_to_their_mean(name: str) -> None:
    inner = made(name)
    policy = Annealed(inner, epochs=4)
    for number, share in enumerate((0, 0.25, 0.5, 0.75, 1, 1)):
        at = epoch(number)
        values = inner.assess(KNOWN, at)
        assert np.array_equal(policy.assess(KNOWN, at), values, equal_nan=True)
        mixed = (1 - share) * values + share * values.mean()
        expected = inner.plan(mixed, at, generator(0, "plan"))
        found = policy.plan(values, at, generator(0, "plan"))
        assert same(found, expected)
        unknown = (p.plan(None, at, generator(0, "plan")) for p in (policy, inner))
        assert same(*unknown)


def part(plan: Plan, mine: np.ndarray) -> np.ndarray:
    return plan.indices[np.isin(plan.indices, mine)]


@pytest.mark.parametrize("labelled", ["in turn", "one alone", "numbers with gaps"])
@pytest.mark.parametrize("name", [name for name in POLICIES if name not in UNTAKEN["per_class"]])
def test_per_class_is_the_policy_on_each_class_alone(name: str, labelled: str) -> None:
    """As many of each class, and as heavy, as the policy plans for the class by itself; one has no values."""
    labels = {
        "in turn": np.arange(30) % 4,
        "one alone": np.where(np.arange(30) == 17, 0, 5),
        "numbers with gaps": np.array([9, 2, 2, 40, 9] * 6),
    }[labelled]
    inner = own(name)
    values = inner.assess(KNOWN, epoch(1))
    if values is not None:
        values = np.where(labels == labels[17], np.nan, values)
    at = epoch(1, labels=labels)
    plan = PerClass(inner).plan(values, at, generator(0, "plan"))
    total, stands_for = 0, 0
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        alone = replace(at, num_examples=len(mine), size=None, labels=None)
        expected = inner.plan(None if values is None else values[mine], alone, generator(1, "other"))
        assert len(part(plan, mine)) == len(expected.indices)
        total += len(expected.indices)
        stands_for += len(expected.indices) if expected.stands_for is None else expected.stands_for
        weights = np.ones(30) if plan.weights is None else plan.weights
        assert weights[mine] == pytest.approx(
            np.ones(len(mine)) if expected.weights is None else expected.weights
        )
    assert (len(plan.indices), plan.stands_for) == (total, stands_for)
    assert PerClass(inner).draws(at) in (None, total)


def test_per_class_without_weights_in_any_class_has_none() -> None:
    at = epoch(1, labels=LABELS)
    assert planned(PerClass(Shuffle()), at).weights is None
    assert planned(PerClass(RandomSubsets(0.5)), at).weights is None
    assert planned(PerClass(Weight()), at).weights is not None


@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 10])
def test_pressure_falls_by_equal_factors_to_one_in_the_last_epoch(epochs: int) -> None:
    found = [
        pressure(16.0, Epoch(number=number, epochs=epochs, num_examples=4), "x")
        for number in range(epochs + 2)
    ]
    assert found[0] == 16.0
    assert found[-2:] == [1.0, 1.0] if epochs > 1 else found[1:] == [1.0, 1.0]
    if epochs > 1:
        factors = np.divide(found[1:epochs], found[: epochs - 1])
        assert factors == pytest.approx(np.full(epochs - 1, 16 ** (-1 / (epochs - 1))))
        assert found[epochs - 1] == 1.0


@pytest.mark.parametrize("full_at", [0.25, 0.5, 1.0])
def test_self_paced_grows_by_equal_steps_until_it_is_full(full_at: float) -> None:
    policy = SelfPaced(start=0.2, full_at=full_at)
    shares = [policy.share(Epoch(number=number, epochs=8, num_examples=10)) for number in range(9)]
    assert shares == pytest.approx([0.2 + 0.8 * min(number / (8 * full_at), 1) for number in range(9)])


@pytest.mark.parametrize("until", [0.0, 0.25, 0.5, 1.0])
def test_infobatch_leaves_out_only_before_its_end(until: float) -> None:
    losses = np.arange(30.0)
    for number in range(8):
        plan = InfoBatch(until=until).plan(losses, epoch(number), generator(0, "plan"))
        assert (len(plan.indices) < 30) == (number / 8 < until)


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("below", [0, 1, 2, 7, 20])
def test_infobatch_keeps_the_sum_of_the_weights(ratio: float, below: int) -> None:
    losses = np.where(np.arange(30) < below, 1.0, 2.0)
    losses[25] = np.nan
    plan = InfoBatch(ratio=ratio).plan(losses, epoch(0), generator(0, "plan"))
    assert len(plan.indices) == 30 - int(ratio * below)
    assert plan.stands_for == 30
    assert plan.weights[plan.indices].sum() == pytest.approx(30)
    assert set(plan.weights[below:]) == {1.0}
    assert len(set(plan.indices.tolist())) == len(plan.indices)


def test_policies_without_any_value_treat_all_alike() -> None:
    """What no history says yet: nothing, or undefined for every example."""
    for policy in (Focal(), RecencyBias(), InfoBatch(), SelfPaced(), Weight(), Sample(), ImportanceSample()):
        for values in (None, np.full(30, np.nan)):
            plan = policy.plan(values, epoch(7), generator(0, "plan"))
            weights = np.ones(30) if plan.weights is None else plan.weights
            assert weights == pytest.approx(np.ones(30))
            assert len(set(plan.indices.tolist())) >= 15


@pytest.mark.parametrize("name", [name for name in POLICIES if not name.startswith("partition")])
def test_one_unknown_value_leaves_the_others_as_they_are(name: str) -> None:
    """As much more or less is seen of a small value than of a large one, whether a third is known or not."""
    known = np.array([0.05, 0.4, 0.9, 0.8, 0.6, 0.5])
    partly = np.where(np.arange(6) == 5, np.nan, known)
    policy = make_policy(name, **SETTINGS.get(name, {}))
    at = Epoch(number=1, epochs=EPOCHS, num_examples=6, size=600, workers=2)

    def seen(values: np.ndarray) -> np.ndarray:
        found = np.zeros(6)
        for seed in range(20):
            plan = policy.plan(values.copy(), at, generator(seed, "plan"))
            weights = np.ones(6) if plan.weights is None else plan.weights
            found += np.bincount(plan.indices, weights[plan.indices], minlength=6)
        return found / found[:5].sum()

    assert seen(partly)[:5] == pytest.approx(seen(known)[:5], abs=0.05)
