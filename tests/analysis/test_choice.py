"""Which setting is replicated: smoothed steps, one setting for all, and departures that pilots justify."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.analysis.choice import Pilots, candidates, choose, settle, smoothed_steps
from headrace.analysis.studies import read_studies
from headrace.analysis.tuned import surface_of
from headrace.store.replicates import Replicate, StudySetting

from .made_store import experiment, make_store

RATE = 0.1


def run(trial: int, seed: int, reached: int | None, budget: int = 1000) -> Replicate:
    return Replicate(
        study="a",
        trial=trial,
        seed=seed,
        pilot=True,
        hyperparameters={},
        budget=budget,
        reached=reached,
        trained=reached or budget,
        examples_forwarded=1,
        examples_backpropagated=1,
    )


def pilots(own: list[int | None], common: list[int | None]) -> Pilots:
    setting = StudySetting(study="a", own=1, common=2, trial=2)
    sides = [[run(trial, seed, steps) for seed, steps in enumerate(side)]
             for trial, side in ((1, own), (2, common))]  # fmt: skip
    return Pilots(setting=setting, own=sides[0], common=sides[1])


def test_a_lucky_seed_is_not_chosen_but_the_trial_nearest_to_the_optimum(tmp_path) -> None:
    """One trial far from the best learning rate reaches the goal first, by chance alone."""
    asked = experiment([16, 32, 64, 128])

    def law(study, values) -> float:
        off = math.log(values["learning_rate"] / RATE)
        lucky = study.configuration.batch_size == 64 and 1.0 < -off < 2.0
        return math.nan if off > 2 else (30 if lucky else 200 * math.exp(0.6 * abs(off)))

    studies = read_studies(make_store(tmp_path, asked, law))
    chosen = choose(studies)
    assert len(chosen) == len(studies)
    for study, setting in zip(studies, chosen, strict=True):
        surface = surface_of(studies)
        assert surface is not None
        steps = smoothed_steps(study, surface)
        assert setting.own == setting.trial == setting.common == min(steps, key=lambda t: steps[t])
        rate = study.hyperparameters[setting.own or 0]["learning_rate"]
        # The grid of sixteen rates over four decades: one of them is within 0.6 of any log rate.
        assert abs(math.log(float(rate) / RATE)) < 0.9
        assert setting.own is not None
        assert study.result.best_trial is not None
        if study.batch_size == 64:
            assert study.result.best_trial != setting.own


def test_the_common_choice_is_the_least_median_over_studies() -> None:
    family = [
        ("a", {0: 0.0, 1: 1.0, 2: 0.3}),
        ("b", {0: 5.9, 1: 5.0, 2: 5.2}),
        ("c", {1: 1.4, 2: 1.0, 3: 1.1}),
        ("d", {}),
    ]
    found = {setting.study: setting for setting in candidates(family)}
    assert [found[name].own for name in "abcd"] == [0, 1, 2, None]
    assert {setting.common for setting in found.values()} == {2}
    assert [found[name].trial for name in "abcd"] == [2, 2, 2, None]


def test_without_any_result_nothing_is_chosen() -> None:
    (only,) = candidates([("a", {})])
    assert (only.own, only.common, only.trial, only.shared) == (None, None, None, False)


@pytest.mark.parametrize(
    ("own", "common", "trial"),
    [
        ([100, 110], [200, 210], 1),
        ([100, 110], [112, 118], 2),
        ([200, 210], [100, 110], 2),
        ([100, 110], [None, None], 1),
        ([100, None], [None, None], 2),
        ([800, 900], [None, None], 2),
    ],
)
def test_a_study_departs_only_with_two_standard_errors(own, common, trial) -> None:
    (found,) = settle([pilots(own, common)])
    assert (found.trial, found.compared) == (trial, True)


@given(st.integers(0, 2**32 - 1))
def test_equal_settings_are_seldom_kept_apart(seed: int) -> None:
    """At the scatter that is measured one pilot in forty departs by chance: of 60 never 8."""
    rng = np.random.default_rng(seed)

    def side() -> list[int | None]:
        return [round(300 * math.exp(0.2 * z)) for z in rng.normal(size=2)]

    found = settle([pilots(side(), side()) for _ in range(60)])
    assert sum(one.trial == 1 for one in found) < 8


def test_a_pilot_in_which_the_code_raised_an_error_decides_nothing() -> None:
    one = pilots([100, 110], [None, None])
    assert settle([one])[0].trial == 1
    failed = one.common[0].model_copy(update={"error": "it broke"})
    assert settle([replace(one, common=[failed, one.common[1]])])[0].trial == 2


def test_the_pilots_of_all_studies_say_how_much_seeds_scatter() -> None:
    """The same gap counts beside pilots that agree, and not beside pilots that scatter."""
    gap = pilots([100, 100], [160, 160])
    steady = [pilots([100, 101], [100, 101]) for _ in range(5)]
    wild = [pilots([50, 200], [50, 200]) for _ in range(5)]
    assert settle([gap, *steady])[0].trial == 1
    assert settle([gap, *wild])[0].trial == 2


def test_pilots_that_are_alike_in_all_but_order_give_one_answer() -> None:
    some = [pilots([100, 110], [200, 210]), pilots([300, 310], [300, 330])]
    assert [one.trial for one in settle(some)] == [one.trial for one in settle(some[::-1])][::-1]
    assert replace(some[0], own=some[0].own[::-1]).own != some[0].own
