"""Hints of a search: pairs of trials that the race ordered, a ratio with its interval, and no cost hidden."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.analysis.curves import CurveFit, fit_curves
from headrace.analysis.hints import hints
from headrace.analysis.ordered_pairs import Ordered, ordered
from headrace.analysis.steps_to_result import StepsToResult
from headrace.analysis.studies import Study, read_studies
from headrace.specs.experiment import Experiment
from headrace.specs.studies import Configuration, StudyKey
from headrace.store.bound import Judged
from headrace.store.records import Outcome, Status

from .made_store import make_store, two_regimes

STOPPED, DIVERGED, FAILED = -1, -2, -3


def judged(trial: int, steps: int, end: int) -> Judged:
    """One that reached the goal after `steps`; or was stopped at `end`, diverged, failed."""
    status = {STOPPED: Status.STOPPED, DIVERGED: Status.INFEASIBLE, FAILED: Status.FAILED}.get(
        steps, Status.COMPLETE
    )
    reached = steps if status is Status.COMPLETE else None
    trained = steps if status is Status.COMPLETE else end
    return Judged(
        outcome=Outcome(trial=trial, reached=reached, trained=trained), status=status, trained=trained
    )


def study(policy: str, steps: list[int], *, end: int = 100, passes: int = 1, batch: int = 8) -> Study:
    trials = tuple(judged(trial, each, end) for trial, each in enumerate(steps))
    best = sorted((each, trial) for trial, each in enumerate(steps) if each > 0)
    counts: dict[int, dict[str, Any]] = {
        trial: {"examples_backpropagated": each * batch, "examples_forwarded": each * batch * passes}
        for each, trial in best
    }
    return Study(
        key=StudyKey(optimizer="sgd", configuration=Configuration(policy=policy, batch_size=batch)),
        budget=1000,
        decided=end,
        trials=trials,
        result=StepsToResult(
            steps=best[0][0] if best else None,
            high=None,
            best_trial=best[0][1] if best else None,
            counted=len(steps),
            reached=tuple(best),
        ),
        hyperparameters={trial: {"learning_rate": 0.1 * (trial + 1)} for trial in range(len(steps))},
        tuned=("learning_rate",),
        borders=(),
        last=counts,
    )


def curve(*studies: Study) -> CurveFit:
    return CurveFit(curve=studies[0].curve, studies=studies, fit=None, rules=None)


@pytest.mark.parametrize(
    ("mine", "theirs", "fewer", "more"),
    [
        ([50], [60], 1, 0),
        ([60], [60], 0, 0),
        ([60], [STOPPED], 1, 0),
        ([STOPPED], [100], 0, 1),
        ([STOPPED], [STOPPED], 0, 0),
        ([DIVERGED], [60], 0, 1),
        ([DIVERGED], [STOPPED], 0, 0),
        ([FAILED], [60], 0, 0),
        ([50, 50, 50], [60, 40], 1, 1),
    ],
)
def test_only_pairs_that_the_race_ordered_count(mine, theirs, fewer, more) -> None:
    assert ordered([(study("rs2", mine), study("shuffle", theirs))]) == Ordered(fewer=fewer, more=more)


def test_a_trial_stopped_before_the_other_reached_the_goal_orders_nothing() -> None:
    early = study("rs2", [STOPPED], end=50)
    assert ordered([(early, study("shuffle", [60]))]).pairs == 0
    assert ordered([(early, study("shuffle", [50]))]) == Ordered(fewer=0, more=1)


def test_only_equal_hyperparameters_are_a_pair_but_for_those_of_the_policy() -> None:
    one, other = study("rs2", [50]), study("shuffle", [60])
    values = {0: {"learning_rate": 0.1, "policy.beta": 2.0}}
    assert ordered([(Study(**{**vars(one), "hyperparameters": values}), other)]).fewer == 1
    values = {0: {"learning_rate": 0.3}}
    assert ordered([(Study(**{**vars(one), "hyperparameters": values}), other)]).pairs == 0


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_sign_test_is_the_binomial_one(fewer: int, more: int) -> None:
    from scipy.stats import binomtest

    found = Ordered(fewer=fewer, more=more)
    expected = binomtest(fewer, fewer + more).pvalue if fewer + more else 1.0
    assert found.p == pytest.approx(expected)
    assert found.least_p <= found.p * (1 + 1e-9)
    assert found.p == Ordered(fewer=more, more=fewer).p


def test_a_hint_says_its_pairs_and_its_p_and_that_it_is_no_verdict() -> None:
    base = curve(study("shuffle", [60] * 12))
    fast = curve(study("selective-backprop", [50] * 12, passes=3))
    mine, worth = hints([base, fast], {})
    assert mine == (
        "SGD, policy selective-backprop against SGD: of 12 pairs of trials with the same hyperparameters "
        "that the searches ordered, 12 needed fewer steps: a hint at fewer steps (p = 0.00049). "
        "It forwards 3 examples for each that it trains on. It minimises something else than the mean loss."
    )
    assert "without repeated seeds" in worth
    assert "[replicates]" in worth
    slow = hints([base, curve(study("rs2", [70] * 12))], {})[0]
    assert "12 pairs of trials" in slow
    assert "0 needed fewer steps: a hint at more steps" in slow
    alike = hints([base, curve(study("rs2", [50] * 6 + [70] * 6))], {})[0]
    assert "6 needed fewer steps: no difference in steps shown (p = 1)" in alike
    few = hints([base, curve(study("rs2", [50] * 4 + [60] * 8))], {})[0]
    assert "too few pairs to hint at a difference" in few


def test_all_comparisons_are_corrected_together() -> None:
    base = curve(study("shuffle", [60] * 12))
    same = [curve(study(name, [50] * 2 + [70] * 10)) for name in ("rs2", "uniform", "focal")]
    alone, together = hints([base, same[0]], {}), hints([base, *same], {})
    assert "a hint at more steps (p = 0.039)" in alone[0]
    assert all("no difference in steps shown (p = 0.12, corrected for 3" in said for said in together[:3])


def test_nothing_is_said_without_policies_or_without_the_baseline() -> None:
    assert hints([curve(study("shuffle", [60]))], {}) == []
    assert hints([curve(study("rs2", [60]))], {}) == []
    assert hints([curve(study("shuffle", [STOPPED])), curve(study("rs2", [STOPPED]))], {}) == []


def test_a_store_of_two_policies_gives_a_ratio_whose_interval_holds_the_truth(tmp_path: Path) -> None:
    asked = Experiment.from_dict(
        {
            "seed": 3,
            "workload": {"name": "digits-mlp"},
            "grid": {"batch_size": [8, 32, 128, 512], "policy": ["shuffle", "sample-difficulty"]},
            "search": {
                "trials": 16,
                "space": {"learning_rate": {"low": 1e-3, "high": 10.0, "scale": "log"}},
            },
            "training": {"budget": {"steps": 100_000}},
        }
    )
    law = two_regimes(lambda batch: 0.05 * (batch / 8) ** 0.5)
    slower = {"shuffle": 1.0, "sample-difficulty": 1.3}
    store = make_store(
        tmp_path, asked, lambda key, values: law(key, values) * slower[key.configuration.policy]
    )
    said = hints(fit_curves(read_studies(store)), {})[0]
    assert "0 needed fewer steps: a hint at more steps" in said
    ratio, low, high = map(float, re.findall(r"it takes (\S+) \[(\S+), (\S+)\] times", said)[0])
    assert low < 1.3 < high
    assert ratio == pytest.approx(1.3, rel=0.1)
    assert low > 1.1


def test_cost_falls_back_to_steps_times_batch_where_it_was_not_measured() -> None:
    bare = Study(**{**vars(study("shuffle", [50])), "last": {0: {"step": 50}}})
    assert bare.cost(0) == bare.total == (400, 400)


def test_the_range_of_forward_passes_is_that_of_trials_within_the_interval() -> None:
    def closed(steps: list[int]) -> Study:
        found = study("rs2", steps, passes=2)
        high = steps[3] if len(steps) > 3 else None
        return Study(**{**vars(found), "result": StepsToResult(**{**vars(found.result), "high": high})})

    assert closed([50, 60, 70, 80, 500]).forwarded_within == (800, 1280)
    assert closed([50, 60]).forwarded_within == (800, None)
    assert closed([]).forwarded_within is None
