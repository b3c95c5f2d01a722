"""Inputs with their class numbers, as every reader returns them; and their fixed splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, Int64, Shaped
from torch import Tensor

from headrace import random
from headrace.errors import InputError
from headrace.ids import Ids
from headrace.random import Name
from headrace.workloads.class_numbers import check_classes, check_counted_from_0, check_named

_SPLIT_SEED = 0
"""Splits belong to the workload, not to the experiment: their root seed is the same for ever."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Examples held in memory, each with its class.

    Args:
        inputs: One entry an example [examples ...].
        targets: Class numbers from 0, int64 [examples].
        classes: The classes' names, in the order of their numbers, if known.
        ids: What the examples are called by whoever gave them, see `headrace.ids`; None: their rows.

    Raises:
        InputError: The lengths differ, or a class number is negative or has no name.
    """

    inputs: Shaped[Tensor, "examples ..."]
    targets: Int64[Tensor, " examples"]
    classes: tuple[str, ...] | None = None
    ids: Ids | None = None

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise InputError(f"there are {len(self.inputs)} inputs but {len(self.targets)} targets")
        if self.targets.dtype != torch.int64:
            raise InputError("class numbers must be int64", got=str(self.targets.dtype))
        if not len(self):
            return
        check_classes(self.classes)
        check_counted_from_0(self.targets.numpy(), "targets")
        check_named(self.targets.numpy(), self.classes, "targets")

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def num_classes(self) -> int:
        """Named classes, or the highest class number plus one."""
        return len(self.classes) if self.classes is not None else int(self.targets.max()) + 1

    def take(self, indices: Int64[np.ndarray, " taken"]) -> Labelled:
        """The examples at `indices`, in that order."""
        chosen = torch.from_numpy(indices)
        return Labelled(
            inputs=self.inputs.index_select(0, chosen),
            targets=self.targets.index_select(0, chosen),
            classes=self.classes,
            ids=None if self.ids is None else self.ids[indices],
        )


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The three fixed parts of a data set; the test part may be missing."""

    train: Labelled
    validation: Labelled
    test: Labelled | None = None


def stratified_split(
    targets: Int[np.ndarray, " examples"], sizes: Sequence[int], *path: Name
) -> tuple[Int64[np.ndarray, " part"], ...]:
    """Cut the examples into disjoint parts that together are all of them, with near equal class shares.

    Each class is shuffled on the stream `("split", *path)` and its examples spaced evenly over (0, 1); sorted
    by that place, any stretch holds each class in its share, to within rounding. The same call always
    gives the same parts.

    Args:
        targets: Class numbers [examples].
        sizes: Examples in each part; their sum is the number of examples.
        path: Names the stream, for example the data set.

    Returns:
        Sorted indices, one array a part.

    Raises:
        InputError: The sizes do not add up, or one is not positive.
    """
    if sum(sizes) != len(targets) or min(sizes) < 1:
        raise InputError(f"split sizes must be positive and add up to {len(targets)}", got=list(sizes))
    rng = random.generator(_SPLIT_SEED, "split", *path)
    shuffled = rng.permutation(len(targets))
    by_class = shuffled[np.argsort(targets[shuffled], kind="stable")]
    counts = np.unique(targets, return_counts=True)[1]
    place = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    # The shuffle breaks ties: where all classes are equally large, whole rows of places are equal.
    tie = rng.permutation(len(targets))
    ordered = by_class[np.lexsort((tie, place))]
    return tuple(np.sort(part) for part in np.split(ordered, np.cumsum(sizes)[:-1]))


def split(data: Labelled, sizes: Sequence[int], *path: Name) -> tuple[Labelled, ...]:
    """The parts of `stratified_split`, as data."""
    return tuple(data.take(part) for part in stratified_split(data.targets.numpy(), sizes, *path))


def hold_out(pool: Labelled, size: int, name: Name, where: str) -> tuple[Labelled, Labelled]:
    """What is left for training of a data set's training file, and `size` examples for validation.

    Raises:
        InputError: There are too few examples.
    """
    if len(pool) <= size:
        raise InputError(
            f"more than {size:,} training images are needed, {size:,} of them for validation",
            where=where,
            got=len(pool),
            fix="Get the whole data set, or read a part of it by from_tensors.",
        )
    train, validation = split(pool, (len(pool) - size, size), name)
    return train, validation


def flip_labels(
    targets: Int64[Tensor, " examples"], num_classes: int, fraction: float, *path: Name
) -> Int64[Tensor, " examples"]:
    """Replace `fraction` of the class numbers (to the nearest whole number) by another class, uniformly.

    Args:
        targets: Class numbers [examples]; left as they are.
        num_classes: At least 2.
        fraction: From 0 up to 1.
        path: Names the stream, for example the data set.
    """
    rng = random.generator(_SPLIT_SEED, "label-noise", *path)
    flipped = rng.permutation(len(targets))[: round(fraction * len(targets))]
    # A step of 1 .. classes - 1 round the circle of classes is any other class, each equally likely.
    step = rng.integers(1, num_classes, size=len(flipped))
    noisy = targets.numpy().copy()
    noisy[flipped] = (noisy[flipped] + step) % num_classes
    return torch.from_numpy(noisy)
