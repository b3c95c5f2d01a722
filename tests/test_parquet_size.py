"""A Parquet file is measured and checked before any of it is decoded."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from headrace.errors import DamagedError, InputError
from headrace.parquet_size import decoded_bytes
from headrace.sealed_tables import parquet, parquet_content


def content(frame: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("rows", [0, 1, 3000])
def test_the_footer_tells_about_what_the_columns_take(rows: int) -> None:
    frame = pl.DataFrame({"a": np.arange(rows), "b": np.ones(rows), "c": np.zeros(rows, dtype=np.int32)})
    assert rows * 20 <= decoded_bytes(content(frame)) <= rows * 45 + 1000


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"a": np.zeros(40_000_000, dtype=np.int32)}),
        pl.DataFrame({"a": ["x" * 3_000_000] * 60}),
        pl.DataFrame({"a": ["x" * 300_000 + str(n) for n in range(500)]}),
        pl.DataFrame({"a": [[7] * 12_000_000]}),
    ],
    ids=["one value", "one text", "texts", "a list"],
)
def test_a_small_file_that_stands_for_much_is_refused(frame: pl.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(content(frame))
    assert path.stat().st_size < 300_000
    with pytest.raises(InputError, match=r"the file has .* bytes and decodes to"):
        parquet(path, "the table", "Make it again.")


def test_no_altered_byte_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, whole = tmp_path / "t.parquet", parquet_content(pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}), {})
    path.write_bytes(whole)
    assert parquet(path, "the table", "Make it again.")[0]["b"].to_list() == ["x", "y"]
    monkeypatch.setattr(pl, "read_parquet", None)
    rng = np.random.default_rng(0)
    stamp = whole.index(b"sha256 of the bytes: ")
    for place, bit in zip(rng.integers(0, len(whole), 300), rng.integers(0, 8, 300), strict=True):
        if stamp <= place < stamp + 21:
            continue
        altered = bytearray(whole)
        altered[place] ^= 1 << int(bit)
        path.write_bytes(altered)
        with pytest.raises(DamagedError, match="cannot be read"):
            parquet(path, "the table", "Make it again.")


def test_no_footer_ends_in_anything_but_an_error() -> None:
    whole, rng = content(pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})), np.random.default_rng(1)
    for _ in range(2000):
        altered = bytearray(whole)
        for place in rng.integers(len(whole) - 500, len(whole), 3):
            altered[place] = int(rng.integers(0, 256))
        try:
            decoded_bytes(bytes(altered))
        except ValueError:
            continue
    for short in (b"", b"PAR1", b"PAR1PAR1", b"\xff" * 8 + b"PAR1", b"\x00" * 12 + b"PAR1"):
        with pytest.raises(ValueError, match="does not end as Parquet files do"):
            decoded_bytes(short)
