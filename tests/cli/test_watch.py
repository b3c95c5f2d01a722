"""`watch` renews the page while a run is under way, changes nothing else, and leaves the page of `report`."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.made_store import experiment, make_store, two_regimes
from headrace.cli.app import execute
from headrace.report.figures import registry
from headrace.store import lock

REFRESH = 'http-equiv="refresh" content="7"'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # One figure draws as fast as it gets, and stands for all.
    monkeypatch.setattr(registry, "FIGURES", {"scaling": registry.FIGURES["scaling"]})
    place = tmp_path / "run"
    make_store(place, experiment([8, 64]), two_regimes(lambda _: 0.1))
    return place


def test_a_page_of_a_run_renews_itself_and_the_last_does_not(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    with lock.exclusive(folder):
        assert execute(["watch", str(folder), "--every", "7", "--once"]) == 0
    page = (folder / "report.html").read_text()
    assert REFRESH in page
    assert "Still running: " in page
    made = {path for path in folder.rglob("*.*") if path not in before}
    assert {path.name for path in made if path.suffix != ".csv"} <= {"report.html", "lock"}
    assert all(path.read_bytes() == content for path, content in before.items() if path.name != "lock")
    # The run has ended.
    assert execute(["watch", str(folder)]) == 0
    last = (folder / "report.html").read_bytes()
    assert b'http-equiv="refresh"' not in last
    assert b"Still running" not in last
    assert execute(["report", str(folder)]) == 0
    assert (folder / "report.html").read_bytes() == last
    assert str(folder / "report.html") in capfd.readouterr().out.replace("\n", "")


def test_before_there_is_something_to_show_it_waits(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "begun"
    empty.mkdir()
    (empty / "experiment.toml").write_bytes((folder / "experiment.toml").read_bytes())
    with lock.exclusive(empty):
        assert execute(["watch", str(empty), "--once"]) == 0
    assert not (empty / "report.html").exists()


@pytest.mark.parametrize("every", ["0", "nan", "1e9"])
def test_what_cannot_be_watched_is_refused(
    folder: Path, tmp_path: Path, every: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert execute(["watch", str(folder), "--every", every]) == 2
    assert "--every" in capfd.readouterr().err
    assert execute(["watch", str(tmp_path)]) == 2
    (tmp_path / "search.toml").write_text("")
    assert execute(["watch", str(tmp_path)]) == 2
