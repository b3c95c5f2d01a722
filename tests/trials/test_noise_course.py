"""The noise scale along a real trial: the numbers, and that the trial is none the worse for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from headrace.cli.app import execute
from headrace.engines.inline import InlinePlace
from headrace.errors import DamagedError
from headrace.store.noise_course import NoiseCourses, read, write
from headrace.training.evaluation import evaluation_mode
from headrace.trials.bench import Bench
from headrace.trials.noise_course import measure_course
from headrace.trials.running import RunningTrial

pytestmark = pytest.mark.usefixtures("tiny")


def test_a_course_holds_the_noise_of_the_trial_s_own_states(experiment) -> None:
    asked = experiment()
    setting, study = Bench(asked, InlinePlace()).setting, asked.studies()[0]
    until = asked.evaluation_steps(asked.budget_steps(study, 96))[4]
    # All 96 examples: each point is of the whole training set, whatever is drawn.
    course = measure_course(setting, study, 1, until, points=4, examples=10_000)
    assert course.examples == 96
    plain = RunningTrial(setting=setting, study=study, trial=1)
    for point in course.points:
        plain.advance(point.step, lambda: until)
        assert plain._model is not None
        with evaluation_mode(plain._model):
            signal, noise = by_hand(plain._model, setting.workload)
        assert point.signal == pytest.approx(signal, rel=1e-3)
        assert point.noise == pytest.approx(noise, rel=1e-3)
        assert point.covariance[0] > 0
    assert plain.record().trained == course.points[-1].step


def by_hand(model: torch.nn.Module, workload: object) -> tuple[float, float]:
    """|G|^2 and tr(Sigma) without bias, from one backward pass for each example."""
    rows = []
    for place in range(96):
        inputs, targets = workload.train.fetch(torch.tensor([place]))
        loss = workload.loss(model(inputs), targets).sum()
        rows.append(
            torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))]).double()
        )
    gradients = torch.stack(rows).numpy()
    noise = np.var(gradients, axis=0, ddof=1).sum()
    return float((gradients.mean(0) ** 2).sum() - noise / 96), float(noise)


def test_the_command_measures_the_best_trials_and_draws_them(
    experiment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = experiment()
    (tmp_path / "experiment.toml").write_text(asked.to_toml())
    key = {"subset": "full", "policy": "shuffle", "workers": 1}
    results = {
        "seed": asked.seed,
        "studies": [
            {
                "optimizer": "sgd",
                "configuration": {"batch_size": 4, **key},
                "steps_to_result": 12,
                "best_trial": {"trial": 0},
            }
        ],
        "scaling": [{"optimizer": "sgd", **key, "critical_batch_size": 20.0, "interval": [10.0, 40.0]}],
    }
    assert execute(["noise", str(tmp_path)]) == 2
    assert "results.json: the file does not exist" in capsys.readouterr().err
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert execute(["noise", str(tmp_path), "--examples", "64", "--points", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (course,) = told["courses"]
    assert course["measured"] == 20
    assert "Believe the measured one" in told["warning"]
    measured = read(tmp_path)
    assert measured is not None
    assert len(measured.courses[0].points) == len(course["scales"])
    assert (tmp_path / "figures/noise-scale.svg").exists()
    assert execute(["noise", str(tmp_path), "--batch-size", "16"]) == 2
    (tmp_path / "noise_scale.json").write_text("{}")
    with pytest.raises(DamagedError, match="run headrace noise again"):
        read(tmp_path)


def test_scales_in_the_norms_of_optimizers_are_kept_along_a_run(experiment, tmp_path: Path) -> None:
    asked = experiment()
    setting, study = Bench(asked, InlinePlace()).setting, asked.studies()[0]
    until = asked.evaluation_steps(asked.budget_steps(study, 96))[3]
    plain = measure_course(setting, study, 1, until, points=2, examples=64)
    course = measure_course(setting, study, 1, until, points=2, examples=64, matched=True)
    for point, before in zip(course.points, plain.points, strict=True):
        assert (point.signal, point.noise) == (before.signal, before.noise), "the trial is not touched"
        scales = {scale.norm: scale for scale in point.matched}
        assert {"euclidean", "l1", "preconditioned"} <= scales.keys()
        found = scales["euclidean"].noise_scale
        assert found is None or found == pytest.approx(point.noise / point.signal, rel=1e-3)
    for one in (plain, course):
        write(tmp_path, NoiseCourses(courses=(one,)))
        assert read(tmp_path) == NoiseCourses(courses=(one,))
        assert ("matched" in (tmp_path / "noise_scale.json").read_text()) == (one is course)
