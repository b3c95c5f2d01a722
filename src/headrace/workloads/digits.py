"""The digits that scikit-learn brings along: 1,797 images of 8x8; small enough for tests and the demo."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from headrace.workloads import _settings
from headrace.workloads._base import Workload
from headrace.workloads.build import classification
from headrace.workloads.labelled import Labelled, Splits, split
from headrace.workloads.models import Model, logistic, mlp

SIZES = (1197, 300, 300)
"""Examples for training, validation and test; drawn on a named stream, stratified."""


def digits_splits() -> Splits:
    """The fixed splits; pixels from 0 to 1, float32 [examples 64]."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    whole = Labelled(
        inputs=torch.tensor(pixels / 16.0, dtype=torch.float32),
        targets=torch.tensor(labels, dtype=torch.int64),
        classes=tuple("0123456789"),
    )
    train, validation, test = split(whole, SIZES, "digits")
    return Splits(train=train, validation=validation, test=test)


def digits_logistic(*, label_noise: float = 0.0) -> Workload:
    """Logistic regression on the digits; 650 parameters."""
    return _digits("digits-logistic", logistic, 0.05, label_noise, "Logistic regression")


def digits_mlp(*, hidden: Sequence[int] = (32,), label_noise: float = 0.0) -> Workload:
    """A fully connected network on the digits; `hidden` are the widths of its layers."""
    model = partial(mlp, hidden=_settings.integers("hidden", hidden))
    return _digits("digits-mlp", model, 0.04, label_noise, f"A network with hidden layers {list(hidden)}")


def _digits(name: str, model: Model, goal: float, label_noise: float, what: str) -> Workload:
    splits = digits_splits()
    return classification(
        name,
        splits,
        model=model,
        goal=goal,
        label_noise=label_noise,
        description=f"{what} on scikit-learn's digits: 8x8 images in ten classes.",
        show=lambda index: splits.train.inputs[index].reshape(8, 8),
    )
