"""Damaged data files of every kind: each is read or refused by name, fast and in little memory."""

from __future__ import annotations

import gzip
import io
import json
import random
import resource
import shutil
import struct
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from headrace.errors import InputError
from headrace.workloads.movie_reviews import read_sentences
from headrace.workloads.readers.cifar import read_binary, read_png
from headrace.workloads.readers.hugging_face import read_hugging_face
from headrace.workloads.readers.idx import read_idx
from headrace.workloads.readers.image_folder import read_image_folder

MOST_SECONDS, MOST_BYTES = 20.0, 1 << 30


def encoded(picture: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return buffer.getvalue()


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8))
IDX = bytes([0, 0, 8, 3]) + struct.pack(">3I", 5, 3, 4) + bytes(60)
ROWS = pl.DataFrame({"image": [{"bytes": encoded(NOISE, "PNG"), "path": None}] * 3, "label": [0, 1, 0]})
FEATURES = {"features": {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}}


def table(write: Callable[[pl.DataFrame, io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(ROWS, buffer)
    return buffer.getvalue()


SAVED = {
    "data-00000-of-00001.arrow": table(pl.DataFrame.write_ipc_stream),
    "state.json": json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}).encode(),
    "dataset_info.json": json.dumps(FEATURES).encode(),
}
STRIPE = encoded(NOISE.resize((1024, 2)), "PNG")
FORMS = ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM")
Files = dict[str, bytes]
KINDS: dict[str, tuple[Files, Callable[[Path], object]]] = {
    **{
        f"picture {form}": ({f"a/1.{form.lower()}": encoded(NOISE, form)}, read_image_folder)
        for form in FORMS
    },
    "idx": ({"images": IDX}, lambda folder: read_idx(folder / "images")),
    "idx.gz": ({"images.gz": gzip.compress(IDX)}, lambda folder: read_idx(folder / "images.gz")),
    "parquet": ({"train.parquet": table(pl.DataFrame.write_parquet)}, read_hugging_face),
    "saved": (SAVED, read_hugging_face),
    "cifar": ({"test_batch.bin": bytes(2 * 3073)}, lambda folder: read_binary(folder, ("test_batch",))),
    "cifar png": ({"test_batch.png": STRIPE, "test_lables.json": b"[3, 4]"},
                  lambda folder: read_png(folder, train=False)),
    "sentences": ({"mr": b"0 a b\n1 c d\n" * 5}, lambda folder: read_sentences(folder / "mr")),
}  # fmt: skip


def mutated(draw: random.Random, content: bytes) -> bytes:
    """The bytes with one to five changes: a byte, a stretch taken out or put in, four bytes of a length."""
    found = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5))):
        place = draw.randrange(len(found) + 1)
        match draw.randrange(4):
            case 0:
                found[place : place + 1] = draw.randbytes(1)
            case 1:
                del found[place : place + draw.randrange(1, 20)]
            case 2:
                found[place:place] = draw.randbytes(draw.randrange(1, 9))
            case _:
                found[place : place + 4] = draw.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
    return bytes(found)


def outcome(kind: str, draw: random.Random, folder: Path) -> str:
    files, read = KINDS[kind]
    chosen = draw.choice(sorted(files))
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mutated(draw, content) if name == chosen else content)
    began = time.monotonic()
    try:
        read(folder)
    except InputError as error:
        assert str(folder) in str(error), f"names no file: {error}"
        return "refused"
    finally:
        assert time.monotonic() - began < MOST_SECONDS
        shutil.rmtree(folder)
    return "read"


def try_all(count: int, folder: Path) -> Counter[tuple[str, str]]:
    draw, kinds = random.Random(7), sorted(KINDS)
    tried: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        kind = kinds[number % len(kinds)]
        tried[kind, outcome(kind, draw, folder / "data")] += 1
    return tried


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_mutated_is_read_when_it_is_whole(kind: str, tmp_path: Path) -> None:
    files, read = KINDS[kind]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    read(tmp_path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    assert try_all(420, tmp_path).total() == 420


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_ten_thousand_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tried = try_all(10_000, tmp_path)
    print(f"10,000 damaged data files, no traceback: {dict(tried)}")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_BYTES
