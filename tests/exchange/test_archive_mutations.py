"""Altered archives: each is imported whole, or refused with one error; nothing half-made is left."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import InputError
from headrace.exchange.archive import import_archive
from headrace.exchange.archive_export import export_archive

from .made_archive import make_archive

ODD: list[Any] = [
    None,
    True,
    "",
    "x",
    "../../x",
    "\u202e",
    -1,
    0,
    1.5,
    1e308,
    -1e308,
    10**400,
    2**63,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    {"a": {}},
    "COMPLETE",
    "1000",
    "\ud800",
]
CELLS = [
    "",
    "nan",
    "inf",
    "-inf",
    "-1",
    "1e308",
    "1_0",
    "0x1",
    "abc",
    '"',
    '"1,2"',
    "9" * 400,
    "é",
    "1.5",
    "\0",
    ";",
]


def change_json(draw: random.Random, path: Path) -> None:
    """Another value, a missing key or a key twice, at any depth."""
    content = json.loads(path.read_bytes())
    table = content
    while nested := [value for value in table.values() if isinstance(value, dict) and value]:
        if draw.random() < 0.4:
            break
        table = draw.choice(nested)
    key = draw.choice(sorted(table))
    if draw.random() < 0.2:
        del table[key]
    else:
        table[key] = draw.choice(ODD)
    text = json.dumps(content)
    path.write_text(text if draw.random() < 0.95 else text[:-1] + f', "{key}": 1}}')


def change_table(draw: random.Random, path: Path) -> None:
    """Another cell, rows that are exchanged, repeated or shorter, another header."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    row = draw.randrange(len(rows))
    match draw.randrange(5):
        case 0:
            rows[row][draw.randrange(len(rows[row]))] = draw.choice(CELLS)
        case 1:
            rows[0], rows[row] = rows[row], rows[0]
        case 2:
            rows.insert(draw.randrange(len(rows)), rows[row])
        case 3:
            del rows[row][draw.randrange(len(rows[row]))]
        case _:
            draw.shuffle(rows)
    path.write_text("\n".join(map(",".join, rows)) + "\n" * draw.randrange(3))


def change_bytes(draw: random.Random, path: Path) -> None:
    """Bytes that are altered, lost or added."""
    content = bytearray(path.read_bytes())
    match draw.randrange(4):
        case 0:
            content = content[: draw.randrange(len(content))]
        case 1:
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        case 2:
            at = draw.randrange(len(content))
            content[at:at] = draw.randbytes(draw.choice([1, 10, 1000]))
        case _:
            content = draw.choice(
                [b"", b"\n", b"[" * 100_000, b'{"a":' * 100_000, b"\x1f\x8b", b"\0" * 100_000]
            )
    path.write_bytes(content)


def change_place(draw: random.Random, path: Path) -> None:
    """A file or folder that is missing, elsewhere, a link, a pipe, or of another kind."""
    path = draw.choice([path, path.parent, path.parent.parent, path.parent])
    folder = path.is_dir()
    match draw.randrange(6):
        case 0:
            shutil.rmtree(path) if folder else path.unlink()
        case 1:
            path.rename(path.with_name(draw.choice(["7", "007", "-1", "x", ".hidden", "1e3", "²"])))
        case 2:
            copy = path.with_name(draw.choice(["8", "99", "copy"]))
            shutil.copytree(path, copy) if folder else shutil.copy(path, copy)
        case 3:
            shutil.rmtree(path) if folder else path.unlink()
            path.symlink_to(draw.choice(["/etc/passwd", "/dev/zero", "/", "..", path.name, "/nowhere"]))
        case 4:
            shutil.rmtree(path) if folder else path.unlink()
            os.mkfifo(path) if draw.random() < 0.5 else path.mkdir()
        case _:
            inner = path.parent / "deeper"
            inner.mkdir()
            path.rename(inner / path.name)


ALL = ("study.json", "metadata.json", "measurements.csv")
KINDS = {"json": ALL[:2], "table": ALL[2:], "bytes": ALL, "place": ALL}


def mutated(draw: random.Random, root: Path) -> str:
    """Alter one thing; returns which kind."""
    kind, names = draw.choice(sorted(KINDS.items()))
    paths = sorted(path for path in root.rglob("*.*") if path.name in names and path.is_file())
    if paths:
        change = {"json": change_json, "table": change_table, "bytes": change_bytes, "place": change_place}
        change[kind](draw, draw.choice([path for path in paths if not path.is_symlink()]))
    return kind


def outcome(root: Path, here: Path) -> str:
    """Import what can be imported, and export it again; the rest is refused and leaves nothing."""
    before = sorted(here.iterdir())
    try:
        stored = import_archive(root, here / "in", goal=0.1)
    except InputError as error:
        assert sorted(here.iterdir()) == before, "something half-made was left"
        assert str(root) in str(error) and len(str(error)) < 3000
        return "refused"
    assert stored.measurements.height > 0
    export_archive(stored, here / "out")
    assert sorted(set(here.iterdir()) - set(before)) == [here / "in", here / "out"]
    return "imported"


def try_mutations(numbers: range, tmp_path: Path) -> Counter[str]:
    whole = make_archive(tmp_path / "whole")
    found: Counter[str] = Counter()
    for number in numbers:
        here = tmp_path / str(number)
        root = here / "source" / whole.relative_to(tmp_path / "whole")
        shutil.copytree(whole, root)
        draw = random.Random(number)
        kind = mutated(draw, root)
        try:
            found[outcome(root, here)] += 1
        except BaseException as error:
            error.add_note(f"mutation {number}: {kind}, left in {here}")
            raise
        shutil.rmtree(here)
    return found


def test_altered_archives_are_imported_whole_or_refused(tmp_path: Path) -> None:
    found = try_mutations(range(60), tmp_path)
    assert found["refused"] > 30 and found["imported"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_a_thousand_altered_archives(tmp_path: Path, part: int) -> None:
    found = try_mutations(range(1000 + 250 * part, 1250 + 250 * part), tmp_path)
    print(f"250 altered archives: {dict(found)}, 0 tracebacks, 0 half-made folders")
    assert found["refused"] > 125
