"""Pictures of every kind that people have, and what else is in their folders."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headrace.errors import InputError
from headrace.workloads import from_folder
from headrace.workloads.models import mlp
from headrace.workloads.readers.image_folder import read_image_folder
from headrace.workloads.readers.pictures import open_picture

RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG file that says that it is as large as this."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_sixteen_bits_are_scaled_by_their_range(form: str, mode: str) -> None:
    values = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)
    found = open_picture(encoded(Image.fromarray(values), form), mode=mode)  # pyright: ignore[reportArgumentType]
    assert (found == np.round(values / 257)).all()


def test_sixteen_bits_of_the_other_byte_order_and_of_a_pgm() -> None:
    values = np.array([[0, 257, 12_850, 65535]], dtype=">u2")
    header = b"P5\n4 1\n65535\n"
    assert open_picture(header + values.tobytes(), mode="L").tolist() == [[[0, 1, 50, 255]]]
    big = encoded(Image.frombytes("I;16B", (4, 1), values.tobytes()), "TIFF")
    assert open_picture(big, mode="L").tolist() == [[[0, 1, 50, 255]]]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_thirty_two_bits_are_refused(dtype: type) -> None:
    source = encoded(Image.fromarray((RAMP / 4).astype(dtype)), "TIFF")
    with pytest.raises(InputError, match=r"xray: pictures must have 8 or 16 bits.*32 bits.*Scale"):
        open_picture(source, mode="L", where="xray")


def test_other_modes_of_eight_bits_show_what_they_show() -> None:
    grey = Image.fromarray(RAMP)
    colour = Image.merge("RGB", (grey, grey.transpose(Image.Transpose.ROTATE_90), grey))
    expected = np.asarray(colour).transpose(2, 0, 1)
    opaque = colour.convert("RGBA")
    for source in (encoded(colour), encoded(opaque), encoded(colour.convert("CMYK"), "TIFF")):
        assert (open_picture(source, mode="RGB") == expected).all()
    palette = encoded(grey.convert("P"))
    for source in (encoded(grey), palette, encoded(grey.convert("LA"))):
        assert (open_picture(source, mode="L")[0] == RAMP).all()
    bits = encoded(Image.fromarray(RAMP > 100))
    assert set(np.unique(open_picture(bits, mode="L")).tolist()) == {0, 255}


def test_a_picture_in_its_alpha_channel_is_refused() -> None:
    icon = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    icon.putalpha(Image.fromarray(RAMP))
    with pytest.raises(InputError, match="in its alpha channel, which is not read"):
        open_picture(encoded(icon), mode="RGB")


def test_a_palette_of_one_colour_shows_nothing_but_its_alpha() -> None:
    """What pngquant makes of a black icon: the entries of the palette differ in their alpha alone."""
    icon = Image.fromarray((RAMP > 100).astype(np.uint8), mode="P")
    icon.putpalette([0, 0, 0] * 256)
    with pytest.raises(InputError, match="in its alpha channel, which is not read"):
        open_picture(encoded(icon, transparency=bytes([0, 255])), mode="L")
    icon.putpalette([0, 0, 0, 200, 200, 200])
    shown = open_picture(encoded(icon, transparency=bytes([0, 255])), mode="L")
    assert set(np.unique(shown).tolist()) == {0, 200}
    assert not open_picture(encoded(Image.fromarray(0 * RAMP), transparency=0), mode="L").any()


def test_a_negative_of_sixteen_bits_is_refused_and_of_eight_bits_turned_round(tmp_path: Path) -> None:
    wide, narrow = RAMP.astype(np.uint16) * 257, Image.fromarray(RAMP)
    for white_is_zero in (0, 1):
        file = encoded(narrow, "TIFF", tiffinfo={262: white_is_zero})
        assert (open_picture(file, mode="L")[0] == RAMP).all()
    assert (
        open_picture(encoded(Image.fromarray(wide), "TIFF", tiffinfo={262: 1}), mode="L")[0] == RAMP
    ).all()
    negative = encoded(Image.fromarray(wide), "TIFF", tiffinfo={262: 0})
    with pytest.raises(InputError, match="0 is white in this picture of 16 bits"):
        open_picture(negative, mode="L")


def test_a_picture_is_upright_as_a_viewer_shows_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(Image.fromarray(RAMP[:4]), "PNG", exif=exif)
    assert (open_picture(turned, mode="L")[0] == np.rot90(RAMP[:4], -1)).all()


@pytest.mark.parametrize("form", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_pictures_none_is_chosen(form: str) -> None:
    frames = [Image.fromarray(np.roll(RAMP, n, axis=0)) for n in range(3)]
    with pytest.raises(InputError, match="holds 3 pictures, and an example is one"):
        open_picture(encoded(frames[0], form, save_all=True, append_images=frames[1:]), mode="L")


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400), form=st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"]))
def test_a_truncated_file_is_named(cut: int, form: str) -> None:
    whole = encoded(Image.fromarray(np.kron(RAMP, np.ones((4, 4), dtype=np.uint8))), form)
    cut = min(cut, len(whole) - 20)
    try:
        found = open_picture(whole[:cut], mode="L", where="cut")
    except InputError as error:
        assert str(error).startswith("cut: the picture cannot be read")
    else:  # What was cut off is no part of the pixels.
        assert (found == open_picture(whole, mode="L")).all()


def test_a_huge_picture_is_refused_before_it_is_made() -> None:
    with pytest.raises(InputError, match=r"too large.*Scale it down"):
        open_picture(png_header(40_000, 40_000), mode="L")


def folder_of(place: Path, classes: tuple[str, ...] = ("ant", "bee"), pictures: int = 3) -> Path:
    for name in classes:
        (place / name).mkdir(parents=True)
        for number in range(pictures):
            Image.fromarray(np.roll(RAMP, number)).save(place / name / f"{number}.png")
    return place


STRAYS = (
    ".DS_Store", "ant/.DS_Store", "ant/Thumbs.db", "bee/desktop.ini", "bee/notes.txt", "bee/._0.png",
    "ant/.ipynb_checkpoints/0-checkpoint.png", "ant/more/.cache/x.jpg", "bee/@eaDir/0.png/THUMB_M.jpg",
    "__MACOSX/ant/._0.png", ".git/x.png", "ant/0.png.json", "labels.csv",
)  # fmt: skip


@pytest.mark.parametrize("stray", STRAYS)
def test_what_systems_and_editors_leave_behind_is_passed_over(stray: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data")
    before = read_image_folder(folder)
    (folder / stray).parent.mkdir(parents=True, exist_ok=True)
    (folder / stray).write_bytes(b"\0\5\x16\7")
    after = read_image_folder(folder)
    assert after.classes == before.classes == ("ant", "bee")
    assert after.inputs.equal(before.inputs)


def test_nested_linked_and_upper_case(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data")
    other = folder_of(tmp_path / "other", ("cow",))
    (folder / "ant" / "deep" / "er").mkdir(parents=True)
    (folder / "ant" / "0.png").rename(folder / "ant" / "deep" / "er" / "0.PNG")
    (folder / "cow").symlink_to(other / "cow")
    (folder / "bee" / "linked").symlink_to(other / "cow")
    found = read_image_folder(folder, mode="L")
    assert found.classes == ("ant", "bee", "cow")
    assert found.targets.bincount().tolist() == [3, 6, 3]


def test_a_link_in_a_circle_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data")
    (folder / "bee" / "up").symlink_to(folder)
    with pytest.raises(InputError, match="the link leads to a folder above itself"):
        read_image_folder(folder)


@pytest.mark.parametrize("place", ["cow", "bee/more", "bee/7.png"])
def test_a_link_that_leads_nowhere_is_named(place: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data")
    (folder / place).symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=rf"{place}: the link leads nowhere"):
        read_image_folder(folder)


def test_a_pipe_under_a_pictures_name_is_not_waited_for(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data")
    os.mkfifo(folder / "ant" / "9.png")
    assert len(read_image_folder(folder)) == 6


def test_pictures_that_are_not_read_are_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data")
    (folder / "ant" / "holiday.HEIC").write_bytes(b"x")
    with pytest.raises(
        InputError, match=r"holiday.HEIC: 1 files of the class are of a kind that is not read"
    ):
        read_image_folder(folder)
    (folder / "ant" / "holiday.HEIC").rename(folder / "ant" / "page.png")
    with pytest.raises(InputError, match=r"page.png: the picture cannot be read.*delete it"):
        read_image_folder(folder)


def test_accents_taken_apart_change_no_order(tmp_path: Path) -> None:
    apart, together = "e\u0301", "\u00e9"
    first = read_image_folder(folder_of(tmp_path / "a", ("zebra", apart)))
    second = read_image_folder(folder_of(tmp_path / "b", (together, "zebra")))
    assert first.classes == second.classes == ("zebra", together)


@pytest.mark.parametrize(
    "names",
    [("Training", "Testing"), ("train", "testing"), ("train", "val", "valid"), ("test", "validation")],
)
def test_splits_of_other_names_are_not_taken_for_classes(names: tuple[str, ...], tmp_path: Path) -> None:
    for name in names:
        folder_of(tmp_path / name)
    with pytest.raises(InputError, match="must be called train, validation"):
        from_folder(tmp_path, model=mlp, goal=0.1)


def test_pictures_that_use_12_of_16_bits_are_refused_together(tmp_path: Path) -> None:
    for name, factor in (("cat", 16), ("dog", 8)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(encoded(Image.fromarray(RAMP.astype(np.uint16) * factor)))
    with pytest.raises(
        InputError, match=r"2 pictures have 16 bits .*no value above 4,032.*Scale all by one factor"
    ):
        read_image_folder(tmp_path, mode="L")
    (tmp_path / "dog" / "2.png").write_bytes(encoded(Image.fromarray(RAMP.astype(np.uint16) * 257)))
    read = read_image_folder(tmp_path, mode="L").inputs
    assert read.shape == (3, 1, 8, 8)
    assert np.array_equal(read[2, 0].numpy(), RAMP)
