"""How a model is trained: the optimizer, its hyperparameters and the schedule, as one frozen record.

Imports no torch: experiment files are checked against it.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, fields
from typing import Literal, get_args

from headrace.errors import InputError, InputErrors
from headrace.training import registry

_ALWAYS = frozenset(
    {
        "learning_rate",
        "weight_decay",
        "label_smoothing",
        "gradient_clip",
        "warmup_steps",
        "warmup_fraction",
    }
)

HYPERPARAMETERS: dict[str, frozenset[str]] = {
    name: _ALWAYS | entry.uses for name, entry in registry.OPTIMIZERS.items()
}
"""Optimizer -> the hyperparameters that have an effect with it (without those of the schedule)."""

SCHEDULE_HYPERPARAMETERS: dict[str, frozenset[str]] = {
    "constant": frozenset(),
    "linear": frozenset({"end_factor", "decay_fraction"}),
    "cosine": frozenset({"end_factor", "decay_fraction"}),
    "wsd": frozenset({"cooldown_fraction"}),
}
"""Schedule -> the hyperparameters that have an effect with it."""

OPTIMIZERS = frozenset(HYPERPARAMETERS)
"""The names of the registry."""

DecayOn = Literal["all", "matrices"]

SCHEDULES = frozenset(SCHEDULE_HYPERPARAMETERS)


def is_number(value: float) -> bool:
    """Whether a number is finite as a float: whole numbers of a file may have any number of digits."""
    return -sys.float_info.max <= value <= sys.float_info.max


@dataclass(frozen=True)
class Range:
    """The values that a hyperparameter may have: finite numbers between two limits.

    Attributes:
        low: The lower limit.
        high: The upper limit.
        low_allowed: Whether the lower limit itself is allowed.
        high_allowed: Whether the upper limit itself is allowed.
        whole: Whether only whole numbers are allowed.
    """

    low: float
    high: float = math.inf
    low_allowed: bool = True
    high_allowed: bool = False
    whole: bool = False

    def __contains__(self, value: object) -> bool:
        """Whether `value` is a number of the range; True and False are not numbers."""
        kinds = int if self.whole else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool) or not is_number(value):
            return False
        above = value >= self.low if self.low_allowed else value > self.low
        return above and (value <= self.high if self.high_allowed else value < self.high)

    def __str__(self) -> str:
        """In words, to follow "must be"."""
        words = (
            f"a {'whole' if self.whole else 'finite'} number {'>=' if self.low_allowed else '>'} {self.low:g}"
        )
        if self.high == math.inf:
            return words
        return f"{words} and {'<=' if self.high_allowed else '<'} {self.high:g}"


RANGES: dict[str, Range] = {
    "learning_rate": Range(0, low_allowed=False),
    "momentum": Range(0, 1),
    "beta1": Range(0, 1),
    "beta2": Range(0, 1),
    "epsilon": Range(0, low_allowed=False),
    "weight_decay": Range(0),
    "label_smoothing": Range(0, 1),
    "gradient_clip": Range(0, low_allowed=False),
    "warmup_steps": Range(0, whole=True),
    "warmup_fraction": Range(0, 1),
    "end_factor": Range(0, 1, high_allowed=True),
    "decay_fraction": Range(0, 1, low_allowed=False, high_allowed=True),
    "cooldown_fraction": Range(0, 1, low_allowed=False, high_allowed=True),
}
"""Hyperparameter -> the values it may have."""


def hyperparameters(optimizer: str, schedule: str) -> frozenset[str]:
    """The names of all hyperparameters that have an effect with this optimizer and this schedule."""
    return HYPERPARAMETERS[optimizer] | SCHEDULE_HYPERPARAMETERS[schedule]


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
            shrinks by the share `lr * weight_decay`. Regardless of the examples' weights.
        weight_decay_on: "all" parameters, or "matrices" alone: those of at least two axes, embeddings among
            them, and so neither biases nor the scales of norms.
        label_smoothing: Of the training loss; validation is without.
        schedule: One of `SCHEDULES`, see `headrace.training.schedules`.
        end_factor: The last learning rate as a share of `learning_rate` (alpha).
        decay_fraction: The share of the budget after which the decay has ended (T / budget).
        warmup_steps: Steps over which the learning rate first rises linearly, or
        warmup_fraction: the share of the budget over which it does, rounded to whole steps.
        cooldown_fraction: With "wsd", the share of the budget at its end over which the rate falls to zero.
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
    weight_decay_on: DecayOn = "all"
    label_smoothing: float = 0.0
    schedule: str = "constant"
    end_factor: float = 0.01
    decay_fraction: float = 1.0
    warmup_steps: int = 0
    warmup_fraction: float = 0.0
    cooldown_fraction: float = 0.2
    gradient_clip: float | None = None

    def __post_init__(self) -> None:
        errors = [
            *_unknown("optimizer", self.optimizer, OPTIMIZERS),
            *_unknown("schedule", self.schedule, SCHEDULES),
            *_unknown("weight_decay_on", self.weight_decay_on, frozenset(get_args(DecayOn))),
            *(
                error
                for field in fields(self)
                for error in _out_of_range(field.name, getattr(self, field.name))
            ),
        ]
        if self.warmup_steps and self.warmup_fraction:
            what = "give warmup_steps or warmup_fraction, not both"
            errors.append(InputError(what, where="warmup_fraction", got=self.warmup_fraction))
        if errors:
            raise InputErrors(errors, where="Recipe")


def _unknown(where: str, got: str, known: frozenset[str]) -> list[InputError]:
    if got in known:
        return []
    return [InputError("unknown name", where=where, got=got, fix=f"Known: {', '.join(sorted(known))}.")]


def _out_of_range(name: str, value: object) -> list[InputError]:
    if name not in RANGES or value in RANGES[name] or (name == "gradient_clip" and value is None):
        return []
    return [InputError(f"must be {RANGES[name]}", where=name, got=value)]
