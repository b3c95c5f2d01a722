"""From a recipe to a torch optimizer, in the form that is fastest on the parameters' device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from headrace.errors import InputError
from headrace.training.hidden import hidden_matrices
from headrace.training.recipe import Recipe
from headrace.training.registry import OPTIMIZERS

Groups = list[dict[str, Any]]
"""Parameters, `params`, with what holds for them, such as `weight_decay`, as torch's optimizers take it."""

FUSED_DEVICES = frozenset({"cpu", "cuda", "mps", "xpu"})
"""The devices on which torch's optimizers update all parameters in one pass over the memory."""


class Updates(Protocol):
    """What the loop needs of an optimizer; every optimizer of torch's is one."""

    param_groups: list[dict[str, Any]]

    def step(self) -> object:
        """Update the parameters by their gradients."""
        ...


def sgd(groups: Groups, recipe: Recipe, **common: Any) -> torch.optim.Optimizer:
    """Plain SGD; `common` is what every optimizer takes."""
    return torch.optim.SGD(groups, **common)


def momentum(groups: Groups, recipe: Recipe, **common: Any) -> torch.optim.Optimizer:
    """Heavy ball."""
    return torch.optim.SGD(groups, momentum=recipe.momentum, **common)


def nesterov(groups: Groups, recipe: Recipe, **common: Any) -> torch.optim.Optimizer:
    """Nesterov momentum."""
    # torch refuses Nesterov with a momentum of 0, which is plain SGD.
    return torch.optim.SGD(groups, momentum=recipe.momentum, nesterov=recipe.momentum > 0, **common)


def adamw(groups: Groups, recipe: Recipe, **common: Any) -> torch.optim.Optimizer:
    """AdamW."""
    return torch.optim.AdamW(groups, betas=(recipe.beta1, recipe.beta2), eps=recipe.epsilon, **common)


def build_optimizer(
    parameters: Iterable[nn.Parameter], recipe: Recipe, model: nn.Module | None = None
) -> Updates:
    """The optimizer of the recipe; its learning rate is `recipe.learning_rate` until it is set.

    Fused if torch offers it: one call for all parameters, instead of several for each (measured in
    `docs/training.md`).

    Args:
        parameters: What is trained.
        recipe: The optimizer and its hyperparameters.
        model: Whose parameters they are, for optimizers that treat layers differently. None: all matrices
            are taken to be of hidden layers.
    """
    listed = list(parameters)
    if not listed:
        raise InputError("the model has no parameter that requires a gradient", where="model")
    entry = OPTIMIZERS[recipe.optimizer]
    settings: dict[str, Any] = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    if entry.hidden:
        matrices = frozenset(id(p) for p in listed if p.dim() == 2)
        settings["hidden"] = matrices if model is None else hidden_matrices(model) & matrices
    return entry.find()(_groups(listed, recipe), recipe, fused=_can_fuse(listed), **settings)


def _groups(parameters: list[nn.Parameter], recipe: Recipe) -> Groups:
    """All parameters; or, where weight decay is for matrices alone, those apart from the others."""
    if recipe.weight_decay_on == "all":
        return [{"params": parameters}]
    matrices = [parameter for parameter in parameters if parameter.dim() > 1]
    others = [parameter for parameter in parameters if parameter.dim() <= 1]
    groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _can_fuse(parameters: Sequence[Tensor]) -> bool:
    return all(p.device.type in FUSED_DEVICES and p.is_floating_point() for p in parameters)


def set_learning_rate(optimizer: Updates, rate: float) -> None:
    """Set the rate of the next update."""
    for group in optimizer.param_groups:
        group["lr"] = rate
