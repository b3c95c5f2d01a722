"""From a workload's example to what a reader sees of it: a small picture, or a text.

A workload says by `show` what its examples look like; without it, inputs of the shape of a grey or a colour
picture are taken for one. Whatever else there is cannot be shown, and that is said.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import UInt8

from headrace.ids import name

if TYPE_CHECKING:
    from headrace.workloads._base import Workload

MOST_PIXELS = 96
"""Larger pictures are reduced to this many pixels along their longer side: a gallery shows many."""
MOST_CHARACTERS = 400
"""Longer texts are cut, with an ellipsis."""
LEAST_PIXELS = 4
"""Arrays that are smaller along a side are not taken for pictures, unless `show` says that they are."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An example as it is shown; both are None where it cannot be.

    Attributes:
        png: A picture, as the content of a PNG file.
        text: A text, as plain text: whoever puts it into a page escapes it.
    """

    png: bytes | None = None
    text: str | None = None


def shower(workload: Workload) -> Callable[[int], Shown]:
    """What shows the training examples of `workload`, by their indices; its own `show` is given their ids.

    Raises:
        InputError: (when called) any error of the workload's own `show` is passed on.
    """
    own, ids = workload.show, workload.example_ids
    if own is not None:
        return lambda index: shown(own(name(ids, index)))
    return lambda index: _from_data(workload.train, index)


def shown(value: object) -> Shown:
    """What `show` returned as a picture or a text.

    Args:
        value: A text; an array or tensor of pixels [height width], [channels height width] or [height width
            channels] with 1 or 3 channels; or a Pillow image. Anything else cannot be shown.
    """
    from PIL import Image

    if isinstance(value, str):
        return Shown(text=shortened(value))
    if isinstance(value, Image.Image):
        return Shown(png=_png(value))
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        pixels = as_picture(value)
        return Shown() if pixels is None else Shown(png=_png(Image.fromarray(pixels)))
    return Shown()


def shortened(text: str) -> str:
    """The text on one line, without characters that cannot be printed, at most `MOST_CHARACTERS` long."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    words = " ".join(plain.split())
    return words if len(words) <= MOST_CHARACTERS else words[: MOST_CHARACTERS - 1].rstrip() + "…"


def as_picture(values: np.ndarray) -> UInt8[np.ndarray, " ..."] | None:
    """Pixels as bytes, [height width] or [height width 3]; None if the shape is not a picture's.

    Bytes stay as they are. Other numbers are taken to run from 0 to 1 or from -1 to 1 if they are within
    these, and are stretched from their least to their greatest otherwise. What is not finite is black.
    """
    if values.ndim == 3 and values.shape[0] in (1, 3):
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    coloured = values.ndim == 3 and values.shape[2] == 3
    if not (values.ndim == 2 or coloured) or min(values.shape[:2]) < 1:
        return None
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    numbers = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = _ends(numbers)
    return np.ascontiguousarray(((numbers - low) / (high - low) * 255.0).round().astype(np.uint8))


def _ends(numbers: np.ndarray) -> tuple[float, float]:
    """What becomes black, and what white."""
    low, high = float(numbers.min()), float(numbers.max())
    for ends in ((0.0, 1.0), (-1.0, 1.0)):
        if ends[0] <= low and high <= ends[1]:
            return ends
    return (low, high) if high > low else (low, low + 1.0)


def _from_data(data: Any, index: int) -> Shown:
    """An example of a data set without `show`; before any transform, if the data set has it."""
    raw = getattr(data, "inputs", None)
    if not isinstance(raw, torch.Tensor):
        raw = data.fetch(torch.tensor([index]))[0]
        index = 0
    example = raw[index] if isinstance(raw, torch.Tensor) else None
    if example is None or not _looks_like_a_picture(example):
        return Shown()
    return shown(example)


def _looks_like_a_picture(example: torch.Tensor) -> bool:
    """Whether this is [1 or 3, height, width]: two axes alone are as often a sequence of vectors."""
    return example.ndim == 3 and example.shape[0] in (1, 3) and min(example.shape[1:]) >= LEAST_PIXELS


def _png(picture: Any) -> bytes:
    picture = picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
    if max(picture.size) > MOST_PIXELS:
        picture = picture.copy()
        picture.thumbnail((MOST_PIXELS, MOST_PIXELS))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
