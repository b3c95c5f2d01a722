"""Muon for the matrices of hidden layers, and AdamW for all other parameters (Jordan et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from headrace.training.optimizers import Groups, adamw
from headrace.training.recipe import Recipe


def muon(groups: Groups, recipe: Recipe, *, hidden: frozenset[int], **common: Any) -> Together:
    """Muon on matrices and AdamW on the rest, at one learning rate.

    The update of a matrix has orthogonal rows or columns, and is multiplied by `0.2 sqrt(max(rows,
    columns))`, so that its root mean square is about that of AdamW's and one rate suits both (Liu et al.
    2025). `momentum` is Muon's (Nesterov's form); beta1, beta2 and epsilon are AdamW's; weight decay acts on
    both, apart from the gradient.

    Args:
        groups: Parameters and their weight decay.
        recipe: The hyperparameters.
        hidden: The ids of the parameters that are matrices of hidden layers, see `hidden.hidden_matrices`.
        common: What every optimizer takes.
    """
    parts: list[torch.optim.Optimizer] = []
    matrices = list(_some(groups, hidden, inside=True))
    rest = list(_some(groups, hidden, inside=False))
    if matrices:
        rates = {name: common[name] for name in ("lr", "weight_decay")}
        parts.append(
            torch.optim.Muon(
                matrices, momentum=recipe.momentum, nesterov=True, adjust_lr_fn="match_rms_adamw", **rates
            )
        )
    if rest:
        parts.append(adamw(rest, recipe, **common))
    return Together(parts)


def _some(groups: Groups, hidden: frozenset[int], *, inside: bool) -> Iterator[dict[str, Any]]:
    """The groups without the parameters of the other kind."""
    for group in groups:
        kept = [parameter for parameter in group["params"] if (id(parameter) in hidden) == inside]
        if kept:
            yield {**group, "params": kept}


class Together:
    """Several optimizers that update different parameters of one model.

    Args:
        parts: The optimizers.
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = parts
        self.param_groups: list[dict[str, Any]] = [group for part in parts for group in part.param_groups]

    def step(self) -> None:
        """Update all parameters once."""
        for part in self.parts:
            part.step()
