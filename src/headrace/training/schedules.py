"""Learning rates as pure functions of the step. Imports no torch.

Step t is the number of updates made before, so the first update is made at the rate of t = 0.
"""

from __future__ import annotations

import math

from headrace.errors import InputError
from headrace.training.recipe import Recipe


def linear_decay(t: float, decay_steps: float, end_factor: float) -> float:
    """`1 - (1 - alpha) t / T` for t <= T, then alpha (Shallue et al. 2019)."""
    return 1 - (1 - end_factor) * min(t / decay_steps, 1.0)


def cosine_decay(t: float, decay_steps: float, end_factor: float) -> float:
    """`alpha + (1 - alpha) (1 + cos(pi t / T)) / 2` for t <= T, then alpha (Loshchilov and Hutter 2017)."""
    return end_factor + (1 - end_factor) * (1 + math.cos(math.pi * min(t / decay_steps, 1.0))) / 2


def warmup(t: int, warmup_steps: int) -> float:
    """`(t + 1) / (W + 1)` for t < W, then 1: linear, never zero, and 1 for the first time at t = W."""
    return min((t + 1) / (warmup_steps + 1), 1.0)


def cooldown(t: float, budget_steps: int, fraction: float) -> float:
    """1 until `(1 - fraction) T`, then `(T - t) / (fraction T)`: zero at the budget T."""
    return min((budget_steps - t) / (fraction * budget_steps), 1.0)


def warmup_end(recipe: Recipe, budget_steps: int) -> int:
    """The first step at the full learning rate."""
    return recipe.warmup_steps or round(recipe.warmup_fraction * budget_steps)


def learning_rate(recipe: Recipe, step: int, budget_steps: int) -> float:
    """The rate of the update after `step` updates: the recipe's rate times warm-up and decay.

    The decay begins when the warm-up has ended and ends at `decay_fraction * budget_steps`: with W steps of
    warm-up, t is the step less W and T is `decay_fraction * budget_steps - W`. Without warm-up this is the
    published formula.
    """
    start = warmup_end(recipe, budget_steps)
    if step < start:
        return recipe.learning_rate * warmup(step, start)
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if recipe.schedule == "wsd":
        return recipe.learning_rate * cooldown(step, budget_steps, recipe.cooldown_fraction)
    decay = linear_decay if recipe.schedule == "linear" else cosine_decay
    decay_steps = recipe.decay_fraction * budget_steps - start
    return recipe.learning_rate * decay(step - start, decay_steps, recipe.end_factor)


def is_constant(recipe: Recipe) -> bool:
    """Whether the learning rate never changes."""
    return recipe.schedule == "constant" and not recipe.warmup_steps and not recipe.warmup_fraction


def check_schedule(recipe: Recipe, budget_steps: int) -> None:
    """Check that the warm-up fits in front of the decay, or in the budget if nothing decays.

    Raises:
        InputError: It does not fit.
    """
    ends: dict[str, tuple[float, str]] = {"constant": (budget_steps, "end of the budget")}
    ends["wsd"] = ((1 - recipe.cooldown_fraction) * budget_steps, "start of the cooldown")
    end, words = ends.get(recipe.schedule, (recipe.decay_fraction * budget_steps, "end of the decay"))
    start = warmup_end(recipe, budget_steps)
    if start > end or (start == end and recipe.schedule != "wsd"):
        before = "by" if recipe.schedule == "wsd" else "before"
        raise InputError(
            f"the warm-up must end {before} step {end:g}, the {words}",
            where="warmup_steps" if recipe.warmup_steps else "warmup_fraction",
            got=recipe.warmup_steps or recipe.warmup_fraction,
        )
