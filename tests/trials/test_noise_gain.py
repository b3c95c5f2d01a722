"""The noise under a policy's sampling: in closed form, by simulated draws of policies, along a trial."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from headrace import random
from headrace.analysis.gain import predict
from headrace.cli.app import execute
from headrace.engines.inline import InlinePlace
from headrace.histories import History
from headrace.policies import Epoch, Known, make_policy
from headrace.sampling.plan import Plan
from headrace.store.noise_gain import read
from headrace.training.noise import per_example
from headrace.training.per_example import per_example_products
from headrace.trials.bench import Bench
from headrace.trials.noise_gain import added_within, measure_gain, odds, odds_of_candidates, predictable

N = 400


def _regression(seed: int = 0) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Least squares whose features' norms span three decades: g_i = (w . x_i - y_i) x_i."""
    rng = torch.Generator().manual_seed(seed)
    norms = 10 ** (3 * torch.rand(N, 1, generator=rng, dtype=torch.float64) - 1.5)
    inputs = norms * nn.functional.normalize(torch.randn(N, 6, generator=rng, dtype=torch.float64))
    targets = inputs.sum(1) + torch.randn(N, generator=rng, dtype=torch.float64)
    return nn.Linear(6, 1, bias=False, dtype=torch.float64), inputs, targets


def _loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs[:, 0] - targets).square() / 2


