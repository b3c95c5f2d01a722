"""`experiment.toml` and `search.toml` as a folder keeps them: what is no longer as written is called that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from experiments.hostile import alterations
from headrace.cli.app import execute
from headrace.errors import DamagedError, InputError
from headrace.specs.document import Document
from headrace.store.experiments import EXPERIMENT, create, read_experiment
from headrace.store.searches import SEARCH, read_asked, write_asked

Kept = tuple[Path, Callable[[Path], Document], Document]


@pytest.fixture(params=["experiment", "search"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    """The file in its folder, how it is read, and what was asked."""
    make: Any = request.getfixturevalue("experiment" if request.param == "experiment" else "spec")
    asked = make({})
    if request.param == "experiment":
        create(tmp_path, asked)
        return tmp_path / EXPERIMENT, read_experiment, asked
    write_asked(tmp_path, asked)
    return tmp_path / SEARCH, read_asked, asked


def test_any_altered_file_is_called_altered_and_not_badly_written(
    kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    path, read, asked = kept
    assert read(path.parent) == asked
    whole = path.read_bytes()
    for name, content in alterations(whole, Random(0), 60):
        path.write_bytes(content)
        with pytest.raises(DamagedError, match=r"(was|or) altered"):
            raise AssertionError(f"{name}: {read(path.parent)}")
    path.write_bytes(b"\n")
    assert execute(["status", str(path.parent)]) == 2
    assert "is truncated, was altered" in capsys.readouterr().err
    path.unlink()
    with pytest.raises(InputError, match="does not exist") as found:
        read(path.parent)
    assert not isinstance(found.value, DamagedError)


def test_one_of_before_is_read_without_a_seal_and_what_is_left_of_one_is_refused(kept: Kept) -> None:
    path, read, asked = kept
    text = path.read_text().partition("\n")[2]
    path.write_text(text)
    assert read(path.parent) == asked
    half = text[: len(text) // 2]
    for left in (half, half.rpartition("\n[")[0], text.replace("seed", "sced", 1), text.partition("\n[")[2]):
        path.write_text(left)
        with pytest.raises(DamagedError, match=r"truncated, was altered, or is of another version .*\("):
            read(path.parent)
