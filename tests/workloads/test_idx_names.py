"""MNIST as mirrors, browsers and systems leave it; and idx files that claim more than they hold."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from headrace.errors import InputError
from headrace.workloads.locations import IDX_FILES, file_in, require
from headrace.workloads.mnist import mnist_splits
from headrace.workloads.readers.idx import read_idx

from .made import write_idx, write_mnist

VALUES = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mnist")
    write_mnist(folder, train=5_020, test=20, ending="")
    return folder


@pytest.mark.parametrize(
    "spelt",
    [
        lambda name: name.replace("-idx", ".idx"),
        lambda name: name.replace("-idx", ".idx") + ".gz",
        lambda name: name.upper(),
        lambda name: "raw/" + name,
        lambda name: name + ".GZ",
    ],
)
def test_the_four_files_by_their_other_names(spelt, whole: Path, tmp_path: Path) -> None:
    for name in IDX_FILES:
        path = tmp_path / spelt(name)
        path.parent.mkdir(exist_ok=True)
        raw = (whole / name).read_bytes()
        path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    splits = mnist_splits("mnist", tmp_path)
    assert (len(splits.train), len(splits.validation)) == (20, 5_000)
    assert splits.train.inputs.equal(mnist_splits("mnist", whole).train.inputs)


def test_the_exact_name_comes_first(tmp_path: Path) -> None:
    for name in ("A-IDX1-ubyte", "a.idx1-ubyte.gz", "a-idx1-ubyte.gz", "a-idx1-ubyte"):
        (tmp_path / name).write_bytes(b"x")
    assert file_in(tmp_path, "a-idx1-ubyte") == tmp_path / "a-idx1-ubyte"
    (tmp_path / "a-idx1-ubyte").unlink()
    assert file_in(tmp_path, "a-idx1-ubyte") == tmp_path / "a-idx1-ubyte.gz"


def test_a_missing_file_and_what_is_there_are_named(whole: Path, tmp_path: Path) -> None:
    for name in IDX_FILES[:3]:
        (tmp_path / name).symlink_to(whole / name)
    (tmp_path / "t10k-labels.txt").write_text("1 2 3")
    with pytest.raises(
        InputError, match=r"t10k-labels-idx1-ubyte .* missing; there are t10k-images.*t10k-labels\.txt"
    ):
        mnist_splits("mnist", tmp_path)


def test_a_data_set_in_part_is_named(no_data: Path) -> None:
    write_mnist(no_data / "mnist" / "raw", train=10, test=10)
    (no_data / "mnist" / "raw" / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(
        InputError, match=r"'mnist' is missing; .*mnist/raw lacks t10k-images-idx3-ubyte\. How"
    ):
        require("mnist")


def test_too_few_images_for_the_validation_split(tmp_path: Path) -> None:
    write_mnist(tmp_path, train=4_000, test=20)
    with pytest.raises(InputError, match=r"train-images.*more than 5,000 training images.*got 4000"):
        mnist_splits("mnist", tmp_path)


def test_the_content_says_whether_it_is_gzipped(tmp_path: Path) -> None:
    write_idx(tmp_path / "packed.gz", VALUES)
    (tmp_path / "packed.gz").rename(tmp_path / "packed")
    write_idx(tmp_path / "unpacked", VALUES)
    (tmp_path / "unpacked").rename(tmp_path / "unpacked.gz")
    for name in ("packed", "unpacked.gz"):
        assert np.array_equal(read_idx(tmp_path / name), VALUES)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw + bytes(3), "longer than its header says: 76 bytes"),
        (lambda raw: raw[:-3], "truncated: 76 bytes are needed for 5 x 3 x 4 values; got '73 bytes'"),
        (lambda raw: raw[:4] + b"\xff" * 12 + raw[16:], r"truncated: \d+ bytes are needed for 4294967295 x "),
        (lambda raw: b"\0\0\x08\0" + raw[4:], "magic number is wrong"),
        (lambda raw: b"\0\0\x08\xff" + bytes(2000), "magic number is wrong"),
        (lambda raw: b"<!DOCTYPE html>", "magic number is wrong.*web page"),
    ],
)
def test_headers_that_do_not_fit_the_content(change, words: str, ending: str, tmp_path: Path) -> None:
    raw = bytes([0, 0, 8, 3]) + struct.pack(">3I", *VALUES.shape) + VALUES.tobytes()
    path = tmp_path / f"images{ending}"
    path.write_bytes(gzip.compress(change(raw)) if ending else change(raw))
    with pytest.raises(InputError, match=rf"images(\.gz)?: .*{words}"):
        read_idx(path)


@pytest.mark.parametrize("claimed", [10, 2_000_000_000])
def test_a_small_file_takes_little_memory_whatever_it_unpacks_to(claimed: int, tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(bytes([0, 0, 8, 1]) + struct.pack(">I", claimed))
        for _ in range(600):
            file.write(bytes(1 << 20))
    script = (
        "import resource, sys; from headrace.errors import InputError\n"
        "from headrace.workloads.readers.idx import read_idx\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_idx(sys.argv[1])\n"
        "except InputError as error: print(error, file=sys.stderr)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    found = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert "bomb.gz" in found.stderr
    assert int(found.stdout) * 1024 < 64 << 20