def _gradients(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    assert isinstance(model.weight, torch.Tensor)
    errors = inputs @ model.weight[0] - targets
    return (errors[:, None] * inputs).detach().numpy()


def test_drawing_in_proportion_to_the_gradient_has_the_least_noise_in_closed_form() -> None:
    model, inputs, targets = _regression()
    g = _gradients(model, inputs, targets)
    norms = np.linalg.norm(g, axis=1)
    squares, products, mean = per_example_products(model, inputs, targets, _loss)
    assert squares == pytest.approx(norms**2)
    _, noise = per_example(squares, products, mean)
    every = np.arange(N)
    plan = Plan(indices=every, weights=norms.mean() / norms)
    added = (odds(plan, every) - 1) * squares
    least = norms.mean() ** 2 - (g.mean(0) ** 2).sum()
    # The pseudo-values are without bias for the population behind the examples, by a factor n / (n - 1).
    assert noise.mean() * (N - 1) / N + added.mean() == pytest.approx(least)
    assert least < 0.5 * noise.mean()
    flatter = Plan(indices=every, weights=norms.mean() / (0.5 * norms + 0.5 * norms.mean()))
    assert added.mean() < ((odds(flatter, every) - 1) * squares).mean()


def _history(g: np.ndarray) -> History:
    """Of examples whose scores follow their gradients."""
    history, losses = History(N), np.linalg.norm(g, axis=1)
    wrong = torch.from_numpy(losses / losses.max()).float()
    for factor in (0.5, 1.0, 2.0):
        history.record(
            torch.arange(N), torch.stack([-wrong * factor, wrong], 1), torch.zeros(N, dtype=torch.int64)
        )
    return history


@pytest.mark.parametrize(
    "policy", ["uniform", "importance-difficulty", "importance-prediction-variance", "infobatch", "rs2"]
)
def test_the_noise_is_that_of_the_policy_s_own_draws(policy: str) -> None:
    """A plan's position chosen at random, over many plans: mean and variance of what it adds to a step."""
    model, inputs, targets = _regression(1)
    g = _gradients(model, inputs, targets)
    made = make_policy(policy)
    epoch = Epoch(number=3, num_examples=N, epochs=10)
    values = made.assess(Known(num_examples=N, history=_history(g)), epoch)
    rng = random.generator(0, "plans", policy)
    plans = [made.plan(values, epoch, rng) for _ in range(400)]
    first = plans[0]
    share = 1.0 if first.stands_for is None else len(first.indices) / first.stands_for
    weights = np.ones(N) if first.weights is None else first.weights
    drawn = np.concatenate([plan.indices for plan in plans])
    each = share * weights[drawn, None] * g[drawn]
    mean = g.mean(0)
    assert each.mean(0) == pytest.approx(mean, abs=6 * np.abs(g).max() / np.sqrt(len(drawn)))
    squares = (g**2).sum(1)
    predicted = (odds(first, np.arange(N)) * squares).mean() - (mean**2).sum()
    assert each.var(0).sum() == pytest.approx(predicted, rel=0.05)
    if policy in ("uniform", "rs2"):
        assert (odds(first, np.arange(N)) == 1).all()


def test_candidates_bring_their_own_noise_with_them() -> None:
    """`gradient-norm`, many steps: b of c b candidates by their ratings, weighed by the inverse."""
    policy, rng = make_policy("gradient-norm", always=True), random.generator(0, "steps")
    size, candidates, model = 8, 3, nn.Linear(5, 3, dtype=torch.float64)
    inputs = torch.randn(N, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 3
    targets = torch.arange(N) % 3
    squares, products, mean = per_example_products(model, inputs, targets)
    _, noise = per_example(squares, products, mean)
    q = odds_of_candidates(policy, model, inputs, targets)  # pyright: ignore[reportArgumentType]
    added = added_within(q, squares, noise, candidates=candidates, batch_size=size).mean()
    outputs = model(inputs).detach()
    errors = outputs.softmax(1) - nn.functional.one_hot(targets, 3)
    g = torch.cat([(errors[:, :, None] * inputs[:, None, :]).flatten(1), errors], 1).numpy()
    steps = []
    for _ in range(4000):
        batch = rng.integers(0, N, candidates * size)
        ratings = policy.rate(outputs[batch], targets[batch], torch.zeros(len(batch)), None)  # pyright: ignore
        chosen, _ = policy.pick(ratings, size, {}, rng)  # pyright: ignore
        steps.append((chosen.weights.numpy()[:, None] * g[batch[chosen.positions.numpy()]]).mean(0))
    assert np.var(steps, axis=0).sum() * size == pytest.approx(noise.mean() + added, rel=0.06)


def test_only_policies_that_leave_the_objective_are_predicted() -> None:
    assert all(map(predictable, ["importance-difficulty", "infobatch", "gradient-norm", "uniform", "rs2"]))
    assert not any(map(predictable, ["sample-difficulty", "weight-difficulty", "focal", "rho-loss"]))


GRID = {
    "workload.name": "tiny_workload:steady",
    "grid.batch_size": [4, 16, 48],
    "grid.optimizer": ["nesterov"],
    "grid.policy": ["shuffle", "rs2", "importance-difficulty"],
    "search.trials": 3,
    "report.portrait_epochs": 0.0,
    "replicates": {"seeds": 3, "until": "goal"},
}


@pytest.mark.usefixtures("tiny")
def test_a_policy_that_draws_uniformly_is_predicted_to_gain_nothing(experiment: Callable) -> None:
    asked = experiment(GRID)
    setting = Bench(asked, InlinePlace()).setting
    by_policy = {study.configuration.policy: study for study in asked.studies()}
    course = measure_gain(setting, by_policy["rs2"], 0, 20, points=3, examples=40)
    found = predict(course, 0)
    assert (found.ratio, found.interval) == (1.0, (1.0, 1.0))
    other = predict(measure_gain(setting, by_policy["importance-difficulty"], 0, 60, examples=96), 0)
    assert other.interval[0] <= other.ratio <= other.interval[1]
    assert other.ratio != 1.0


@pytest.mark.usefixtures("tiny")
def test_the_command_measures_what_a_report_then_shows(
    experiment: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from headrace.analysis.results import analyse, write_results
    from headrace.experiments.runner import run
    from headrace.store.experiments import load

    run(experiment(GRID), tmp_path, processes=1, engine="inline")
    write_results(analyse(load(tmp_path)), tmp_path)
    assert execute(["noise", str(tmp_path), "--gain", "--points", "2", "--examples", "20", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["predicted"]
    stored = read(tmp_path)
    assert stored is not None
    assert len(shown) == len(stored.courses) > 0
    assert {row["policy"] for row in shown} <= {"rs2", "importance-difficulty"}
    grid = analyse(load(tmp_path)).results["grid"]
    assert [row["batch_size"] for row in grid["predicted"]] == [row["batch_size"] for row in shown]
