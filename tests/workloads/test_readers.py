from __future__ import annotations

import gzip
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headrace import random
from headrace.errors import InputError
from headrace.workloads.mnist import read_images
from headrace.workloads.movie_reviews import read_sentences
from headrace.workloads.readers.cifar import read_binary, read_png
from headrace.workloads.readers.idx import read_idx
from headrace.workloads.readers.image_folder import read_image_folder
from headrace.workloads.readers.pictures import open_picture

from .made import write_idx

VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_idx_is_read_row_major(tmp_path: Path, name: str) -> None:
    write_idx(tmp_path / name, VALUES)
    assert np.array_equal(read_idx(tmp_path / name), VALUES)


def test_idx_numbers_are_big_endian(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    path.write_bytes(bytes([0, 0, 0x0C, 1, 0, 0, 0, 2]) + (258).to_bytes(4, "big") + b"\xff\xff\xff\xfe")
    assert read_idx(path).tolist() == [258, -2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw[:-1], "truncated: 40 bytes are needed for 2 x 3 x 4 values; got '39 bytes'"),
        (lambda raw: raw + b"x", "longer than its header says"),
        (lambda raw: raw[:9], "truncated in the header of 3 axes"),
        (lambda raw: b"\1" + raw[1:], "magic number is wrong; got '01000803'"),
        (lambda raw: raw[:2] + b"\7" + raw[3:], "magic number is wrong"),
        (lambda raw: b"", "magic number is wrong"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path: Path, change, message: str) -> None:
    path = tmp_path / "train-images"
    write_idx(path, VALUES)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        gzip.compress(bytes([0, 0, 8, 1, 0, 0, 3, 232]) + bytes(1000), mtime=0)[:-12],
        b"\x1f\x8b\x08\0\0\0\0\0\0\0zz",
    ],
    ids=["truncated", "no deflate"],
)
def test_damaged_gzip_is_named(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"images\.gz: the file cannot be read"):
        read_idx(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: the file cannot be read"):
        read_idx(tmp_path / "nowhere")


def cifar_images(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = random.generator(0, "made", "cifar")
    return rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8), (np.arange(count) % 10).astype(np.uint8)


def test_cifar_binary_is_label_then_channels(tmp_path: Path) -> None:
    images, labels = cifar_images(8)
    records = np.concatenate([labels[:, None], images.reshape(8, -1)], axis=1)
    records[:4].tofile(tmp_path / "data_batch_1.bin")
    records[4:].tofile(tmp_path / "data_batch_2.bin")
    data = read_binary(tmp_path, ("data_batch_1", "data_batch_2"))
    assert np.array_equal(data.inputs.numpy(), images)
    assert data.targets.tolist() == labels.tolist()
    assert data.classes is not None
    assert data.classes[6] == "frog"
    records[4:7].tofile(tmp_path / "data_batch_2.bin")
    with pytest.raises(InputError, match=r"data_batch_2\.bin: data_batch_1\.bin holds 4 images.*got 3"):
        read_binary(tmp_path, ("data_batch_1", "data_batch_2"))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (bytes(3072), "records of 3073 bytes; got '3072 bytes'"),
        (b"", "whole"),
        (b"\x0a" + bytes(3072), "over 9; got 10"),
    ],
)
def test_damaged_cifar_binary_is_named(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "test_batch.bin").write_bytes(raw)
    with pytest.raises(InputError, match=message) as caught:
        read_binary(tmp_path, ("test_batch",))
    assert "test_batch.bin" in str(caught.value)


def write_cifar_png(folder: Path, images: np.ndarray, labels: list[int]) -> None:
    """One image a row: row r, column y * 32 + x is pixel (y, x) of image r."""
    rows = images.transpose(0, 2, 3, 1).reshape(len(images), 1024, 3)
    Image.fromarray(rows).save(folder / "test_batch.png")
    (folder / "test_lables.json").write_text(json.dumps(labels))


def test_cifar_png_is_one_image_a_row(tmp_path: Path) -> None:
    images, labels = cifar_images(5)
    write_cifar_png(tmp_path, images, labels.tolist())
    data = read_png(tmp_path, train=False)
    assert np.array_equal(data.inputs.numpy(), images)
    assert data.targets.tolist() == labels.tolist()


