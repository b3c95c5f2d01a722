"""The noisy quadratic model: a workload whose S(B) is known in closed form, to test everything else against.

Independent coordinates x with loss h/2 x^2; the gradient of one example is h x + noise of variance c,
so that a batch of B has noise of variance c/B. Plain SGD with a constant learning rate a gives [D]

    E loss_t = h/2 (1-a h)^(2t) x0^2 + [1 - (1-a h)^(2t)] a c / (2 B (2 - a h)),

a bias that shrinks and a floor that grows: a large learning rate is fast, and ends too high unless
the batch is large. That trade is what S(B) is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Losses = Float[np.ndarray, " steps"]


@dataclass(frozen=True, kw_only=True)
class Quadratic:
    """The coordinates, one entry each.

    Attributes:
        curvature: h, positive.
        noise: c, the variance of one example's gradient.
        start: x0.
    """

    curvature: tuple[float, ...]
    noise: tuple[float, ...]
    start: tuple[float, ...]


def expected_loss(
    step: int | Sequence[int], *, model: Quadratic, learning_rate: float, batch_size: int
) -> Losses:
    """The expected loss after `step` steps, summed over the coordinates.

    Args:
        step: One or many.
        model: The coordinates.
        learning_rate: a; where a h = 2 the floor has no limit, and beyond it the loss grows.
        batch_size: B.

    Returns:
        One loss a step.
    """
    steps = np.atleast_1d(np.asarray(step, dtype=np.float64))[:, None]
    h, c, x = (np.array(values) for values in (model.curvature, model.noise, model.start))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        kept = (1 - learning_rate * h) ** (2 * steps)
        floor = learning_rate * c / (2 * batch_size * (2 - learning_rate * h))
        losses = h / 2 * kept * x**2 + (1 - kept) * floor
    return np.nan_to_num(losses, nan=np.inf, posinf=np.inf).sum(axis=1)


def steps_to_goal(
    goal: float,
    *,
    model: Quadratic,
    learning_rate: float,
    batch_size: int,
    evaluation_steps: Sequence[int],
) -> int | None:
    """The first evaluated step whose expected loss is strictly below the goal, or None.

    Args:
        goal: The loss to get below.
        model: The coordinates.
        learning_rate: a.
        batch_size: B.
        evaluation_steps: When the loss is looked at, increasing.
    """
    losses = expected_loss(evaluation_steps, model=model, learning_rate=learning_rate, batch_size=batch_size)
    below = np.flatnonzero(losses < goal)
    return evaluation_steps[below[0]] if len(below) else None


def steps_to_result(
    goal: float,
    *,
    model: Quadratic,
    learning_rates: Sequence[float],
    batch_size: int,
    evaluation_steps: Sequence[int],
) -> int | None:
    """S(B) over a list of learning rates: the least of their steps to the goal, or None."""
    found = [
        steps_to_goal(
            goal,
            model=model,
            learning_rate=rate,
            batch_size=batch_size,
            evaluation_steps=evaluation_steps,
        )
        for rate in learning_rates
    ]
    return min((steps for steps in found if steps is not None), default=None)
