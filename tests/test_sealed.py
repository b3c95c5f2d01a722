"""A sealed file that was altered anywhere is refused, and one that never had a seal can still be read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import DamagedError
from headrace.sealed import read_table, sealed, unsealed, write_table

BODIES = (b'{"a": 1}', b'{\n  "goal": 0.25,\n  "name": "digits"\n}\n', b'{"format":1,"records":[{"x":null}]}')


@pytest.mark.parametrize("body", BODIES)
def test_a_seal_leaves_json_and_comes_off_again(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "x").write_bytes(sealed(body))
    assert unsealed(tmp_path / "x") == body
    found = json.loads((tmp_path / "x").read_bytes())
    assert {key: value for key, value in found.items() if key != "sha256"} == json.loads(body)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("older", [False, True])
def test_every_altered_byte_and_every_truncation_is_found(tmp_path: Path, body: bytes, older: bool) -> None:
    whole = sealed(body)
    path = tmp_path / "x"
    changed = [whole[:at] for at in range(len(whole))]
    for at, byte in enumerate(whole):
        others = {0, 32, 34, 48, 92, byte ^ 1} - {byte}
        changed += [whole[:at] + bytes([other]) + whole[at + 1 :] for other in others]
        changed.append(whole[:at] + whole[at + 1 :])
    for content in changed:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"checksum|Expecting|decode|Invalid|Unterminated|Extra"):
            unsealed(path, older=older)


@pytest.mark.parametrize("body", BODIES)
def test_a_file_without_a_seal_is_read_where_such_files_were_written(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "x").write_bytes(body)
    assert unsealed(tmp_path / "x", older=True) == body
    with pytest.raises(ValueError, match="checksum"):
        unsealed(tmp_path / "x")


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.floats(width=32), min_size=1, max_size=5),
    place=st.integers(0),
    flip=st.integers(1, 255),
)
def test_an_altered_table_is_found_or_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], place: int, flip: int
) -> None:
    path = tmp_path_factory.mktemp("table") / "x.parquet"
    write_table(path, {"score": np.array(values, np.float32)}, {"member": "a"})
    frame, metadata = read_table(path, "the scores")
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= flip
    path.write_bytes(content)
    try:
        again = read_table(path, "the scores")
    except DamagedError:
        return
    assert again[0].equals(frame, null_equal=True)
    assert again[1] == metadata
