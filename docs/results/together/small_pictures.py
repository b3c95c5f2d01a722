"""MNIST and Fashion-MNIST made small enough for two CPU cores: a fifth of the training set, 14x14 pixels.

Fewer examples make epochs short, so that policies that learn about the examples from epoch to epoch have a
say before the goal is reached, also at the smallest batch sizes. Validation and test are whole, with clean
labels.
"""

from __future__ import annotations

from functools import partial

from torch.nn.functional import avg_pool2d

from headrace.workloads import Workload
from headrace.workloads.build import classification
from headrace.workloads.labelled import Labelled, Splits, split
from headrace.workloads.mnist import Name, mnist_splits
from headrace.workloads.models import mlp


def small_pictures(
    name: Name = "mnist", *, examples: int = 11_000, hidden: int = 32, label_noise: float = 0.0
) -> Workload:
    """One hidden layer on `examples` training examples, drawn once, stratified by class.

    Args:
        name: "mnist" or "fashion-mnist".
        examples: The size of the training set, at most 55,000.
        hidden: Hidden units.
        label_noise: The share of the training labels that are replaced by another class.
    """
    whole = mnist_splits(name)
    train, _ = split(whole.train, (examples, len(whole.train) - examples), name, "small")
    assert whole.test is not None
    parts = Splits(train=_smaller(train), validation=_smaller(whole.validation), test=_smaller(whole.test))
    return classification(
        f"small-{name}",
        parts,
        model=partial(mlp, hidden=(hidden,)),
        goal={"mnist": 0.10, "fashion-mnist": 0.20}[name],
        label_noise=label_noise,
        description=f"{hidden} hidden units on {examples:,} pictures of 14x14 pixels in ten classes.",
    )


def _smaller(data: Labelled) -> Labelled:
    """Each pixel the mean of four."""
    return Labelled(inputs=avg_pool2d(data.inputs, 2), targets=data.targets, classes=data.classes)
