"""A search's folder: full disks, altered bytes, kills."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.hostile import Kind, corruptions, ended, full_disk, killed, kills, slowly
from headrace.analysis.subset_search import write

from .test_subset_search import Spec, files, run

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def kind(spec: Spec) -> Kind:
    asked = spec({"search.sizes": [0.25, 0.5], "training.budget": {"steps": 6}, "training.runs": 1})

    def conclude(folder: Path) -> object:
        write(run(asked, folder))
        return files(folder)

    def stored(folder: Path) -> set:
        return {str(path.relative_to(folder)) for path in folder.glob("*/*/*") if path.is_file()}

    return Kind(go_on=lambda folder: run(asked, folder), conclude=conclude, stored=stored)


@pytest.fixture
def finished(kind: Kind, tmp_path: Path) -> Path:
    kind.conclude(tmp_path / "finished")
    return tmp_path / "finished"


@pytest.mark.parametrize(("end", "step"), [(full_disk, 40), (killed, 70), *slowly(2)])
def test_an_end_at_any_write_loses_nothing(kind: Kind, tmp_path: Path, monkeypatch, end, step: int) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "empty").mkdir()
    count = ended(end, kind, tmp_path / "empty", tmp_path / "work", monkeypatch, step=step)
    print(f"{end.__name__}: {count} of {count} lost nothing and went on to the same bytes")
    assert count >= 80 // step


def decides(folder: Path) -> list[Path]:
    """The files of a search that decide its results; what is made for readers is made again."""
    wanted = ("runs/*/*", "scores/*/*", "choices/*", "search.toml")
    return sorted(path for pattern in wanted for path in folder.glob(pattern) if path.is_file())


@pytest.mark.parametrize("places", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_what_was_altered_is_refused_or_changes_nothing(kind: Kind, finished: Path, places: int) -> None:
    paths = decides(finished)
    sample = paths if places > 1 else list({path.name: path for path in paths}.values())
    count = corruptions(kind, finished, sample, places=places)
    print(f"alterations: {count.refused} refused, {count.same} without effect")
    assert (count.silent, count.other) == ([], [])
    assert count.refused


@pytest.mark.slow
def test_kills_at_random_moments_change_no_byte_of_the_results(spec: Spec, tmp_path: Path) -> None:
    asked = spec({"search.sizes": [0.25, 0.5]})
    file = tmp_path / "asked.toml"
    file.write_text(asked.to_toml())
    modules = Path(__file__).parent
    killed = kills(["subset", str(file), "--processes", "2"], tmp_path / "killed", modules, times=8)
    print(f"kills: {killed} of a search; the same bytes")
    assert killed >= 4
    assert files(tmp_path / "killed") == files(tmp_path / "timed")