@pytest.mark.parametrize("labels", [[0] * 4, [0, 1, 2, 3, 10], [0.5] * 5])
def test_cifar_png_with_wrong_labels_is_refused(tmp_path: Path, labels: list[int]) -> None:
    write_cifar_png(tmp_path, cifar_images(5)[0], labels)
    with pytest.raises(InputError, match=r"test_lables\.json: 5 labels from 0 to 9"):
        read_png(tmp_path, train=False)


def save(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (3, 2)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_classes_of_an_image_folder_are_numbered_by_name(tmp_path: Path) -> None:
    save(tmp_path / "b-cat" / "1.png", (1, 2, 3))
    save(tmp_path / "a-dog" / "x.PNG", (4, 5, 6))
    save(tmp_path / "a-dog" / "deeper" / "y.bmp", (7, 8, 9))
    (tmp_path / "a-dog" / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden").mkdir()
    data = read_image_folder(tmp_path)
    assert data.classes == ("a-dog", "b-cat")
    assert data.targets.tolist() == [0, 0, 1]
    assert data.inputs.shape == (3, 3, 2, 3)
    assert data.inputs[:, :, 0, 0].tolist() == [[7, 8, 9], [4, 5, 6], [1, 2, 3]]
    assert data.inputs.dtype == torch.uint8


def test_pictures_are_scaled_and_made_grey_when_asked(tmp_path: Path) -> None:
    save(tmp_path / "a" / "1.png", (10, 10, 10), size=(8, 4))
    save(tmp_path / "b" / "1.png", (20, 20, 20), size=(5, 5))
    with pytest.raises(
        InputError, match=r"1\.png: the picture is not as large as the first, 4 x 8; got '5 x 5'"
    ):
        read_image_folder(tmp_path)
    data = read_image_folder(tmp_path, mode="L", size=(6, 7))
    assert data.inputs.shape == (2, 1, 6, 7)
    assert data.inputs[:, 0, 3, 3].tolist() == [10, 20]


def test_what_is_no_image_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the folder does not exist"):
        read_image_folder(tmp_path / "none")
    with pytest.raises(InputError, match="one per class"):
        read_image_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: the class has no pictures"):
        read_image_folder(tmp_path)


def test_a_class_that_training_does_not_know_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "fish" / "1.png", (1, 1, 1))
    with pytest.raises(InputError, match="no class fish"):
        read_image_folder(tmp_path, classes=("cat", "dog"))


def test_a_known_class_without_pictures_keeps_the_numbers_of_the_others(tmp_path: Path) -> None:
    save(tmp_path / "dog" / "1.png", (1, 1, 1))
    assert read_image_folder(tmp_path, classes=("cat", "dog")).targets.tolist() == [1]


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save(path, (1, 2, 3), size=(64, 64))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=r"a\.png: the picture cannot be read"):
        open_picture(path, mode="RGB")


def test_a_batch_of_cifar_that_is_a_copy_of_another_is_named(tmp_path: Path) -> None:
    for number in range(1, 6):
        records = np.full((3, 3073), number, dtype=np.uint8)
        (tmp_path / f"data_batch_{number}.bin").write_bytes(records.tobytes())
    assert len(read_binary(tmp_path)) == 15
    shutil.copy(tmp_path / "data_batch_2.bin", tmp_path / "data_batch_4.bin")
    with pytest.raises(
        InputError, match=r"data_batch_4\.bin: this file and data_batch_2\.bin hold the same images"
    ):
        read_binary(tmp_path)


def test_idx_files_without_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(b"\0\0\x08\x03" + struct.pack(">III", 0, 28, 28))
    (tmp_path / "l").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 0))
    with pytest.raises(InputError, match="i: the file holds no images"):
        read_images(tmp_path / "i", tmp_path / "l", ("a", "b"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_film_reviews_have_a_line_each_with_any_line_ends(end: str, tmp_path: Path) -> None:
    (tmp_path / "mr.txt").write_bytes(f"0 dull\u2028film{end}1 fine{end}1 good\x85".encode())
    assert read_sentences(tmp_path / "mr.txt") == (["dull\u2028film", "fine", "good\x85"], [0, 1, 1])


def test_a_picture_that_was_not_loaded_whole_is_named(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "cat" / "1.png")
    (tmp_path / "cat" / "2.png.crdownload").write_bytes(b"x")
    with pytest.raises(InputError, match="1 files of the class are of a kind that is not read"):
        read_image_folder(tmp_path)
