"""CIFAR-10: 32x32 colour images in ten classes, split 45,000 / 5,000 / 10,000.

The images are held as uint8 (184 MB; as float32 737 MB in every worker): scaling them at the fetch is a small
part of a convolutional network's step.
"""

from __future__ import annotations

from pathlib import Path

from headrace.workloads._base import Workload
from headrace.workloads.build import Pixels, classification
from headrace.workloads.labelled import Labelled, Splits, hold_out
from headrace.workloads.locations import CIFAR_BINARY, has_files, require
from headrace.workloads.models import resnet8
from headrace.workloads.readers.cifar import TEST_BATCHES, read_binary, read_png

VALIDATION = 5_000
"""Examples that are drawn from the training batches for validation, stratified, on a named stream."""

PIXELS = Pixels(mean=120.7, scale=64.15)
"""Mean and standard deviation over all pixels and channels of the 50,000 training images."""


def read_cifar10(folder: Path) -> tuple[Labelled, Labelled]:
    """The 50,000 training and 10,000 test images of a folder, in either form.

    Raises:
        InputError: A file is missing or damaged.
    """
    if has_files(folder, CIFAR_BINARY):
        return read_binary(folder), read_binary(folder, TEST_BATCHES)
    return read_png(folder), read_png(folder, train=False)


def cifar10_splits(folder: Path | None = None) -> Splits:
    """The fixed splits; uint8 [examples 3 32 32]. The test split is the data set's own.

    Args:
        folder: Holds the files; None looks for them (`headrace data`).

    Raises:
        InputError: The data set is missing or damaged.
    """
    folder = folder or require("cifar-10")
    pool, test = read_cifar10(folder)
    train, validation = hold_out(pool, VALIDATION, "cifar-10", str(folder))
    return Splits(train=train, validation=validation, test=test)


def cifar10_resnet8(*, label_noise: float = 0.0) -> Workload:
    """A residual network of 8 layers on CIFAR-10, without batch normalisation or augmentation."""
    return classification(
        "cifar10-resnet8",
        cifar10_splits(),
        model=resnet8,
        goal=0.30,
        transform=PIXELS,
        label_noise=label_noise,
        description="ResNet-8 without batch normalisation on CIFAR-10: 32x32 images in ten classes.",
    )
