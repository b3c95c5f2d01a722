"""Step times that are read back: a changed digit is found, files from before checksums are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.errors import DamagedError
from headrace.store.throughput import THROUGHPUT, Throughput, Timing, read, write

MEASURED = Throughput(
    workload="digits",
    device="cpu",
    machine="m",
    parameters=650,
    timings=(Timing(optimizer="sgd", batch_size=8, steps_per_block=5, seconds_per_step=(0.25, 0.5)),),
)


def test_what_was_written_is_read_and_a_changed_digit_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, MEASURED)
    assert read(tmp_path) == MEASURED
    content = path.read_bytes()
    digits = [place for place, byte in enumerate(content) if chr(byte).isdigit()]
    for place in digits:
        other = b"1" if content[place : place + 1] == b"2" else b"2"
        path.write_bytes(content[:place] + other + content[place + 1 :])
        with pytest.raises(
            DamagedError,
            match=r"throughput\.json: is truncated or was altered.*Delete it, or run headrace throughput",
        ):
            read(tmp_path)


def test_files_from_before_checksums_are_read(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    (tmp_path / THROUGHPUT).write_text(MEASURED.model_dump_json(indent=2) + "\n")
    assert read(tmp_path) == MEASURED


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"{}", b"[" * 100_000, b"\xff", b'{"a": 1}',
     MEASURED.model_dump_json().replace("0.25", "-1").encode(),
     MEASURED.model_dump_json().replace("0.25", "NaN").encode(),
     MEASURED.model_dump_json().replace("0.25", "1e308").encode(), MEASURED.model_dump_json()[:-9].encode()],
)  # fmt: skip
def test_what_is_not_such_a_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / THROUGHPUT).write_bytes(content)
    with pytest.raises(DamagedError, match=r"throughput\.json: is truncated or was altered"):
        read(tmp_path)


def test_a_pipe_or_a_folder_of_that_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / THROUGHPUT)
    with pytest.raises(DamagedError, match="must be a file"):
        read(tmp_path)
