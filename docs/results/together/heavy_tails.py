"""A linear regression on which importance sampling must pay, and by how much, in closed form.

Each example touches one of 32 coordinates: its input is `x e_k`, its target `x (w_k + noise s)` with w_k = 1
and s = +1 or -1. Feature norms x span three decades, a factor of ten of it between the coordinates, so that
their curvatures h_k go from 1 down to 1/100 and even the largest batch needs dozens of steps. Every (k, x)
comes with both signs, so the full gradient is exactly `h_k (v_k - w_k)`.

With probabilities p the gradient noise is `N^-2 sum |g_i|^2 / p_i - |G|^2`. So in the mean over seeds, with
m_k = E (v_k - w_k), u_k = E (v_k - w_k)^2, batches of B independent draws and a constant learning rate a,

    m_k <- (1 - a h_k) m_k
    u_k <- (1 - a h_k)^2 u_k + a^2/B (g_k - h_k^2 u_k)
    g_k = sum over k's examples of x^4 (u_k + noise^2 - 2 noise s m_k) / (N^2 p_i)

`predicted_steps` iterates this with the p of the policy: uniform, or in proportion to the mean loss so far
plus its mean over the examples, renewed once per epoch, as `importance-sample` draws.
`python -m docs.results.together.heavy_tails DIR` holds the experiment in DIR against it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import t as student
from torch import Tensor, nn

from headrace import Workload
from headrace.random import generator
from headrace.training.data import TensorData

COORDINATES, NORMS, NOISE, GOAL = 32, 32, 1.0, 0.1
SPREAD, CURVATURES = 1e3, 1e2
SIGNS = np.array([1.0, -1.0])
CURVATURE = CURVATURES ** -(np.arange(COORDINATES) / (COORDINATES - 1))
"""Of each coordinate."""


def feature_norms() -> Float[np.ndarray, "coordinates norms 1"]:
    """Log-uniform within each coordinate; the mean of x^2 over all examples gives the curvature."""
    within = (SPREAD / np.sqrt(CURVATURES)) ** ((np.arange(NORMS) + 0.5) / NORMS)
    scale = np.sqrt(CURVATURE * COORDINATES / np.mean(within**2))
    return (scale[:, None] * within)[:, :, None]


def heavy_tails() -> Workload:
    """The regression: 2,048 training examples; validation is the mean squared error of the coefficients."""
    x = feature_norms()
    inputs = np.eye(COORDINATES)[:, None, None] * np.broadcast_to(x, (COORDINATES, NORMS, 2))[..., None]
    targets = x * (1 + NOISE * SIGNS)
    return Workload(
        name="heavy-tails",
        train=TensorData(_float(inputs).reshape(-1, COORDINATES), _float(targets).reshape(-1, 1)),
        validation=TensorData(torch.eye(COORDINATES), torch.ones(COORDINATES, 1)),
        build_model=_zero,
        loss=_half_squared_error,
        metric=_squared_error,
        metric_name="squared_error",
        goal=GOAL,
        targets="numbers",
        description="Linear regression, feature norms over three decades.",
    )


def _float(values: Float[np.ndarray, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _zero() -> nn.Module:
    model = nn.Linear(COORDINATES, 1, bias=False)
    nn.init.zeros_(model.weight)
    return model


def _squared_error(
    outputs: Float[Tensor, "batch 1"], targets: Float[Tensor, "batch 1"]
) -> Float[Tensor, " batch"]:
    return (outputs - targets).square().squeeze(1)


def _half_squared_error(
    outputs: Float[Tensor, "batch 1"], targets: Float[Tensor, "batch 1"]
) -> Float[Tensor, " batch"]:
    return _squared_error(outputs, targets) / 2


@dataclass
class Mean:
    """The mean of SGD over all seeds, and of the losses that its policy has seen."""

    batch_size: int
    learning_rate: float
    importance: bool
    first: Float[np.ndarray, " coordinates"] = field(default_factory=lambda: -np.ones(COORDINATES))
    second: Float[np.ndarray, " coordinates"] = field(default_factory=lambda: np.ones(COORDINATES))

    def __post_init__(self) -> None:
        self.x = feature_norms()
        self.examples = 2 * self.x.size
        self.seen = np.zeros((COORDINATES, NORMS, 2))
        self.draw(np.ones_like(self.seen))

    def draw(self, odds: Float[np.ndarray, "coordinates norms signs"]) -> None:
        """From the next step on, by these odds."""
        weight = self.x**4 / (self.examples**2 * odds / odds.sum())
        self.noise = weight.sum((1, 2)), (weight * SIGNS).sum((1, 2))

    def losses(self) -> Float[np.ndarray, "coordinates norms signs"]:
        """Expected loss of each example."""
        residual = self.second + NOISE**2, 2 * NOISE * self.first
        return self.x**2 * (residual[0][:, None, None] - residual[1][:, None, None] * SIGNS) / 2

    def step(self, number: int) -> None:
        """Step `number`, counted from 1; at the end of an epoch the policy looks at its history."""
        self.seen += self.losses()
        gradients = self.noise[0] * (self.second + NOISE**2) - self.noise[1] * 2 * NOISE * self.first
        spread = gradients - CURVATURE**2 * self.second
        kept = 1 - self.learning_rate * CURVATURE
        self.second = kept**2 * self.second + self.learning_rate**2 / self.batch_size * spread
        self.first = kept * self.first
        epochs = (number - 1) * self.batch_size // self.examples
        if self.importance and number * self.batch_size // self.examples > epochs:
            self.draw(self.seen + self.seen.mean())

    def steps_to_goal(self, most: float) -> float:
        """The first step below the goal; infinite if that takes more than `most`."""
        number = 0
        while self.second.mean() >= GOAL:
            number += 1
            if number > most or self.second.mean() > 1 / GOAL:
                return np.inf
            self.step(number)
        return number


def predicted_steps(batch_size: int, policy: str) -> float:
    """At the best of 25 learning rates from 0.02 to 2, the range of the search."""
    fewest = np.inf
    for rate in np.geomspace(0.02, 2.0, 25):
        mean = Mean(batch_size, rate, policy == "importance-sample")
        fewest = min(fewest, mean.steps_to_goal(min(fewest, 4000)))
    return fewest


class Runs:
    """SGD from many seeds in NumPy, without Headrace: what a single run does, which the mean does not say."""

    def __init__(self, batch_size: int, learning_rate: float, *, importance: bool, seeds: int = 40) -> None:
        self.batch_size, self.rate, self.importance = batch_size, learning_rate, importance
        self.rng, self.rows = generator(0, "runs", batch_size), np.arange(seeds)[:, None]
        x = np.broadcast_to(feature_norms(), (COORDINATES, NORMS, 2))
        self.x, self.wanted = x.reshape(-1), np.broadcast_to(1 + NOISE * SIGNS, x.shape).reshape(-1)
        self.coordinate = np.repeat(np.arange(COORDINATES), 2 * NORMS)
        self.at = np.zeros((seeds, COORDINATES))
        self.losses, self.seen = np.zeros((2, seeds, len(self.x)))
        self.share = np.full((seeds, len(self.x)), 1 / len(self.x))

    def step(self) -> None:
        """One step of every run."""
        drawn = [np.searchsorted(share.cumsum(), self.rng.random(self.batch_size)) for share in self.share]
        index = np.minimum(np.stack(drawn), len(self.x) - 1)
        residual = self.x[index] * (self.at[self.rows, self.coordinate[index]] - self.wanted[index])
        np.add.at(self.losses, (self.rows, index), residual**2 / 2)
        np.add.at(self.seen, (self.rows, index), 1)
        weight = 1 / (len(self.x) * self.share[self.rows, index])
        moved = self.rate / self.batch_size * weight * self.x[index] * residual
        np.subtract.at(self.at, (self.rows, self.coordinate[index]), moved)

    def draw(self) -> None:
        """Look at the history, as `importance-sample` does at the end of an epoch."""
        mean = np.where(self.seen > 0, self.losses / np.maximum(self.seen, 1), np.nan)
        known = np.where(np.isnan(mean), np.nanmean(mean, axis=1, keepdims=True), mean)
        odds = known + known.mean(axis=1, keepdims=True)
        self.share = odds / odds.sum(axis=1, keepdims=True)

    def log_steps(self, most: int = 4000) -> Float[np.ndarray, " seeds"]:
        """Log of the first step below the goal in each run; NaN if that takes more than `most`."""
        reached = np.full(len(self.at), np.nan)
        for number in range(1, most + 1):
            self.step()
            here = ((self.at - 1) ** 2).mean(axis=1) < GOAL
            reached[here & np.isnan(reached)] = number
            if not np.isnan(reached).any():
                break
            passed, before = (count * self.batch_size // len(self.x) for count in (number, number - 1))
            if self.importance and passed > before:
                self.draw()
        return np.log(reached)


Studies = dict[tuple[str, int], dict[str, Any]]
"""(policy, batch size) -> its part of results.json."""


def simulated_ratio(studies: Studies, size: int) -> float:
    """Steps of `importance-sample` over those of `uniform` in `Runs`, at the replicates' learning rates."""
    rates = [
        studies[name, size]["replicates"]["hyperparameters"]["learning_rate"]
        for name in ("importance-sample", "uniform")
    ]
    ours, plain = (
        np.nanmean(Runs(size, rate, importance=bool(one)).log_steps())
        for rate, one in zip(rates, (1, 0), strict=True)
    )
    return float(np.exp(ours - plain))


