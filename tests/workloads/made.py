"""Small data sets in the forms of the real ones, made by the tests."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from headrace import random
from headrace.workloads.locations import IDX_FILES


def write_idx(path: Path, values: np.ndarray) -> None:
    """Bytes in the idx form; gzipped where the name ends in `.gz`."""
    raw = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def write_mnist(folder: Path, train: int = 5_100, test: int = 50, *, ending: str = ".gz") -> None:
    """Four idx files of 28x28 images in ten classes; the first pixel of an image is its label."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.generator(0, "made", "mnist")
    for count, (images, labels) in ((train, IDX_FILES[:2]), (test, IDX_FILES[2:])):
        pixels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        numbers = (np.arange(count) % 10).astype(np.uint8)
        pixels[:, 0, 0] = numbers
        write_idx(folder / (images + ending), pixels)
        write_idx(folder / (labels + ending), numbers)
