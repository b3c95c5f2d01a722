"""What the trials of a study took: measured, or its steps times the batch size."""

from __future__ import annotations

from typing import Any

from headrace.analysis.steps_to_result import StepsToResult
from headrace.analysis.studies import Study
from headrace.specs.studies import Configuration, StudyKey
from headrace.store.bound import Judged
from headrace.store.records import Outcome, Status


def study(reached: list[int], *, passes: int = 1) -> Study:
    """Trials with these steps to the goal at a batch size of 8; the fourth closes the interval of sixteen."""
    steps = [(step, trial) for trial, step in enumerate(reached)]
    counts: dict[int, dict[str, Any]] = {
        trial: {"examples_backpropagated": step * 8, "examples_forwarded": step * 8 * passes}
        for step, trial in steps
    }
    return Study(
        key=StudyKey(optimizer="sgd", configuration=Configuration(policy="rs2", batch_size=8)),
        budget=1000,
        decided=1000,
        trials=(),
        result=StepsToResult(
            steps=reached[0] if reached else None,
            high=reached[3] if len(reached) > 3 else None,
            best_trial=0 if reached else None,
            counted=16,
            reached=tuple(steps),
        ),
        hyperparameters={},
        tuned=(),
        borders=(),
        last=counts,
    )


def test_cost_falls_back_to_steps_times_batch_where_it_was_not_measured() -> None:
    trial = Judged(outcome=Outcome(trial=0, reached=50, trained=90), status=Status.COMPLETE, trained=50)
    bare = Study(**{**vars(study([50])), "last": {0: {"step": 50}}, "trials": (trial,)})
    assert bare.cost(0) == bare.total == (400, 400)


def test_the_range_of_forward_passes_is_that_of_trials_within_the_interval() -> None:
    assert study([50, 60, 70, 80, 500], passes=2).forwarded_within == (800, 1280)
    assert study([50, 60], passes=2).forwarded_within == (800, None)
    assert study([]).forwarded_within is None
