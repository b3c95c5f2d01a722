"""Picture files and picture bytes to uint8 arrays, by Pillow."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from headrace.errors import InputError

Mode = Literal["L", "RGB"]
"""Grey (one channel) or red, green, blue."""

SUFFIXES = frozenset(
    {
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".bmp",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
    }
)
"""The endings of files that are taken as pictures."""

UNREAD_SUFFIXES = frozenset(
    {
        ".tga",
        ".psd",
        ".pcx",
        ".part",
        ".partial",
        ".crdownload",
        ".download",
        ".heic",
        ".heif",
        ".avif",
        ".jp2",
        ".jxl",
        ".svg",
        ".dcm",
        ".dng",
        ".cr2",
        ".nef",
        ".exr",
    }
)
"""The endings of pictures that are not read, or not whole: refused, since a class without some is another."""

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000")
_SIXTEEN_BITS = frozenset({"PNG", "PPM", "JPEG2000"})
"""Formats whose pictures of mode I (32 bits in memory) hold 16 bits."""
_TWELVE_BITS = 4_095
"""Cameras and scanners of 12 bits leave the upper 4 of 16 empty."""
_PHOTOMETRIC = 262
"""TIFF's tag PhotometricInterpretation."""
_REDUCED = 254
"""TIFF's tag NewSubfileType; its lowest bit marks a smaller copy of another page."""


def open_picture(
    source: Path | bytes, *, mode: Mode, size: tuple[int, int] | None = None, where: str | None = None
) -> UInt8[np.ndarray, "channels height width"]:
    """One picture, upright as its EXIF data say, with 8 bits per channel.

    16 bits are scaled by the range of the type: v / 257. An alpha channel is dropped. Of a palette the
    colours are taken.

    Args:
        source: The file, or its content.
        mode: The channels wanted; a picture of another mode is converted.
        size: (height, width) to which the picture is scaled (bilinear); None leaves it.
        where: Names the picture in errors, where `source` is bytes.

    Raises:
        InputError: Not a picture, damaged, too large, of 32 bits or floating-point numbers, one of several in
            the file, or one whose content is in its alpha channel.
    """
    return _opened(source, mode, size, where or _name(source))[0]


def _name(source: Path | bytes) -> str:
    return "a picture" if isinstance(source, bytes) else str(source)


def _opened(
    source: Path | bytes, mode: Mode, size: tuple[int, int] | None, where: str
) -> tuple[UInt8[np.ndarray, "channels height width"], int | None]:
    """The picture as `open_picture` returns it, and the largest value that it has of 16 bits."""
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(file, formats=_formats()) as picture,
        ):
            _check_single(picture, where)
            if picture.mode.startswith("I;16"):
                _check_black_is_zero(picture, where)
            sixteen = picture.mode == "I" and picture.format in _SIXTEEN_BITS
            upright = ImageOps.exif_transpose(picture)
            sixteen = sixteen or upright.mode.startswith("I;16")
            largest = int(np.asarray(upright).max()) if sixteen else None
            converted = _eight_bits(upright, where, sixteen=sixteen).convert(mode)
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        fix = "Scale it down before."
        raise InputError(f"the picture is too large: {error}", where=where, fix=fix) from error
    except Exception as error:  # Pillow's readers raise errors of many kinds for damaged files.
        fix = "Get the file again, or delete it if it is not a picture."
        raise InputError(f"the picture cannot be read: {error}", where=where, fix=fix) from error
    if size is not None:
        converted = converted.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(converted)
    return pixels[None] if mode == "L" else np.ascontiguousarray(pixels.transpose(2, 0, 1)), largest


@cache
def _formats() -> tuple[str, ...]:
    """Those of the formats that this Pillow can read; no others are tried."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _check_single(picture: Image.Image, where: str) -> None:
    """Refuse animations and stacks; an MPO's further pictures are other views of the first."""
    frames = getattr(picture, "n_frames", 1)
    if frames < 2 or picture.format == "MPO":
        return
    if picture.format == "TIFF":
        frames = sum(not _is_reduced(picture, frame) for frame in range(frames))
        picture.seek(0)
    if frames > 1:
        raise InputError(
            f"the file holds {frames} pictures, and an example is one",
            where=where,
            fix="Save the one that is meant as a file of its own.",
        )


def _is_reduced(picture: Image.Image, frame: int) -> bool:
    picture.seek(frame)
    tags: dict[int, int] = getattr(picture, "tag_v2", {})
    return bool(tags.get(_REDUCED, 0) & 1)


def _eight_bits(picture: Image.Image, where: str, *, sixteen: bool) -> Image.Image:
    """The picture with 8 bits per channel; `sixteen` says that it holds 16."""
    if sixteen:
        values = np.asarray(picture).astype(np.float64)
        return Image.fromarray((values / 257).round().clip(0, 255).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise InputError(
            "pictures must have 8 or 16 bits per channel",
            where=where,
            got=f"32 bits, mode {picture.mode}",
            fix="Scale them to 0 .. 255 and save them with 8 bits.",
        )
    if picture.has_transparency_data:
        # Of a palette too: what differs in it may be how much is seen of one colour.
        _check_alpha(picture.convert("RGBA"), where)
    return picture


def _check_black_is_zero(picture: Image.Image, where: str) -> None:
    """Refuse a TIFF whose 0 is white: Pillow turns such pictures round if they have 8 bits, but not of 16."""
    tags: dict[int, int] = getattr(picture, "tag_v2", {})
    if tags.get(_PHOTOMETRIC) == 0:
        raise InputError(
            "0 is white in this picture of 16 bits (TIFF's WhiteIsZero), so it would be its own negative",
            where=where,
            fix="Save it with 0 as black (BlackIsZero), or with 8 bits.",
        )


def _check_alpha(picture: Image.Image, where: str) -> None:
    *colours, alpha = (channel.getextrema() for channel in picture.split())
    if alpha[0] != alpha[1] and all(low == high for low, high in colours):
        raise InputError(
            "all that the picture shows is in its alpha channel, which is not read",
            where=where,
            fix="Lay the picture over a background and save it without alpha.",
        )


def stack_pictures(
    sources: Iterable[tuple[str, Path | bytes]], *, mode: Mode, size: tuple[int, int] | None = None
) -> UInt8[Tensor, "examples channels height width"]:
    """Many pictures as one tensor.

    Args:
        sources: (name for errors, file or content) of each.
        mode: The channels wanted.
        size: (height, width); needed where the pictures differ in size.

    Raises:
        InputError: A picture cannot be read, has another size than the first, or those of 16 bits use the
            lowest 12 alone.
    """
    pictures: list[np.ndarray] = []
    largest: list[int] = []
    where = ""
    for where, source in sources:
        pixels, of_sixteen = _opened(source, mode, size, where)
        largest += [] if of_sixteen is None else [of_sixteen]
        if pictures and pixels.shape != pictures[0].shape:
            raise InputError(
                f"the picture is not as large as the first, {_size(pictures[0])}",
                where=where,
                got=_size(pixels),
                fix="Give size=(height, width), to which all are scaled.",
            )
        pictures.append(pixels)
    if largest and max(largest) <= _TWELVE_BITS:
        raise InputError(
            f"{len(largest)} pictures have 16 bits per channel but use at most 12: they would be black",
            where=where,
            got=f"no value above {max(largest):,}",
            fix="Scale all by one factor to the range 0 .. 65,535, or to 8 bits.",
        )
    return torch.from_numpy(np.stack(pictures))


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[2]}"
