"""The calibration's own machinery, and a fast part of it: what is claimed holds in simulated worlds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def benchmarks_on_the_path(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])


def test_a_row_holds_within_two_monte_carlo_errors():
    from benchmarks.calibration._claims import Row, share, table

    found, error = share(np.array([True] * 10 + [False] * 90))
    assert found == 0.1
    assert 0.02 < error < 0.04
    rows = [
        Row(claim="c", world="w", found=0.1, error=0.03, most=most, least=least)
        for least, most in ((None, 0.05), (None, 0.03), (0.15, None), (0.2, None), (0.05, 0.2))
    ]
    assert [row.holds for row in rows] == [True, False, True, False, True]
    assert "**0.100 ± 0.030**" in table(rows)


def test_every_world_has_equal_means_and_the_scatter_it_says():
    from benchmarks.calibration.comparisons import WORLDS, draw

    rng = np.random.default_rng(0)
    for world in WORLDS:
        values = draw(rng, world, (4000, 4, 30))
        assert np.abs(values.mean(axis=(0, 2))).max() < 0.03
        assert np.median(values[:, 1].std(axis=1)) == pytest.approx(0.95, abs=0.13)


def test_simulated_searches_stop_at_the_fourth_and_are_never_below_the_fewest_steps():
    from benchmarks.calibration.searches import RANK, World, search

    world = World(sigma=1e-9)
    drawn = search(np.random.default_rng(0), world, 20)
    assert ((~drawn.censored).sum(axis=2) >= RANK).all()
    ratio = drawn.fewest / world.tuned
    assert ratio.min() >= 1
    # A grid step of 0.58 in log rate, a slope of 0.75, and the rounding up to the next evaluation.
    assert ratio.max() < np.exp(0.58 * 0.75) * 1.06
    assert search(np.random.default_rng(0), World(), 20).fewest.mean() < drawn.fewest.mean()


def test_two_searches_that_try_the_same_rates_differ_by_the_factor_alone():
    from benchmarks.calibration.searches import World, search

    rng, world = np.random.default_rng(1), World(sigma=1e-9)
    base = search(rng, world, 5)
    other = search(rng, world, 5, log_rates=base.log_rates, factor=0.5)
    assert (other.log_rates == base.log_rates).all()
    # Up to the rounding to evaluations 5% apart, and to whole steps.
    assert other.fewest / base.fewest == pytest.approx(0.5, rel=0.06)


def test_pairs_of_simulated_trials_are_ordered_as_those_of_an_experiment():
    from benchmarks.calibration.searched_hints import pairs
    from benchmarks.calibration.searches import World, search

    from headrace.analysis.ordered_pairs import ordered
    from headrace.analysis.steps_to_result import StepsToResult
    from headrace.analysis.studies import Study
    from headrace.specs.studies import Configuration, StudyKey
    from headrace.store.bound import Judged
    from headrace.store.records import Outcome, Status

    def study(policy, size, steps, stopped):
        trials = tuple(
            Judged(
                outcome=Outcome(trial=trial, reached=None if late else int(step), trained=int(step)),
                status=Status.STOPPED if late else Status.COMPLETE,
                trained=int(step),
            )
            for trial, (step, late) in enumerate(zip(steps, stopped, strict=True))
        )
        key = StudyKey(optimizer="sgd", configuration=Configuration(policy=policy, batch_size=size))
        none = StepsToResult(steps=None, high=None, best_trial=None, counted=len(trials), reached=())
        return Study(
            key=key, budget=10**6, decided=1, trials=trials, result=none, hyperparameters={}, tuned=(),
            borders=(), last={},
        )  # fmt: skip

    rng = np.random.default_rng(2)
    base = search(rng, World(), 4)
    other = search(rng, World(), 4, log_rates=base.log_rates, factor=0.9)
    for i, simulated in enumerate(pairs(other, base)):
        both = [
            (
                study("rs2", 8, other.steps[i, k], other.censored[i, k]),
                study("shuffle", 8, base.steps[i, k], base.censored[i, k]),
            )
            for k in range(base.steps.shape[1])
        ]
        assert ordered(both) == simulated
        assert simulated.pairs > 20


@pytest.mark.slow
def test_the_quadratic_world_is_its_closed_form():
    from benchmarks.calibration.quadratic import GOAL, MODEL, QuadraticWorld
    from benchmarks.calibration.searches import BATCH_SIZES

    from headrace.analysis.noisy_quadratic import steps_to_result

    found = steps_to_result(
        GOAL,
        model=MODEL,
        learning_rates=np.geomspace(1e-3, 10, 600).tolist(),
        batch_size=int(BATCH_SIZES[4]),
        evaluation_steps=range(2000),
    )
    assert QuadraticWorld().tuned[4] == pytest.approx(found, rel=0.03)
    assert (np.diff(QuadraticWorld().tuned) < 0).all()


def test_replicates_of_policies_that_are_shuffling_and_of_one_that_is_not():
    """The whole design, of experiments without a surface: that is a hundredth of the time."""
    from benchmarks.calibration.replicated import OTHER, Experiment, Setup, shown

    rng = np.random.default_rng(0)
    wrong = [any(map(shown, Experiment(rng, Setup(surface=False)).verdicts())) for _ in range(12)]
    assert sum(wrong) <= 3
    other = [
        cell.verdict
        for _ in range(6)
        for cell in Experiment(rng, Setup(surface=False, factor=0.4, seeds=10)).verdicts()
        if cell.study.configuration.policy == OTHER
    ]
    assert len(other) == 18
    assert other.count("better") >= 16


SELDOM = {"recommend": 10, "replicates": 5, "rules": 4}
"""Claims that take long."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "claim",
    ["fit", "critical", "surface", "fresh", "subsets", "hint", "recommend", "grid", "replicates", "rules"],
)
def test_what_is_claimed_of_curves_holds(claim):
    """Few repetitions: only what is far from what is asked is seen."""
    from benchmarks.calibration import run

    found = run(only=claim, repeats=SELDOM.get(claim, 25))
    # Of which docs/statistics.md says that it is missed, by a hair.
    known = "subsets: detectable difference"
    lost = [row for row in found["rows"] if not row["holds"] and not row["claim"].startswith(known)]
    assert len(lost) <= 0.15 * len(found["rows"]), lost


@pytest.mark.slow
def test_what_is_claimed_holds():
    from benchmarks.calibration import run

    found = run(only="compare", repeats=150)
    lost = [row for row in found["rows"] if not row["holds"]]
    # The one setting of which docs/statistics.md says that it does not keep to 5%.
    known = "3 seeds against 30; a third scatters x3"
    assert [row["world"] for row in lost if known not in row["world"]] == []
