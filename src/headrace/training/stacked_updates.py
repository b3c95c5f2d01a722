"""The updates of several models at once: each optimizer's formula, on rows of weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from headrace.training.recipe import Recipe
from headrace.training.schedules import check_schedule, is_constant, learning_rate

Rows = Float[Tensor, "lanes parameters"]
Column = Float[Tensor, "lanes 1"]

_CLIP_EPSILON = 1e-6
"""As in `torch.nn.utils.clip_grad_norm_`."""


class StackedUpdater:
    """Moves rows of weights, each by its own recipe.

    What is computed depends on the optimizer, the schedule and `tuned` alone, never on the numbers in the
    recipes, so that no row's result depends on what the others have.

    Args:
        rows: The weights.
        moments: The optimizer's memory of them, as many as the registry says; zeros before the first update.
        recipes: One for each row, all of one optimizer and one schedule.
        tuned: The hyperparameters that the recipes give.
        matrices: 1 for each number of a parameter of at least two axes, else 0 [parameters].
        budget_steps: Where the schedule ends.

    Raises:
        InputError: A warm-up is too long.
    """

    def __init__(
        self,
        rows: Rows,
        moments: Sequence[Rows],
        recipes: Sequence[Recipe],
        *,
        tuned: frozenset[str],
        matrices: Float[Tensor, " parameters"],
        budget_steps: int,
    ) -> None:
        for recipe in recipes:
            check_schedule(recipe, budget_steps)
        self._rows, self._moments, self._recipes, self._tuned = rows, moments, recipes, tuned
        self._budget_steps = budget_steps
        self._optimizer = recipes[0].optimizer
        self._constant = is_constant(recipes[0]) and not tuned & {"warmup_steps", "warmup_fraction"}
        self._rates = self._column(lambda recipe: recipe.learning_rate)
        decay = self._column(lambda recipe: recipe.weight_decay)
        self._decay = decay * matrices if recipes[0].weight_decay_on == "matrices" else decay
        self._clip = self._column(lambda recipe: recipe.gradient_clip or math.inf)
        self._momentum = self._column(lambda recipe: recipe.momentum)
        self._beta1 = self._column(lambda recipe: recipe.beta1)
        self._beta2 = self._column(lambda recipe: recipe.beta2)
        self._epsilon = self._column(lambda recipe: recipe.epsilon)

    def update(self, step: int, gradients: Rows) -> None:
        """Make the update after `step` updates; the gradients are used up."""
        if "gradient_clip" in self._tuned:
            norms = gradients.square().sum(1, keepdim=True).sqrt_()
            gradients.mul_((self._clip / (norms + _CLIP_EPSILON)).clamp_(max=1))
        if not self._constant:
            self._rates = self._column(lambda recipe: learning_rate(recipe, step, self._budget_steps))
        if self._optimizer == "adamw":
            self._adamw(step + 1, gradients)
        else:
            self._descend(gradients)

    def _descend(self, gradients: Rows) -> None:
        """Plain SGD, heavy ball and Nesterov, see `headrace.training.recipe.Recipe`."""
        if "weight_decay" in self._tuned:
            gradients.addcmul_(self._rows, self._decay)
        if self._moments:
            (velocity,) = self._moments
            velocity.mul_(self._momentum).add_(gradients)
            nesterov = self._optimizer == "nesterov"
            gradients = gradients.addcmul_(velocity, self._momentum) if nesterov else velocity
        self._rows.addcmul_(gradients, self._rates, value=-1)

    def _adamw(self, step: int, gradients: Rows) -> None:
        mean, square = self._moments
        if "weight_decay" in self._tuned:
            self._rows.mul_(1 - self._rates * self._decay)
        mean.lerp_(gradients, 1 - self._beta1)
        square.mul_(self._beta2).addcmul_(gradients, gradients * (1 - self._beta2))
        size = self._rates / self._column(lambda recipe: 1 - recipe.beta1**step)
        scale = self._column(lambda recipe: math.sqrt(1 - recipe.beta2**step))
        self._rows.addcdiv_(mean * size, (square.sqrt() / scale).add_(self._epsilon), value=-1)

    def _column(self, value: Callable[[Recipe], float]) -> Column:
        numbers = torch.tensor([[value(recipe)] for recipe in self._recipes], dtype=self._rows.dtype)
        return numbers.to(self._rows.device, non_blocking=True)
