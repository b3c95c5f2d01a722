"""Policies against shuffling: overlapping intervals show nothing, apart ones hint, and no cost is hidden."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.analysis.curves import CurveFit
from headrace.analysis.policy_verdicts import conclude_policies, verdict
from headrace.analysis.steps_to_result import StepsToResult
from headrace.analysis.studies import Study
from headrace.specs.studies import Configuration, StudyKey


def study(policy: str, batch: int, reached: list[int], *, passes: int = 1, counted: int = 16) -> Study:
    """Trials with these steps to the goal; the fourth closes the interval of sixteen."""
    steps = [(step, trial) for trial, step in enumerate(reached)]
    counts: dict[int, dict[str, Any]] = {
        trial: {"examples_backpropagated": step * batch, "examples_forwarded": step * batch * passes}
        for step, trial in steps
    }
    return Study(
        key=StudyKey(optimizer="sgd", configuration=Configuration(policy=policy, batch_size=batch)),
        budget=1000,
        decided=1000,
        trials=(),
        result=StepsToResult(
            steps=reached[0] if reached else None,
            high=reached[3] if len(reached) > 3 else None,
            best_trial=0 if reached else None,
            counted=counted,
            reached=tuple(steps),
        ),
        hyperparameters={},
        tuned=(),
        borders=(),
        last=counts,
    )


def curve(*studies: Study) -> CurveFit:
    return CurveFit(
        curve=studies[0].curve,
        studies=studies,
        fit=None,
        rules=None,
    )


PLAIN = [100, 110, 120, 130]


@pytest.mark.parametrize(
    ("mine", "theirs", "said"),
    [
        ([60, 70, 80, 99], PLAIN, "fewer"),
        ([60, 70, 80, 100], PLAIN, "no difference shown"),
        ([131, 140, 150, 160], PLAIN, "more"),
        ([130, 140, 150, 160], PLAIN, "no difference shown"),
        ([60], PLAIN, "no difference shown"),
        ([], PLAIN, "more"),
        ([], [100], "no difference shown"),
        (PLAIN, [], "fewer"),
    ],
)
def test_only_intervals_that_are_apart_differ(mine: list[int], theirs: list[int], said: str) -> None:
    assert verdict(study("rs2", 8, mine), study("shuffle", 8, theirs)) == said


def test_sentences_name_sizes_costs_and_what_they_are_worth() -> None:
    base = curve(study("shuffle", 8, PLAIN), study("shuffle", 16, PLAIN))
    fast = curve(
        study("selective-backprop", 8, [50, 60, 70, 80], passes=3),
        study("selective-backprop", 16, PLAIN, passes=3),
    )
    mine, worth = conclude_policies([base, fast])
    assert mine == (
        "SGD, policy selective-backprop against SGD: no difference in steps shown at batch size 16. "
        "Fewer steps at batch size 8, where the intervals do not overlap (a hint, see below). "
        "To the goal it forwarded 1.5 to 3 times as many examples, 3 for each that it trained on. "
        "It minimises something else than the mean loss."
    )
    # Four of sixteen must be ahead: 2 x (1/2)^4 for each comparison.
    assert worth.startswith("1 of 2 comparisons of a policy with shuffle came apart; of 2 between equal ")
    assert "policies up to 0.2 would" in worth
    assert "headrace compare" in worth


def test_nothing_is_said_without_policies_or_without_the_baseline() -> None:
    assert conclude_policies([curve(study("shuffle", 8, PLAIN))]) == []
    assert conclude_policies([curve(study("rs2", 8, PLAIN))]) == []
    assert conclude_policies([curve(study("shuffle", 8, [])), curve(study("rs2", 8, []))]) == []


def test_cost_falls_back_to_steps_times_batch_where_it_was_not_measured() -> None:
    from headrace.store.bound import Judged
    from headrace.store.records import Outcome, Status

    known = study("shuffle", 8, [50])
    trial = Judged(outcome=Outcome(trial=0, reached=50, trained=90), status=Status.COMPLETE, trained=50)
    bare = Study(**{**vars(known), "last": {0: {"step": 50}}, "trials": (trial,)})
    assert bare.cost(0) == bare.total == (400, 400)


def test_the_range_of_forward_passes_is_that_of_trials_within_the_interval() -> None:
    assert study("rs2", 8, [50, 60, 70, 80, 500], passes=2).forwarded_within == (800, 1280)
    assert study("rs2", 8, [50, 60], passes=2).forwarded_within == (800, None)
    assert study("rs2", 8, []).forwarded_within is None
