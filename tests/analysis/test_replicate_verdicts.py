"""Verdicts rest on fresh seeds: equals are seldom called different, and what differs is found."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headrace.analysis.replicate_verdicts import verdicts
from headrace.analysis.replicate_words import conclude_replicates, warn_of_replicates
from headrace.analysis.replicates import Replicated, study_results
from headrace.analysis.steps_to_result import StepsToResult
from headrace.analysis.studies import Study
from headrace.specs.studies import Configuration, StudyKey
from headrace.specs.tables import Replicates
from headrace.store.replicates import Replicate, StudySetting
from headrace.training.budget import evaluation_steps

BUDGET = 5000
EVALUATED = evaluation_steps(BUDGET, ratio=1.05)
SIZES = {"full": 800, "random:0.5": 400, "hard": 396}


def replicated(
    steps: list[float | None],
    *,
    policy: str = "shuffle",
    subset: str = "full",
    size: int = 32,
    trial: int = 3,
    error: float = 0.1,
    passes: int = 1,
) -> Replicated:
    """Runs of these steps to the goal, rounded up to the schedule; None if it was not reached."""
    key = StudyKey(
        optimizer="sgd", configuration=Configuration(policy=policy, subset=subset, batch_size=size)
    )
    study = Study(
        key=key,
        budget=BUDGET,
        decided=BUDGET,
        trials=(),
        result=StepsToResult(steps=None, high=None, best_trial=None, counted=16, reached=()),
        hyperparameters={},
        tuned=(),
        borders=(),
        last={},
        evaluated=EVALUATED,
    )
    runs = []
    for seed, step in enumerate(steps):
        reached = None if step is None else next(at for at in EVALUATED if at >= step)
        runs.append(
            Replicate(
                study=key.name,
                trial=trial,
                seed=seed,
                hyperparameters={"learning_rate": 0.1},
                budget=BUDGET,
                reached=reached,
                trained=BUDGET,
                examples_forwarded=(reached or BUDGET) * size * passes,
                examples_backpropagated=(reached or BUDGET) * size,
                validation=error,
                test=round((error + 0.003 * math.sin(seed * 7)) * 300) / 300,
            )
        )
    setting = StudySetting(study=key.name, own=3, common=3, trial=trial)
    return Replicated(study=study, setting=setting, runs=tuple(runs), until="budget", metric="error")


def found(*some: Replicated) -> dict[str, Replicated]:
    return {one.study.key.name: one for one in some}


def draws(rng: np.random.Generator, median: float, seeds: int = 5, sigma: float = 0.2) -> list[float | None]:
    return [median * math.exp(sigma * z) for z in rng.normal(size=seeds)]


def test_half_the_steps_are_shown_and_equals_are_not() -> None:
    """A grid of four batch sizes and three policies, one of which needs half the steps: 40 experiments."""
    rng = np.random.default_rng(0)
    shown, wrong = 0, 0
    for _ in range(40):
        some = [
            replicated(draws(rng, 300 * (0.4 if policy == "rs2" else 1)), policy=policy, size=size)
            for size in (8, 16, 32, 64)
            for policy in ("shuffle", "rs2", "infobatch")
        ]
        cells = [cell for cell in verdicts(found(*some), SIZES) if cell.metric == "steps"]
        better = {cell.study.configuration.policy for cell in cells if cell.verdict == "better"}
        shown += sum(cell.verdict == "better" for cell in cells if "rs2" in cell.study.name)
        wrong += any(c.verdict != "no difference shown" for c in cells if "infobatch" in c.study.name)
        assert better <= {"rs2", "infobatch"}
    assert shown > 0.9 * 160
    assert wrong <= 5


def test_the_effect_is_a_ratio_of_steps_with_its_interval_and_says_whether_the_setting_was_shared() -> None:
    base = replicated([300, 320, 290, 310, 305])
    fast = replicated([150, 160, 145, 155, 152], policy="rs2", trial=5, passes=3)
    steps, forwarded, test = verdicts(found(base, fast), SIZES)
    assert (steps.metric, forwarded.metric, test.metric) == ("steps", "examples_forwarded", "test")
    assert (steps.verdict, steps.shared, steps.reached) == ("better", False, (5, 5))
    assert steps.effect == pytest.approx(0.5, abs=0.02)
    assert steps.interval[0] < 0.5 < steps.interval[1] < 1
    # Half the steps, three times the passes.
    assert forwarded.verdict == "worse"
    assert forwarded.effect == pytest.approx(1.5, abs=0.05)
    assert test.verdict == "no difference shown"
    *said, worth = conclude_replicates(found(base, fast), [steps, forwarded, test])
    assert "times the steps [" in said[-1]
    assert "The setting was shared except at batch size 32." in said[-1]
    assert worth.startswith("2 of 3 comparisons showed a difference. They rest on 5 fresh seeds")


@pytest.mark.parametrize(("curves", "said"), [(1, 1), (3, 3), (4, 4), (5, 0), (9, 0)])
def test_what_a_fresh_run_takes_is_said_of_few_curves(curves: int, said: int) -> None:
    """Of more than four it is in the table of studies alone."""
    some = [
        replicated([300.0 * (i + 1), 310.0 * (i + 1), 305.0 * (i + 1)], policy=f"policy-{i}", size=size)
        for i in range(curves)
        for size in (8, 32, 128)
    ]
    lines = [line for line in conclude_replicates(found(*some), []) if "a fresh run" in line]
    assert len(lines) == said
    assert all("at batch size 8 and " in line and line.endswith("at batch size 128 steps.") for line in lines)


def test_runs_short_of_the_goal_are_an_outcome_and_enter_no_mean() -> None:
    base = replicated([300.0] * 8)
    bad = replicated([280.0, 290.0, *[None] * 6], policy="rs2")
    (steps, *_) = verdicts(found(base, bad), SIZES)
    assert steps.verdict == "worse"
    assert steps.reached == (2, 8)
    results = study_results(bad)
    assert (results["steps"], results["reached"], results["seeds"]) == (None, 2, 8)
    assert [row["steps"] for row in results["runs"]].count(None) == 6
    assert "2 of 8 runs reached the goal at batch size 32, against 8 of 8" in " ".join(
        conclude_replicates(found(base, bad), [steps])
    )


def test_equal_steps_of_all_seeds_have_the_scatter_of_the_schedule() -> None:
    one = replicated([300.0] * 5)
    assert one.steps is not None
    assert one.steps.interval is not None
    low, high = one.steps.interval
    # Rounding up to steps 5% apart: a standard deviation of log 1.05 / sqrt 12; t(4) = 2.776.
    assert math.log(high / low) == pytest.approx(2 * 2.776 * math.log(1.05) / math.sqrt(12 * 5), rel=0.1)


def test_two_seeds_give_no_verdict_and_no_interval() -> None:
    some = found(replicated([300, 310]), replicated([30, 31], policy="rs2"))
    assert {cell.verdict for cell in verdicts(some, SIZES)} == {"no difference shown"}
    assert all(one.steps is not None and one.steps.interval is None for one in some.values())


def test_a_chosen_subset_is_compared_with_everything_and_with_chance() -> None:
    some = found(
        *(replicated([300, 310, 290, 305], subset=subset) for subset in ("full", "random:0.5", "hard"))
    )
    pairs = {
        (cell.study.configuration.subset, cell.baseline.configuration.subset)
        for cell in verdicts(some, SIZES)
    }
    assert pairs == {("random:0.5", "full"), ("hard", "full"), ("hard", "random:0.5")}
    other = {**SIZES, "hard": 200}
    assert ("hard", "random:0.5") not in {
        (c.study.configuration.subset, c.baseline.configuration.subset) for c in verdicts(some, other)
    }


def test_what_is_missing_is_said() -> None:
    asked = Replicates(seeds=5)
    whole, part = replicated([300.0] * 5), replicated([300.0] * 3, policy="rs2")
    assert warn_of_replicates(asked, found(whole), decided=True) == []
    (said,) = warn_of_replicates(asked, found(whole, part), decided=True)
    assert "8 of 10 replicates are stored" in said
    assert warn_of_replicates(None, {}, decided=True) == warn_of_replicates(asked, {}, decided=False) == []
    assert "no replicates are stored yet" in warn_of_replicates(asked, {}, decided=True)[0]
