"""The update of one step: clip the gradient, set the learning rate, let the optimizer move the weights."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from headrace.errors import InputError
from headrace.training.optimizers import build_optimizer, set_learning_rate
from headrace.training.recipe import Recipe
from headrace.training.schedules import check_schedule, is_constant, learning_rate


class Updater:
    """Moves a model's weights, and their exponential moving average if there is one.

    Args:
        model: The model.
        parameters: Those of its parameters that are trained.
        recipe: Optimizer, hyperparameters and schedule.
        budget_steps: Where the schedule ends.
        ema_decay: With it, `average` begins as the weights after the first update, and after each further
            one is `decay * average + (1 - decay) * weights`. Buffers are the model's own.

    Raises:
        InputError: The warm-up is too long, the model has nothing to train, or the decay is not between 0
            and 1.
    """

    def __init__(
        self,
        model: nn.Module,
        parameters: Sequence[nn.Parameter],
        recipe: Recipe,
        budget_steps: int,
        ema_decay: float | None = None,
    ) -> None:
        check_schedule(recipe, budget_steps)
        if ema_decay is not None and not 0 < ema_decay < 1:
            raise InputError("must be between 0 and 1", where="ema_decay", got=ema_decay)
        self.model = model
        self.parameters = parameters
        self.recipe = recipe
        self.budget_steps = budget_steps
        self.optimizer = build_optimizer(parameters, recipe, model)
        self.average: AveragedModel | None = None
        if ema_decay is not None:
            self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema_decay))
        self._varies = not is_constant(recipe)

    def update(self, step: int) -> None:
        """Make the update after `step` updates, with the gradients that the parameters hold."""
        if self.recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.recipe.gradient_clip)
        if self._varies:
            set_learning_rate(self.optimizer, learning_rate(self.recipe, step, self.budget_steps))
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
