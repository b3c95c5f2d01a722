"""The closed form against simulation, and the whole pipeline against the closed form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headrace import random
from headrace.analysis.noisy_quadratic import Quadratic, expected_loss, steps_to_goal, steps_to_result

from . import quadratic_workload as workload


def test_one_step_by_hand():
    model = Quadratic(curvature=(2.0,), noise=(3.0,), start=(5.0,))
    # x1 = 5 - 0.1 (10 + noise): mean 4, variance 0.01 x 3 / 6.
    found = expected_loss([0, 1], model=model, learning_rate=0.1, batch_size=6)
    assert found == pytest.approx([25.0, 16.0 + 0.005])


@pytest.mark.parametrize(("rate", "batch"), [(0.1, 1), (0.7, 4), (1.9, 64)])
def test_the_closed_form_is_what_a_simulation_gives(rate, batch):
    model, copies, steps = workload.MODEL, 20_000, 30
    rng = random.generator(0, "quadratic", batch)
    h, c = np.array(model.curvature)[:, None], np.array(model.noise)[:, None]
    x = np.tile(np.array(model.start)[:, None], (1, copies))
    losses = []
    for _ in range(steps):
        losses.append((h / 2 * x**2).sum(axis=0))
        x -= rate * (h * x + rng.normal(0, np.sqrt(c / batch), x.shape))
    means, errors = np.mean(losses, axis=1), np.std(losses, axis=1) / np.sqrt(copies)
    expected = expected_loss(range(steps), model=model, learning_rate=rate, batch_size=batch)
    assert np.all(np.abs(means - expected) <= 4.5 * errors + 1e-12)


def test_a_learning_rate_beyond_two_over_h_never_gets_there():
    model = workload.MODEL
    arguments = {"model": model, "batch_size": 10**6, "evaluation_steps": range(2000)}
    assert steps_to_goal(0.02, learning_rate=2.1, **arguments) is None
    assert steps_to_goal(0.02, learning_rate=1.0, **arguments) == 3
    assert steps_to_result(0.02, learning_rates=[2.1, 1.0, 0.1], **arguments) == 3
    assert np.isinf(expected_loss(10**6, model=model, learning_rate=2.1, batch_size=1))[0]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    from headrace.experiments.runner import run
    from headrace.specs.experiment import Experiment

    experiment = Experiment.from_dict(
        {
            "seed": 1,
            "workload": {"name": "quadratic_workload:noisy_quadratic"},
            "grid": {"batch_size": [4, 16, 64, 256]},
            "search": {
                "trials": 10,
                "space": {"learning_rate": {"low": 0.006, "high": 1.0, "scale": "log"}},
            },
            "training": {"budget": {"steps": 600}},
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).parent)
        return run(experiment, tmp_path_factory.mktemp("quadratic"), processes=2)


def prediction(stored, study, rate: float, goal: float) -> int | None:
    return steps_to_goal(
        goal,
        model=workload.MODEL,
        learning_rate=rate,
        batch_size=study.configuration.batch_size,
        evaluation_steps=stored.experiment.evaluation_steps(stored.budget_steps(study)),
    )


def test_every_trial_of_the_pipeline_reaches_the_goal_when_the_closed_form_does(finished):
    """The mean of 2 x 1024 coordinates stays within 20 % of its expectation: so must the crossing."""
    seen = 0
    for study in finished.experiment.studies():
        for judged in finished.judgement(study).trials:
            rate = finished.experiment.hyperparameters(study, judged.outcome.trial)["learning_rate"]
            early, late = (prediction(finished, study, rate, workload.GOAL * f) for f in (1.2, 0.8))
            if judged.reached is not None:
                assert early is not None
                assert early <= judged.reached
                assert late is None or judged.reached <= late
                seen += 1
            elif late is not None:
                assert late > judged.trained
    assert seen >= 3 * len(finished.experiment.grid.batch_size)


def test_measured_steps_to_result_hold_the_closed_form_in_their_interval(finished):
    from headrace.analysis.results import analyse

    for study, found in zip(finished.experiment.studies(), analyse(finished).results["studies"], strict=True):
        trials = finished.judgement(study).trials
        rates = [finished.experiment.hyperparameters(study, j.outcome.trial)["learning_rate"] for j in trials]
        grid = finished.experiment.evaluation_steps(finished.budget_steps(study))
        expected = steps_to_result(
            workload.GOAL,
            model=workload.MODEL,
            learning_rates=rates,
            batch_size=study.configuration.batch_size,
            evaluation_steps=grid,
        )
        low, high = found["interval"]
        assert low <= expected <= high
        assert abs(grid.index(expected) - grid.index(low)) <= 1


def test_a_loss_that_equals_the_goal_is_not_below_it():
    arguments = {"model": workload.MODEL, "learning_rate": 0.5, "batch_size": 8}
    losses = expected_loss(range(6), **arguments)
    for step in range(1, 5):
        assert losses[step] < losses[step - 1]
        assert steps_to_goal(losses[step], evaluation_steps=range(6), **arguments) == step + 1
