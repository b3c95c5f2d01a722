"""A sealed file that was altered anywhere is refused, and one that never had a seal can still be read."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.errors import DamagedError
from headrace.files import StorageError
from headrace.records import Record
from headrace.sealed import (
    finish_pair,
    read_record,
    read_table_of,
    read_toml,
    sealed,
    unsealed,
    write_pair,
    write_record,
    write_toml,
)
from headrace.sealed_tables import plain_parquet, read_table, write_table

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


class Named(Record):
    """A record with texts and numbers of every kind."""

    name: str
    values: dict[str, float]


@settings(max_examples=50, deadline=None)
@given(name=st.text(st.characters(exclude_categories=())), value=st.floats())
@example(name="\udcff", value=float("nan"))
def test_a_record_is_read_as_it_was_written_whatever_its_texts_and_numbers(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: float
) -> None:
    """In pydantic's layout, or in the standard library's, which takes a folder's name that is not Unicode."""
    path, record = tmp_path_factory.mktemp("record") / "x", Named(name=name, values={"a": value})
    write_record(path, record, body=json.dumps(record.model_dump(mode="json")).encode())
    assert repr(read_record(path, Named, fix="", older=False)) == repr(record)
    if name.isprintable() and np.isfinite(value):
        write_record(path, record, indent=1)
        assert read_record(path, Named, fix="", older=False) == record


def test_a_record_that_is_nested_without_end_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(sealed(b'{"name":' + b"[" * 200_000))
    with pytest.raises(DamagedError, match="is truncated or was altered"):
        read_record(tmp_path / "x", Named, fix="Fix it.")


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


TOML = 'seed = 3\n\n[workload]\nname = "digits"\n'


def test_sealed_toml_is_toml_and_every_altered_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    write_toml(path, TOML)
    whole = path.read_bytes()
    assert read_toml(path) == TOML
    assert tomllib.loads(whole.decode()) == tomllib.loads(TOML)
    changed = [whole[:at] for at in range(1, len(whole))]
    for at, byte in enumerate(whole):
        changed += [whole[:at] + bytes([other]) + whole[at + 1 :] for other in {0, 32, 35, 255} - {byte}]
        changed.append(whole[:at] + whole[at + 1 :])
    # A file cut off within the word "sha256" is an empty one with a comment, and refused as that.
    for content in changed[11:]:
        path.write_bytes(content)
        with pytest.raises(DamagedError, match="was altered since Headrace wrote it"):
            read_toml(path)


@pytest.mark.parametrize("text", [TOML, f"# my own notes\n{TOML}", "", "[workload]\n"])
def test_toml_from_before_there_were_seals_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    assert read_toml(tmp_path / "x") == text


class Numbered(Record):
    """The record of a pair: which it is, and its table's checksum."""

    table: str
    number: int


TABLES = {number: plain_parquet({"number": np.array([number])}) for number in (1, 2)}


def test_a_pair_is_whole_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pair and one that replaces it, stopped before each write, rename and flush in turn."""
    record, table = tmp_path / "1.json", tmp_path / "1.parquet"

    def write(number: int) -> None:
        kept = Numbered(table=hashlib.sha256(TABLES[number]).hexdigest(), number=number)
        write_pair(record, kept, table, TABLES[number])

    def found() -> int | None:
        if not record.exists():
            return None
        kept = read_record(record, Numbered, fix="", older=False)
        assert kept is not None
        assert read_table_of(table, kept.table, fix="")["number"].to_list() == [kept.number]
        finish_pair(table, kept.table)
        assert table.read_bytes() == TABLES[kept.number]
        assert {path.name for path in tmp_path.iterdir()} <= {"1.json", "1.parquet"}
        return kept.number

    calls = {name: getattr(os, name) for name in ("open", "fsync", "rename")}
    seen: list[tuple[int | None, int | None]] = []
    stop_at, left = 0, 0

    def counted(name: str):
        def call(*args: object, **kwargs: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, "full")
            return calls[name](*args, **kwargs)

        return call

    finished = False
    while not finished:
        for path in tmp_path.iterdir():
            path.unlink()
        for number in (1, 2):
            before = found()
            left = stop_at if number == 1 + stop_at % 2 else 10**6
            with monkeypatch.context() as patch:
                for name in calls:
                    patch.setattr(os, name, counted(name))
                with contextlib.suppress(StorageError):
                    write(number)
                finished = (left > 0 and left < 10**5) or finished
            seen.append((before, found()))
            assert seen[-1][1] in (before, number)
        stop_at += 1
    assert {(1, 1), (1, 2), (None, None), (None, 1)} <= set(seen)
