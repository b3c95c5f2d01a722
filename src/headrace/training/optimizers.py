"""From a recipe to a torch optimizer, in the form that is fastest on the parameters' device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from headrace.errors import InputError
from headrace.training.recipe import Recipe
from headrace.training.registry import OPTIMIZERS

FUSED_DEVICES = frozenset({"cpu", "cuda", "mps", "xpu"})
"""The devices on which torch's optimizers update all parameters in one pass over the memory."""


def sgd(parameters: list[nn.Parameter], recipe: Recipe, **common: Any) -> torch.optim.Optimizer:
    """Plain SGD; `common` is what every optimizer takes."""
    return torch.optim.SGD(parameters, **common)


def momentum(parameters: list[nn.Parameter], recipe: Recipe, **common: Any) -> torch.optim.Optimizer:
    """Heavy ball."""
    return torch.optim.SGD(parameters, momentum=recipe.momentum, **common)


def nesterov(parameters: list[nn.Parameter], recipe: Recipe, **common: Any) -> torch.optim.Optimizer:
    """Nesterov momentum."""
    # torch refuses Nesterov with a momentum of 0, which is plain SGD.
    return torch.optim.SGD(parameters, momentum=recipe.momentum, nesterov=recipe.momentum > 0, **common)


def adamw(parameters: list[nn.Parameter], recipe: Recipe, **common: Any) -> torch.optim.Optimizer:
    """AdamW."""
    return torch.optim.AdamW(parameters, betas=(recipe.beta1, recipe.beta2), eps=recipe.epsilon, **common)


def build_optimizer(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer of the recipe; its learning rate is `recipe.learning_rate` until it is set.

    Fused if torch offers it: one call for all parameters, instead of several for each (measured in
    `docs/training.md`).
    """
    listed = list(parameters)
    if not listed:
        raise InputError("the model has no parameter that requires a gradient", where="model")
    build = OPTIMIZERS[recipe.optimizer].find()
    return build(
        listed,
        recipe,
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        fused=_can_fuse(listed),
    )


def _can_fuse(parameters: Sequence[Tensor]) -> bool:
    return all(p.device.type in FUSED_DEVICES and p.is_floating_point() for p in parameters)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of the next update."""
    for group in optimizer.param_groups:
        group["lr"] = rate
