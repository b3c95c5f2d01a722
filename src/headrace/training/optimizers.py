"""From a recipe to a torch optimiser, in the form that is fastest on the parameters' device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from headrace.errors import InputError
from headrace.training.recipe import Recipe

FUSED_DEVICES = frozenset({"cpu", "cuda", "mps", "xpu"})
"""Where torch's optimisers update all parameters in one pass over the memory."""


def _sgd(recipe: Recipe) -> dict[str, Any]:
    return {}


def _momentum(recipe: Recipe) -> dict[str, Any]:
    return {"momentum": recipe.momentum}


def _nesterov(recipe: Recipe) -> dict[str, Any]:
    # torch refuses Nesterov with a momentum of 0, which is plain SGD.
    return {"momentum": recipe.momentum, "nesterov": recipe.momentum > 0}


def _adamw(recipe: Recipe) -> dict[str, Any]:
    return {"betas": (recipe.beta1, recipe.beta2), "eps": recipe.epsilon}


_BUILDERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], Callable[[Recipe], dict[str, Any]]]] = {
    "sgd": (torch.optim.SGD, _sgd),
    "momentum": (torch.optim.SGD, _momentum),
    "nesterov": (torch.optim.SGD, _nesterov),
    "adamw": (torch.optim.AdamW, _adamw),
}


def build_optimizer(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser of the recipe; its learning rate is `recipe.learning_rate` until it is set.

    Fused where torch offers it: one call for all parameters, instead of several for each (measured in
    `docs/training.md`).
    """
    listed = list(parameters)
    if not listed:
        raise InputError("the model has no parameter that requires a gradient", where="model")
    build, settings = _BUILDERS[recipe.optimizer]
    return build(
        listed,
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        fused=_can_fuse(listed),
        **settings(recipe),
    )


def _can_fuse(parameters: Sequence[Tensor]) -> bool:
    return all(p.device.type in FUSED_DEVICES and p.is_floating_point() for p in parameters)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of the next update."""
    for group in optimizer.param_groups:
        group["lr"] = rate