def measured_ratio(studies: Studies, size: int, policy: str, against: str) -> list[float]:
    """Steps of `policy` over those of `against`: the mean of pairs of seeds, and its 95% interval.

    Pairs of which one run did not reach the goal are left out.
    """
    runs = [studies[name, size]["replicates"]["runs"] for name in (policy, against)]
    steps = [(one["steps"], other["steps"]) for one, other in zip(*runs, strict=True)]
    logs = np.array([np.log(one / other) for one, other in steps if one and other])
    half = student.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
    return np.exp(logs.mean() + half * np.array([0, -1, 1])).tolist()


def table(directory: Path) -> list[str]:
    """The lines of the page's table."""
    found = json.loads((directory / "results.json").read_text())["studies"]
    studies = {(s["configuration"]["policy"], s["configuration"]["batch_size"]): s for s in found}
    lines = [
        "| batch size | over uniform: predicted | simulated | measured | over shuffle: measured |",
        "|---:|---:|---:|---|---|",
    ]
    for size in sorted({size for _, size in studies}):
        foreseen = predicted_steps(size, "importance-sample") / predicted_steps(size, "uniform")
        ratios = [measured_ratio(studies, size, "importance-sample", name) for name in ("uniform", "shuffle")]
        shown = " | ".join("{:.2f} ({:.2f} to {:.2f})".format(*ratio) for ratio in ratios)
        lines.append(f"| {size:,} | {foreseen:.2f} | {simulated_ratio(studies, size):.2f} | {shown} |")
    return lines


if __name__ == "__main__":
    sys.stdout.write("\n".join(table(Path(sys.argv[1]))) + "\n")
