"""Each optimiser against its recursion, written out in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from headrace.errors import InputError
from headrace.training.optimizers import build_optimizer, set_learning_rate
from headrace.training.recipe import Recipe

RATES = [0.1, 0.1, 0.05, 0.2, 0.01]
H = [1.0, 3.0]
"""The loss is sum(h w^2) / 2, so the gradient is h w."""

Rule = Callable[[Recipe, list[float]], list[float]]


def sgd(recipe: Recipe, w: list[float]) -> list[float]:
    for lr in RATES:
        w = [x - lr * (h * x + recipe.weight_decay * x) for x, h in zip(w, H, strict=True)]
    return w


def heavy_ball(recipe: Recipe, w: list[float]) -> list[float]:
    v = [0.0, 0.0]
    for lr in RATES:
        for i, h in enumerate(H):
            v[i] = recipe.momentum * v[i] + h * w[i] + recipe.weight_decay * w[i]
            w[i] -= lr * v[i]
    return w


def nesterov(recipe: Recipe, w: list[float]) -> list[float]:
    v = [0.0, 0.0]
    for lr in RATES:
        for i, h in enumerate(H):
            g = h * w[i] + recipe.weight_decay * w[i]
            v[i] = recipe.momentum * v[i] + g
            w[i] -= lr * (g + recipe.momentum * v[i])
    return w


def adamw(recipe: Recipe, w: list[float]) -> list[float]:
    m, s = [0.0, 0.0], [0.0, 0.0]
    for t, lr in enumerate(RATES, start=1):
        for i, h in enumerate(H):
            g = h * w[i]
            m[i] = recipe.beta1 * m[i] + (1 - recipe.beta1) * g
            s[i] = recipe.beta2 * s[i] + (1 - recipe.beta2) * g * g
            w[i] -= lr * recipe.weight_decay * w[i]
            scale = (s[i] / (1 - recipe.beta2**t)) ** 0.5 + recipe.epsilon
            w[i] -= lr * (m[i] / (1 - recipe.beta1**t)) / scale
    return w


def updates(recipe: Recipe, parameter: nn.Parameter) -> Iterator[None]:
    optimizer = build_optimizer([parameter], recipe)
    for lr in RATES:
        set_learning_rate(optimizer, lr)
        parameter.grad = torch.tensor(H, dtype=parameter.dtype) * parameter.detach()
        optimizer.step()
        yield


@pytest.mark.parametrize(
    ("optimizer", "rule"), [("sgd", sgd), ("momentum", heavy_ball), ("nesterov", nesterov), ("adamw", adamw)]
)
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_recursion(optimizer: str, rule: Rule, weight_decay: float) -> None:
    recipe = Recipe(
        optimizer=optimizer,
        learning_rate=9.0,
        momentum=0.7,
        beta1=0.8,
        beta2=0.95,
        epsilon=1e-3,
        weight_decay=weight_decay,
    )
    parameter = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    for _ in updates(recipe, parameter):
        pass
    assert parameter.tolist() == pytest.approx(rule(recipe, [1.0, -2.0]), rel=1e-13)


def test_nesterov_without_momentum_is_sgd() -> None:
    recipe = Recipe(optimizer="nesterov", learning_rate=1.0, momentum=0.0)
    parameter = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    for _ in updates(recipe, parameter):
        pass
    assert parameter.tolist() == pytest.approx(sgd(recipe, [1.0, -2.0]), rel=1e-13)


def test_a_model_without_parameters_is_refused() -> None:
    with pytest.raises(InputError, match="model: the model has no parameter that requires a gradient"):
        build_optimizer(nn.ReLU().parameters(), Recipe(optimizer="sgd", learning_rate=1.0))
