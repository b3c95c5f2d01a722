"""Folders that an earlier version made are reported, kept and finished to the same bytes, except for words.

`fixtures/folders.tar.xz` holds an experiment (two policies, a subset file, checkpoints, portraits) and two
searches (one with another model in the end, one with people's answers), finished and interrupted; made by
`make_folders.py`. Only measured times, and the seals over them, may differ (`comparing.TIMES`); the lock and
the file of the running process are no part of the comparison (`comparing.OF_A_PROCESS`).

Sentences are improved from version to version, so they may differ: the texts of results.json that contain a
blank, pages, and what is drawn, which must only be there. Everything else of results.json, the CSV files of
the figures and all that is stored must stay; and a second report gives the bytes of the first.

Bytes are demanded where `folders.probe` is what it was when the folders were made: there the same processor
instructions round the same way, and what writes the files has the same versions. Elsewhere everything
discrete must still be equal and floats to 1e-4 of their size; pages and figures, which other libraries draw
there, are only made. Another version of torch or of Headrace is accepted as a user would accept it, and the
folder must then come to its end: make the folders again with a new version.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import signal
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from matplotlib.figure import Figure
from safetensors.numpy import load_file
from tests.house import comparing, folders
from tests.house.folders import ANSWERS, EXPERIMENT, PEOPLE, TRANSFER

FIXTURES = Path(__file__).parent / "fixtures"
OF_VERSIONS = frozenset({"fingerprint", "changes", *comparing.TIMES})
"""Keys that depend on a version, or on the time: left out on machines that round otherwise."""
DIGEST = re.compile("[0-9a-f]{64}")
"""What depends on the last bit of a float."""

VERSIONS = {"torch", "headrace"}
"""What a user must accept when it changes: the names of a search's runs hold it, and results tell it."""

Call = Callable[..., None]


@pytest.fixture(scope="session")
def changed() -> set[str]:
    """What of the probe is not as it was when the folders were made."""
    before, now = json.loads((FIXTURES / "probe.json").read_text()), folders.probe()
    return {name for name in before if before[name] != now[name]}


@pytest.fixture
def exact(changed: set[str]) -> bool | None:
    """Whether the same bytes are demanded; None where only an end: the folder is of another version."""
    return None if changed & VERSIONS else not changed


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The stored folders, with the files that they are of."""
    with tarfile.open(FIXTURES / "folders.tar.xz") as tar:
        tar.extractall(tmp_path, filter="data")
    asked = (tmp_path / f"{EXPERIMENT}-finished" / "experiment.toml").read_text()
    named = re.search(rf'"(/[^"]*)/{folders.SUBSET_FILE}"', asked)
    assert named, "an experiment's folder names the place of its subset file"
    for path in (*tmp_path.glob("*/experiment.toml"), *tmp_path.glob("*/report.html")):
        _moved(path, Path(named[1]), tmp_path)
    return tmp_path


def _moved(path: Path, before: Path, place: Path) -> None:
    """Let a file name the subset file where it lies now, as if the folder had been made here."""
    content = path.read_bytes().replace(bytes(before), bytes(place))
    if path.suffix == ".toml":
        head, _, body = content.partition(b"\n")
        content = b"# sha256: " + hashlib.sha256(body).hexdigest().encode() + head[74:] + b"\n" + body
    path.write_bytes(content)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, changed: set[str]) -> Iterator[Call]:
    """The command line, in this process; its workers are processes of their own."""
    from headrace.cli import main

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str, trains: bool = False) -> None:
        accepted = ["--accept-change", "other versions"] if trains and changed & VERSIONS else []
        with pytest.raises(SystemExit) as end:
            main([*arguments, *accepted])
        assert end.value.code == 0

    yield call
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def drawn_as_svg(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the three forms of a figure only one is drawn: the others take most of a report's time."""
    _draw(monkeypatch, "svg")


def _draw(monkeypatch: pytest.MonkeyPatch, *forms: str) -> None:
    savefig = Figure.savefig

    def some(figure: Figure, file: Any, *, format: str, **named: Any) -> None:
        if format in forms:
            savefig(figure, file, format=format, **named)
        else:
            file.write(comparing.EMPTY_SVG)

    monkeypatch.setattr(Figure, "savefig", some)


