"""MNIST and Fashion-MNIST: 28x28 grey images in ten classes, split 55,000 / 5,000 / 10,000.

The images are held as float32. Held as uint8 and scaled at each fetch they would take a quarter of the memory
(55 against 220 MB) and be loaded a few tenths of a second sooner, but a step of a small fully connected
network at batch size 64 is then 2 to 4% slower; next to a convolutional network's step the fetch is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from headrace.errors import InputError
from headrace.workloads import _settings
from headrace.workloads._base import Workload
from headrace.workloads.build import Pixels, classification
from headrace.workloads.labelled import Labelled, Splits, hold_out
from headrace.workloads.locations import IDX_FILES, file_in, require
from headrace.workloads.models import mlp, simple_cnn
from headrace.workloads.readers.idx import read_idx

Name = Literal["mnist", "fashion-mnist"]
Width = Literal["base", "narrow", "wide"]

VALIDATION = 5_000
"""Examples that are drawn from the training file for validation, stratified, on a named stream."""

CLASSES: dict[Name, tuple[str, ...]] = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt",
        "Sneaker", "Bag", "Ankle boot",
    ),
}  # fmt: skip
TITLES: dict[Name, str] = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}

CNN_GOALS: dict[Name, float] = {"mnist": 0.01, "fashion-mnist": 0.10}
"""The goals of Shallue et al. (2019) for the Simple CNN."""
FC_GOALS: dict[Name, float] = {"mnist": 0.03, "fashion-mnist": 0.13}

WIDTHS: dict[Width, tuple[tuple[int, int], int]] = {
    "base": ((32, 64), 1024),
    "narrow": ((16, 32), 512),
    "wide": ((64, 128), 2048),
}
"""The Simple CNN's widths: filters of the two convolutions, and the dense layer."""


def read_images(images: Path, labels: Path, classes: tuple[str, ...]) -> Labelled:
    """A pair of idx files; pixels from 0 to 1, float32 [examples 1 height width].

    Raises:
        InputError: A file cannot be read, or is not images or labels.
    """
    pixels, numbers = read_idx(images), read_idx(labels)
    for path, values, axes in ((images, pixels, 3), (labels, numbers, 1)):
        if values.ndim != axes or values.dtype != np.uint8:
            raise InputError(
                f"bytes along {axes} axes are needed", where=str(path), got=f"{values.dtype}, {values.ndim}"
            )
    if not len(pixels):
        raise InputError("the file holds no images", where=str(images), fix="Get it again.")
    if len(pixels) != len(numbers):
        raise InputError(f"{len(pixels)} labels are needed", where=str(labels), got=len(numbers))
    # NumPy divides and converts in one pass, straight from the file's read-only bytes.
    scaled = np.multiply(pixels[:, None], np.float32(1 / Pixels().scale), dtype=np.float32)
    return Labelled(
        inputs=torch.from_numpy(scaled),
        targets=torch.from_numpy(numbers.astype(np.int64)),
        classes=classes,
    )


def mnist_splits(name: Name, folder: Path | None = None) -> Splits:
    """The fixed splits of `name`; the test split is the data set's own.

    Args:
        name: The data set; also names the stream of the split.
        folder: Holds the four idx files; None looks for them (`headrace data`).

    Raises:
        InputError: The data set is missing or damaged.
    """
    folder = folder or require(name)
    paths = [_idx_file(folder, file) for file in IDX_FILES]
    pool = read_images(paths[0], paths[1], CLASSES[name])
    test = read_images(paths[2], paths[3], CLASSES[name])
    train, validation = hold_out(pool, VALIDATION, name, str(paths[0]))
    return Splits(train=train, validation=validation, test=test)


def _idx_file(folder: Path, name: str) -> Path:
    """The file in the folder, or in its subfolder `raw`, as torchvision leaves it."""
    found = file_in(folder, name) or file_in(folder / "raw", name)
    if found is not None:
        return found
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    raise InputError(
        f"the file {name} (gzipped or not) is missing; there are {', '.join(there[:20]) or 'no files'}",
        where=str(folder),
        fix="Get it again, or rename the file that it is.",
    )


def mnist_simple_cnn(*, dropout: float = 0.4, label_noise: float = 0.0) -> Workload:
    """The Simple CNN on MNIST; 3,274,634 parameters."""
    return _simple_cnn("mnist", "base", dropout, label_noise)


def mnist_simple_cnn_narrow(*, dropout: float = 0.4, label_noise: float = 0.0) -> Workload:
    """The Simple CNN with half the width on MNIST."""
    return _simple_cnn("mnist", "narrow", dropout, label_noise)


def mnist_simple_cnn_wide(*, dropout: float = 0.4, label_noise: float = 0.0) -> Workload:
    """The Simple CNN with twice the width on MNIST."""
    return _simple_cnn("mnist", "wide", dropout, label_noise)


def mnist_fc(*, hidden: Sequence[int] = (100,), label_noise: float = 0.0) -> Workload:
    """A fully connected network on MNIST; `hidden` are the widths of its layers."""
    return _fully_connected("mnist", hidden, label_noise)


def fashion_mnist_simple_cnn(*, dropout: float = 0.4, label_noise: float = 0.0) -> Workload:
    """The Simple CNN on Fashion-MNIST; 3,274,634 parameters."""
    return _simple_cnn("fashion-mnist", "base", dropout, label_noise)


def fashion_mnist_simple_cnn_narrow(*, dropout: float = 0.4, label_noise: float = 0.0) -> Workload:
    """The Simple CNN with half the width on Fashion-MNIST."""
    return _simple_cnn("fashion-mnist", "narrow", dropout, label_noise)


def fashion_mnist_simple_cnn_wide(*, dropout: float = 0.4, label_noise: float = 0.0) -> Workload:
    """The Simple CNN with twice the width on Fashion-MNIST."""
    return _simple_cnn("fashion-mnist", "wide", dropout, label_noise)


def fashion_mnist_fc(*, hidden: Sequence[int] = (100,), label_noise: float = 0.0) -> Workload:
    """A fully connected network on Fashion-MNIST; `hidden` are the widths of its layers."""
    return _fully_connected("fashion-mnist", hidden, label_noise)


def _simple_cnn(data: Name, width: Width, dropout: float, label_noise: float) -> Workload:
    filters, dense = WIDTHS[width]
    dropout = _settings.share("dropout", dropout)
    return classification(
        f"{data}-simple-cnn" + ("" if width == "base" else f"-{width}"),
        mnist_splits(data),
        model=partial(simple_cnn, filters=filters, dense=dense, dropout=dropout),
        goal=CNN_GOALS[data],
        label_noise=label_noise,
        description=f"The Simple CNN ({width}) on {TITLES[data]}: 28x28 images in ten classes.",
    )


def _fully_connected(data: Name, hidden: Sequence[int], label_noise: float) -> Workload:
    return classification(
        f"{data}-fc",
        mnist_splits(data),
        model=partial(mlp, hidden=_settings.integers("hidden", hidden)),
        goal=FC_GOALS[data],
        label_noise=label_noise,
        description=f"Hidden layers {list(hidden)} on {TITLES[data]}: 28x28 images in ten classes.",
    )
