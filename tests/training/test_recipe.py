"""Recipes cannot be wrong, and say what has an effect."""

from __future__ import annotations

from dataclasses import fields

import pytest

from headrace.errors import InputErrors
from headrace.training.recipe import HYPERPARAMETERS, OPTIMIZERS, RANGES, SCHEDULES, Recipe, hyperparameters


def test_all_errors_at_once() -> None:
    with pytest.raises(InputErrors) as caught:
        Recipe(
            optimizer="adam",
            learning_rate=0.0,
            momentum=1.0,
            weight_decay=float("nan"),
            warmup_steps=2.5,  # pyright: ignore[reportArgumentType]
        )
    assert [str(error) for error in caught.value.errors] == [
        "optimizer: unknown name; got 'adam'. Known: adamw, momentum, muon, nesterov, sgd.",
        "learning_rate: must be a finite number > 0; got 0.0",
        "momentum: must be a finite number >= 0 and < 1; got 1.0",
        "weight_decay: must be a finite number >= 0; got nan",
        "warmup_steps: must be a whole number >= 0; got 2.5",
    ]


@pytest.mark.parametrize("value", ["0.1", True, None, float("inf")])
def test_a_learning_rate_is_a_finite_number(value: object) -> None:
    with pytest.raises(InputErrors, match="learning_rate"):
        Recipe(optimizer="sgd", learning_rate=value)  # pyright: ignore[reportArgumentType]


def test_limits_that_are_allowed() -> None:
    Recipe(optimizer="sgd", learning_rate=1, momentum=0, end_factor=1, decay_fraction=1, gradient_clip=None)


def test_every_hyperparameter_has_a_range_and_some_effect() -> None:
    numbers = {field.name for field in fields(Recipe)} - {"optimizer", "schedule", "weight_decay_on"}
    used = {name for o in OPTIMIZERS for s in SCHEDULES for name in hyperparameters(o, s)}
    assert set(RANGES) == numbers == used


def test_what_has_no_effect() -> None:
    assert "momentum" not in HYPERPARAMETERS["sgd"] | HYPERPARAMETERS["adamw"]
    assert "beta2" not in HYPERPARAMETERS["nesterov"]
    assert "end_factor" not in hyperparameters("sgd", "constant")
    assert "end_factor" in hyperparameters("sgd", "linear")
