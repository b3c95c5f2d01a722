"""Experiments' folders: full disks, altered bytes, links to elsewhere, and a folder that is taken away."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.analysis.results import analyse, write_results
from headrace.cli.app import execute
from headrace.engines.registry import ENGINES
from headrace.errors import HeadraceError
from headrace.experiments.runner import run
from headrace.files import StorageError
from headrace.store import checkpoints
from headrace.store import experiments as store
from headrace.tensors import read_checkpoint

from .hostile import Kind, corruptions, ended, everything, full_disk, killed, kills, linked, slowly
from .inline_engine import Given, InlineEngine
from .test_runner import canonical

pytestmark = pytest.mark.usefixtures("tiny")

CHANGES = {
    "grid.batch_size": [4],
    "grid.optimizer": ["sgd"],
    "search.trials": 3,
    "search.max_trials": 4,
    "search.space": {"learning_rate": {"low": 0.03, "high": 0.5, "scale": "log"}},
    "training.budget": {"steps": 60},
    "training.checkpoints": 1,
}


@pytest.fixture
def kind(experiment, monkeypatch: pytest.MonkeyPatch) -> Kind:
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    asked = experiment(CHANGES)

    def conclude(folder: Path) -> object:
        stored = store.load(folder)
        write_results(analyse(stored), folder)
        weights = [
            (str(path.relative_to(folder)), {k: v.tolist() for k, v in read_checkpoint(path).items()})
            for path in checkpoints.members(stored)
        ]
        return canonical(stored), (folder / "results.json").read_bytes(), weights

    def trials(folder: Path) -> set:
        stored = store.load(folder)
        return {(r.study, r.trial) for r in stored.records if stored.measurements.height}

    return Kind(go_on=lambda folder: run(asked, folder, processes=1), conclude=conclude, stored=trials)


def after_tasks(monkeypatch: pytest.MonkeyPatch, tasks: int, act: Callable[[], None]) -> None:
    """Act once so many tasks of a run are done."""

    class Acting(InlineEngine):
        left = tasks

        def finished(self) -> list:
            Acting.left -= 1
            if Acting.left == 0:
                act()
            return super().finished()

    monkeypatch.setitem(ENGINES, "local", Given(Acting))


@pytest.fixture
def half(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with trials that were interrupted, so that their parts are replaced later."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        after_tasks(patch, 6, interrupt)
        with pytest.raises(KeyboardInterrupt):
            kind.go_on(tmp_path / "half")
    records = store.load(tmp_path / "half").records
    assert any(r.reached is None and r.diverged is None for r in records)
    return tmp_path / "half"


@pytest.fixture
def finished(kind: Kind, tmp_path: Path) -> Path:
    kind.go_on(tmp_path / "finished")
    kind.conclude(tmp_path / "finished")
    return tmp_path / "finished"


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("end", "step"), [(full_disk, 9), (killed, 20), *slowly(1)])
def test_an_end_at_any_write_loses_nothing(
    kind: Kind, half: Path, tmp_path: Path, monkeypatch, end, step: int
) -> None:
    (tmp_path / "work").mkdir()
    count = ended(end, kind, half, tmp_path / "work", monkeypatch, step=step)
    print(f"{end.__name__}: {count} of {count} lost nothing and went on to the same bytes")
    assert count >= 24 // step


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("places", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_what_was_altered_is_refused_or_changes_nothing(kind: Kind, finished: Path, places: int) -> None:
    paths = [path for path in sorted(finished.rglob("*")) if path.is_file() and path.name != "results.json"]
    assert {"experiment.toml", "workload.json", "00000.json", "00000.parquet"} <= {p.name for p in paths}
    count = corruptions(kind, finished, paths, places=places)
    print(f"alterations: {count.refused} refused, {count.same} without effect")
    assert (count.silent, count.other) == ([], [])
    assert count.refused > 8 * count.same / 10


WRITTEN = {"lock", "results.json", "studies"}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("wanted", [WRITTEN, pytest.param(None, marks=pytest.mark.slow)])
def test_no_link_in_a_received_folder_leads_a_command_out_of_it(
    kind: Kind, finished: Path, tmp_path: Path, wanted: set | None
) -> None:
    """Every path of a folder, as a link, when the folder is reported, looked at and run again."""
    deep = wanted is None
    assert not deep or execute(["report", str(finished)]) == 0
    # One file of each kind in each folder; a report takes seconds.
    kinds = {(path.parent, path.suffix): path for path in sorted(finished.rglob("*"))}
    chosen = wanted or {str(path.relative_to(finished)) for path in [*kinds.values(), finished / "figures"]}
    outside, tried = tmp_path / "outside", []
    for name, folder in linked(finished, outside, chosen):
        before = everything(outside)
        for command in ("status", "report") if deep else ("status",):
            execute([command, str(folder)])
        for act in (kind.go_on, kind.conclude):
            with contextlib.suppress(HeadraceError):
                act(folder)
        assert everything(outside) == before, name
        tried.append(name)
    print(f"links: {len(tried)} tried, none followed")
    assert set(tried) == chosen


def test_planted_links_under_names_that_could_be_guessed(kind: Kind, finished: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    for path in everything(finished):
        place = finished / path
        for name in (f".{place.name}.partial", f"{place.name}.partial", f"{place.name}.tmp", "progress.json"):
            if not (place.parent / name).exists():
                (place.parent / name).symlink_to(victim)
    (finished / "workload.json").unlink()
    kind.go_on(finished)
    kind.conclude(finished)
    assert execute(["status", str(finished)]) == 0
    assert victim.read_bytes() == b"mine"


@pytest.mark.parametrize("end", ["removed", "renamed", "replaced"])
def test_a_folder_that_is_taken_away_under_a_run(kind: Kind, tmp_path: Path, monkeypatch, end: str) -> None:
    """It is said, and nothing is made under the old name."""
    folder, taken = tmp_path / "run", tmp_path / "elsewhere"

    def take_away() -> None:
        shutil.rmtree(folder) if end == "removed" else folder.rename(taken)
        if end == "replaced":
            folder.mkdir()

    with monkeypatch.context() as patch:
        after_tasks(patch, 6, take_away)
        with pytest.raises(
            StorageError, match="folder was removed, renamed or unmounted while it was in use"
        ):
            kind.go_on(folder)
    assert folder.exists() == (end == "replaced")
    assert end != "replaced" or not list(folder.iterdir())
    if end != "removed":
        assert store.read_facts(taken) is not None
        kind.go_on(taken)
        kind.conclude(taken)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kills_at_random_moments_change_no_byte_of_the_results(experiment, tmp_path: Path) -> None:
    asked = experiment({**CHANGES, "workload.settings": {"pause": 0.004}, "grid.batch_size": [4, 16]})
    file = tmp_path / "asked.toml"
    file.write_text(asked.to_toml())
    modules = Path(__file__).parent
    killed = kills(["run", str(file), "--processes", "2"], tmp_path / "killed", modules, times=8)
    print(f"kills: {killed} of a run; the same bytes")
    assert killed >= 4
    expected = (tmp_path / "timed" / "results.json").read_bytes()
    assert (tmp_path / "killed" / "results.json").read_bytes() == expected
    assert not list((tmp_path / "killed").rglob("*.partial"))