def same(old: Path, new: Path, exact: bool | None, *, pages: bool = True) -> None:
    """Check that two folders hold the same; `pages`: those that are drawn too."""
    if exact is None:
        assert (new / "results.json").is_file()
        return

    def but(name: str) -> bool:
        if exact and pages:
            return name.endswith(comparing.DRAWN_AGAIN)
        return comparing.is_drawn(name) or (name.startswith("figures/") and not exact)

    if exact:
        assert comparing.differences(old, new, but=but, words=True) == []
        return
    there, here = comparing.files(old), comparing.files(new)
    names = {name for name in there if not but(name)}
    assert {name for name in here if not but(name) and name not in comparing.ADDED} == names
    assert [name for name in sorted(names) if not nearly(there[name], here[name])] == []


def nearly(old: Path, new: Path) -> bool:
    return comparing.near(_read(old), _read(new))


def _read(path: Path) -> object:
    if path.suffix == ".json":
        content = _without_bytes(json.loads(path.read_bytes()))
        return comparing.without_sentences(content) if path.name == comparing.RESULTS else content
    if path.suffix == ".parquet":
        return pl.read_parquet(path).to_dict(as_series=False)
    if path.suffix == ".safetensors":
        return {name: tensor.tolist() for name, tensor in load_file(path).items()}
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return [[_number(cell) for cell in row] for row in csv.reader(file)]
    return path.read_bytes()


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def _without_bytes(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_bytes(value) for key, value in content.items() if key not in OF_VERSIONS}
    if isinstance(content, list):
        return [_without_bytes(value) for value in content]
    return "DIGEST" if isinstance(content, str) and DIGEST.fullmatch(content) else content


@pytest.mark.parametrize("name", [EXPERIMENT, TRANSFER, PEOPLE])
def test_a_finished_folder_is_reported_to_the_same_numbers_and_twice_to_the_same_bytes(
    place: Path, call: Call, exact: bool | None, name: str
) -> None:
    stored = place / f"{name}-finished"
    folder = folders.copied(stored, place / "again")
    # `report` writes what is drawn and, of an experiment, its results; the rest it only reads.
    written = [folder / "report.html", *folder.glob("figures/*")]
    for path in [*written, *([folder / "results.json"] if name == EXPERIMENT else [])]:
        path.unlink()
    call("report", str(folder))
    same(stored, folder, exact)
    first = comparing.contents(folder)
    call("report", str(folder))
    assert comparing.contents(folder) == first


@pytest.mark.parametrize("name", [EXPERIMENT, TRANSFER, PEOPLE])
def test_of_a_finished_folder_nothing_is_done_again(
    place: Path, call: Call, exact: bool | None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _draw(monkeypatch)
    folder = place / f"{name}-finished"
    before = comparing.contents(folder)
    call(*folders.command(name, folder), "--processes", "1", trains=name != EXPERIMENT)
    if exact is None:
        return
    after = comparing.contents(folder)
    made = [file for file in before if not comparing.is_drawn(file)]
    assert len(made) > 15
    if not exact:
        made = [file for file in made if file.partition("/")[2] and not file.startswith("figures/")]
    # A second training would take another time, and that is compared here too.
    assert made == [file for file in made if file in after]
    changed = [
        file
        for file in made
        if comparing.wordless(file, before[file]) != comparing.wordless(file, after[file])
    ]
    assert changed == []
    new = {file for file in after.keys() - before.keys() if not file.endswith(comparing.DRAWN_AGAIN)}
    assert new <= set(comparing.ADDED)


@pytest.mark.parametrize("name", [EXPERIMENT, TRANSFER])
def test_an_interrupted_folder_is_finished_to_the_same_bytes(
    place: Path, call: Call, exact: bool | None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _draw(monkeypatch)
    folder, stored = place / f"{name}-interrupted", place / f"{name}-finished"
    begun = folders.done_jobs(name, folder)
    assert 0 < begun < folders.done_jobs(name, stored)
    kept = comparing.contents(folder)
    call(*folders.command(name, folder), "--processes", "1", trains=True)
    same(stored, folder, exact, pages=False)
    trained = [file for file in kept if file.startswith(("studies/", "runs/", "checkpoints/"))]
    assert len(trained) > begun
    assert all((folder / file).read_bytes() == kept[file] for file in trained)


def test_a_search_that_waits_for_people_takes_their_answers_and_ends_with_the_same_bytes(
    place: Path, call: Call, exact: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _draw(monkeypatch)
    folder = place / f"{PEOPLE}-waiting"
    asked = sorted(path.name for path in (folder / "label").iterdir())
    assert asked == ["round-1.csv", "round-1.json"]
    for answers in ANSWERS[1:]:
        call(*folders.command(PEOPLE, folder, answers=place / answers), "--processes", "1", trains=True)
    same(place / f"{PEOPLE}-finished", folder, exact, pages=False)
