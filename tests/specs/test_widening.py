"""A wider space: which trials of before count in it, and that all of it is covered evenly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from headrace.specs.experiment import Experiment
from headrace.specs.extending import Extension, extend, inherit
from headrace.specs.space import Choices, Range, unit_points
from headrace.specs.widening import Design, Layer, why_not_wider

NARROW = {
    "learning_rate": Range(low=0.01, high=1.0, scale="log"),
    "momentum": Range(low=0.5, high=0.9, scale="one-minus-log"),
}
WIDE = NARROW | {"learning_rate": Range(low=0.001, high=1.0, scale="log")}


def design(*layers: Layer, seed: int = 0) -> Design:
    return Design(layers=layers, seed=seed, stream="sgd,batch_size=4", whole=frozenset())


@settings(max_examples=30)
@given(
    seed=st.integers(0, 99),
    low=st.floats(1e-5, 0.01),
    high=st.floats(1.0, 50.0),
    first=st.integers(1, 40),
    more=st.integers(0, 60),
)
def test_each_trial_counts_once_and_those_of_before_stay_what_they_were(
    seed: int, low: float, high: float, first: int, more: int
) -> None:
    wide = NARROW | {"learning_rate": Range(low=low, high=high, scale="log")}
    before = design(Layer(space=NARROW, trials=first), seed=seed)
    after = design(Layer(space=NARROW, trials=first), Layer(space=wide, trials=first + more), seed=seed)
    order = after.order()
    assert len(order) == len(set(order)) == first + more
    for trial in range(first):
        assert after.hyperparameters(trial) == before.hyperparameters(trial)
    kept = [trial for trial in order if trial < first]
    # Those of before count in their own order, and the first of them first.
    assert kept == list(range(len(kept)))
    for trial in order:
        rate = after.hyperparameters(trial)["learning_rate"]
        assert isinstance(rate, float)
        assert low <= rate <= high
        inside = 0.01 <= rate <= 1.0
        assert inside or trial >= first
        assert not inside or trial < first or len(kept) == first


def test_a_wider_space_is_covered_as_evenly_as_one_made_at_once() -> None:
    """By the discrepancy, of any first trials; random points of the same number are worse."""
    layers = (Layer(space=NARROW, trials=256), Layer(space=WIDE, trials=256))
    for asked in (16, 64, 256):
        extended, once, random = [], [], []
        for seed in range(12):
            made = design(*layers, seed=seed)
            values = [made.hyperparameters(trial) for trial in made.order()[:asked]]
            units = [[WIDE[name].unit(row[name]) for name in sorted(WIDE)] for row in values]
            extended.append(qmc.discrepancy(np.clip(units, 0, 1)))
            once.append(qmc.discrepancy(unit_points(seed, "at once", 2, asked)))
            random.append(qmc.discrepancy(np.random.default_rng(seed).random((asked, 2))))
        assert np.mean(extended) < 2 * np.mean(once)
        assert np.mean(extended) < 0.6 * np.mean(random)


def test_the_share_of_trials_from_before_is_that_of_their_space() -> None:
    made = design(Layer(space=NARROW, trials=600), Layer(space=WIDE, trials=600))
    for asked in (30, 120, 600):
        kept = sum(trial < 600 for trial in made.order()[:asked])
        assert kept == pytest.approx(asked * 2 / 3, abs=4)


def test_a_space_that_was_widened_twice() -> None:
    widest = WIDE | {"momentum": Range(low=0.0, high=0.95, scale="one-minus-log")}
    layers = [Layer(space=NARROW, trials=40), Layer(space=WIDE, trials=50), Layer(space=widest, trials=60)]
    made = design(*layers)
    order = made.order()
    assert len(order) == len(set(order)) == 60
    second = design(*layers[:2])
    kept = [trial for trial in order if trial < 90]
    assert kept == list(second.order()[: len(kept)])
    assert all(made.hyperparameters(trial) == second.hyperparameters(trial) for trial in range(90))


@pytest.mark.parametrize(
    ("narrow", "wide", "why"),
    [
        (NARROW["momentum"], Range(low=0.5, high=0.9, scale="linear"), "on another scale"),
        (NARROW["momentum"], Range(low=0.6, high=0.95, scale="one-minus-log"), "can only be widened"),
        (0.9, NARROW["momentum"], "are no share of those with many"),
        (Choices(choices=(1.0, 2.0)), Choices(choices=(1.0, 3.0)), "choices can only be added"),
        (NARROW["momentum"], 0.9, "of another kind"),
        (None, 0.9, "would not be in others"),
        (Choices(choices=(1.0, 2.0)), Choices(choices=(2.0, 3.0, 1.0)), None),
    ],
)
def test_entries_that_are_wider_or_not(narrow: object, wide: object, why: str | None) -> None:
    found = why_not_wider(narrow, wide)
    assert found is why or (found is not None and why is not None and why in found)


CONTENT = {
    "seed": 1,
    "workload": {"name": "digits-mlp"},
    "grid": {"batch_size": [8, 16], "optimizer": ["sgd", "nesterov"], "policy": ["shuffle", "focal"]},
    "search": {
        "trials": 4,
        "space": {
            "learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"},
            "momentum": {"low": 0.5, "high": 0.9, "scale": "one-minus-log"},
        },
        "policy": {"focal": {"gamma": {"low": 0.5, "high": 3.0, "scale": "linear"}}},
    },
    "training": {"budget": {"steps": 50}},
}


def experiment(**changes: object) -> Experiment:
    content = {name: dict(table) if isinstance(table, dict) else table for name, table in CONTENT.items()}
    for name, value in changes.items():
        table, key = name.split("__")
        content[table][key] = value
    return Experiment.from_dict(content)


def test_a_wider_momentum_leaves_plain_sgd_alone_and_tunes_policies_alike() -> None:
    space = CONTENT["search"]["space"] | {"momentum": {"low": 0.0, "high": 0.95, "scale": "one-minus-log"}}
    found = extend(experiment(), experiment(search__space=space))
    assert isinstance(found, Extension)
    after = found.after
    assert {name.partition(",")[0] for name in found.widened} == {"nesterov"}
    for study in after.studies():
        if study.optimizer == "sgd":
            assert list(after.order(study)) == list(range(16))
    alike = [
        study
        for study in after.studies()
        if study.optimizer == "nesterov" and study.configuration.batch_size == 8
    ]
    plain, focal = (after.order(study) for study in alike)
    assert tuple(plain) == tuple(focal)
    for trial in plain:
        values = [after.hyperparameters(study, trial) for study in alike]
        assert values[0]["momentum"] == values[1]["momentum"]
        assert values[0]["learning_rate"] == values[1]["learning_rate"]
    # The file says how its trials were drawn, and is read back as it is.
    assert Experiment.from_dict(after.identity()).identity() == after.identity()
    import tomllib

    assert Experiment.from_dict(tomllib.loads(after.to_toml())).identity() == after.identity()
    # The user's file, which does not, is known as the same; it can be extended again.
    assert inherit(after, experiment(search__space=space)).identity() == after.identity()
    again = extend(after, experiment(search__space=space, search__trials=6))
    assert isinstance(again, Extension)
    assert not again.widened
    assert list(again.after.order(alike[0]))[:16] == list(plain)


def test_an_optimizer_that_comes_with_a_wider_space_has_all_its_hyperparameters() -> None:
    """No space from before it was in the grid is its own."""
    rate = {"learning_rate": {"low": 0.001, "high": 1.0, "scale": "log"}}
    momentum = {"momentum": {"low": 0.5, "high": 0.9, "scale": "one-minus-log"}}
    narrow = {"learning_rate": CONTENT["search"]["space"]["learning_rate"]}
    before = experiment(grid__optimizer=["sgd"], search__space=narrow)
    found = extend(before, experiment(search__space=rate | momentum))
    assert isinstance(found, Extension)
    for study in found.after.studies():
        names = set(found.after.space_of(study))
        order = found.after.order(study)
        assert all(set(found.after.hyperparameters(study, trial)) == names for trial in order)
        assert (max(order) >= 16) == (study.optimizer == "sgd")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"workload__goal": 0.1}, "workload: every trial was trained on that workload"),
        ({"training__stop": "budget"}, "training: every trial was trained as it says"),
        (
            {"grid__batch_size": [8, 32]},
            "grid: studies that the folder holds are missing (sgd,batch_size=16 and 3 more)",
        ),
        ({"search__trials": 3}, "search.trials: trials that were asked for would not count any more"),
        ({"search__max_trials": 8}, "search.max_trials: trials that were drawn would not count"),
        (
            {"search__policy": {"focal": {"gamma": {"low": 0.1, "high": 3.0, "scale": "linear"}}}},
            "search.policy.focal.gamma: policies are tuned alike",
        ),
        (
            {"search__space": {"learning_rate": {"low": 0.1, "high": 1.0, "scale": "log"}, "momentum": 0.9}},
            "search.space.learning_rate: a range can only be widened",
        ),
    ],
)
def test_what_cannot_be_extended_says_why(changes: dict, reason: str) -> None:
    found = extend(experiment(), experiment(**changes))
    assert not isinstance(found, Extension)
    assert any(reason in text for text in found), found


def test_an_experiment_that_was_never_widened_is_what_it_always_was() -> None:
    assert "before" not in experiment().identity()["search"]
    assert "before" not in experiment().to_toml()
