"""Picture files and picture bytes to uint8 arrays, by Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from headrace.errors import InputError

Mode = Literal["L", "RGB"]
"""Grey (one channel) or red, green, blue."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
"""The endings of files that are taken as pictures."""


def open_picture(
    source: Path | bytes, *, mode: Mode, size: tuple[int, int] | None = None, where: str | None = None
) -> UInt8[np.ndarray, "channels height width"]:
    """One picture.

    Args:
        source: The file, or its content.
        mode: The channels wanted; a picture of another mode is converted.
        size: (height, width) to which the picture is scaled (bilinear); None leaves it.
        where: Names the picture in errors, where `source` is bytes.

    Raises:
        InputError: Not a picture, or damaged.
    """
    where = where or (str(source) if isinstance(source, Path) else "a picture")
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            converted = picture.convert(mode)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise InputError(f"the picture cannot be read: {error}", where=where) from error
    if size is not None:
        converted = converted.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(converted)
    return pixels[None] if mode == "L" else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def stack_pictures(
    sources: Iterable[tuple[str, Path | bytes]], *, mode: Mode, size: tuple[int, int] | None = None
) -> UInt8[Tensor, "examples channels height width"]:
    """Many pictures as one tensor.

    Args:
        sources: (name for errors, file or content) of each.
        mode: The channels wanted.
        size: (height, width); needed where the pictures differ in size.

    Raises:
        InputError: A picture cannot be read, or has another size than the first.
    """
    pictures: list[np.ndarray] = []
    for where, source in sources:
        pixels = open_picture(source, mode=mode, size=size, where=where)
        if pictures and pixels.shape != pictures[0].shape:
            raise InputError(
                f"the picture is not as large as the first, {_size(pictures[0])}",
                where=where,
                got=_size(pixels),
                fix="Give size=(height, width), to which all are scaled.",
            )
        pictures.append(pixels)
    return torch.from_numpy(np.stack(pictures))


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[2]}"
