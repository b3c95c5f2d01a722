"""How a model is trained: the optimiser, its hyperparameters and the schedule, as one frozen record.

Imports no torch: experiment files are checked against it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from headrace.errors import InputError, InputErrors

_ALWAYS = frozenset({"learning_rate", "weight_decay", "label_smoothing", "gradient_clip", "warmup_steps"})

HYPERPARAMETERS: dict[str, frozenset[str]] = {
    "sgd": _ALWAYS,
    "momentum": _ALWAYS | {"momentum"},
    "nesterov": _ALWAYS | {"momentum"},
    "adamw": _ALWAYS | {"beta1", "beta2", "epsilon"},
}
"""Optimiser -> the hyperparameters that have an effect with it (those of the schedule apart)."""

SCHEDULE_HYPERPARAMETERS: dict[str, frozenset[str]] = {
    "constant": frozenset(),
    "linear": frozenset({"end_factor", "decay_fraction"}),
    "cosine": frozenset({"end_factor", "decay_fraction"}),
}
"""Schedule -> the hyperparameters that have an effect with it."""

OPTIMIZERS = frozenset(HYPERPARAMETERS)
"""Plain SGD, heavy-ball momentum, Nesterov momentum, AdamW."""

SCHEDULES = frozenset(SCHEDULE_HYPERPARAMETERS)

RANGES: dict[str, tuple[str, str]] = {
    "learning_rate": ("> 0", "inf"),
    "momentum": (">= 0", "< 1"),
    "beta1": (">= 0", "< 1"),
    "beta2": (">= 0", "< 1"),
    "epsilon": ("> 0", "inf"),
    "weight_decay": (">= 0", "inf"),
    "label_smoothing": (">= 0", "< 1"),
    "gradient_clip": ("> 0", "inf"),
    "warmup_steps": (">= 0", "inf"),
    "end_factor": (">= 0", "<= 1"),
    "decay_fraction": ("> 0", "<= 1"),
}
"""Hyperparameter -> its lower and upper limit; all must be finite, and `warmup_steps` whole."""


def hyperparameters(optimizer: str, schedule: str) -> frozenset[str]:
    """The names of all hyperparameters that have an effect with this optimiser and this schedule."""
    return HYPERPARAMETERS[optimizer] | SCHEDULE_HYPERPARAMETERS[schedule]


def within(name: str, value: float) -> bool:
    """Whether `value` is a finite number that hyperparameter `name` may have."""
    if not math.isfinite(value):
        return False
    low, high = RANGES[name]
    above = value > float(low[2:]) if low.startswith("> ") else value >= float(low[3:])
    if high == "inf":
        below = True
    else:
        below = value < float(high[2:]) if high.startswith("< ") else value <= float(high[3:])
    return above and below


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained.

    Attributes:
        optimizer: One of `OPTIMIZERS`.
        learning_rate: The peak learning rate.
        momentum: Of heavy ball and Nesterov: v <- momentum v + g, then w <- w - lr v for heavy ball and
            w <- w - lr (g + momentum v) for Nesterov.
        beta1: AdamW's decay of the mean of the gradients.
        beta2: AdamW's decay of the mean of their squares.
        epsilon: AdamW's term in the denominator.
        weight_decay: Added to the gradient as `weight_decay * w` (an L2 penalty); for AdamW decoupled: w
            shrinks by the share `lr * weight_decay`. On all parameters; never multiplied by an example's weight.
        label_smoothing: Of the training loss; validation is without.
        schedule: One of `SCHEDULES`, see `headrace.training.schedules`.
        end_factor: The last learning rate as a share of `learning_rate` (alpha).
        decay_fraction: The share of the budget after which the decay has ended (T / budget).
        warmup_steps: Steps over which the learning rate first rises linearly.
        gradient_clip: The largest Euclidean norm that a gradient may have; larger ones are scaled to it.

    Raises:
        InputErrors: All fields that are out of range.
    """

    optimizer: str
    learning_rate: float
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    schedule: str = "constant"
    end_factor: float = 0.01
    decay_fraction: float = 1.0
    warmup_steps: int = 0
    gradient_clip: float | None = None

    def __post_init__(self) -> None:
        errors = [
            *_unknown("optimizer", self.optimizer, OPTIMIZERS),
            *_unknown("schedule", self.schedule, SCHEDULES),
            *(
                error
                for field in fields(self)
                for error in _out_of_range(field.name, getattr(self, field.name))
            ),
        ]
        if errors:
            raise InputErrors(errors, where="Recipe")


def _unknown(where: str, got: str, known: frozenset[str]) -> list[InputError]:
    if got in known:
        return []
    return [InputError("unknown name", where=where, got=got, fix=f"Known are {', '.join(sorted(known))}.")]


def _out_of_range(name: str, value: object) -> list[InputError]:
    if name not in RANGES or (name == "gradient_clip" and value is None):
        return []
    kind = int if name == "warmup_steps" else (int, float)
    if isinstance(value, kind) and not isinstance(value, bool) and within(name, value):
        return []
    limits = " and ".join(limit for limit in RANGES[name] if limit != "inf")
    number = "a whole number" if name == "warmup_steps" else "a finite number"
    return [InputError(f"must be {number} {limits}", where=name, got=value)]
