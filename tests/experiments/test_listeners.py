"""Listeners hear of everything in order, and change nothing: those that raise an error are dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.engines.registry import ENGINES
from headrace.experiments import runner
from headrace.experiments.listeners import Listener, Listeners

from .inline_engine import Given, InlineEngine
from .test_runner import canonical

EVENTS = [name for name in vars(Listener) if not name.startswith("_")]


class Noting(Listener):
    """Notes what it hears, and at what it raises an error."""

    def __init__(self, bad: str = "") -> None:
        self.heard: list[tuple[str, tuple]] = []
        for event in EVENTS:
            setattr(self, event, lambda *given, event=event: self.note(event, given, bad))

    def note(self, event: str, given: tuple, bad: str) -> None:
        self.heard.append((event, given))
        if event == bad:
            raise ValueError(f"no {event}")


@pytest.fixture
def heard(experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    return lambda name, *listeners: runner.run(
        experiment(), tmp_path / name, processes=2, listeners=listeners
    )


@pytest.mark.usefixtures("tiny")
def test_a_listener_hears_of_all_that_is_stored(heard) -> None:
    noting = Noting()
    stored = heard("one", noting)
    events = [event for event, _ in noting.heard]
    assert (events[0], events[-1]) == ("begin", "end")
    assert sorted(given[0].name for event, given in noting.heard if event == "decided") == sorted(
        key.name for key in stored.experiment.studies()
    )
    settled = {(g[0].study, g[0].trial) for event, g in noting.heard if event == "settled"}
    assert settled == {(record.study, record.trial) for record in stored.records if record.settled}
    measured = {(g[0].study, g[0].trial) for event, g in noting.heard if event == "measured"}
    assert measured == {(record.study, record.trial) for record in stored.records}
    heard("one", again := Noting())
    assert again.heard == [], "nothing is trained"


@pytest.mark.usefixtures("tiny")
def test_one_that_raises_an_error_is_dropped_and_changes_nothing(heard, capsys) -> None:
    plain = canonical(heard("plain"))
    for bad in EVENTS:
        broken, after = Noting(bad), Noting()
        assert canonical(heard(bad, broken, after)) == plain
        assert sum(event == bad for event, _ in broken.heard) == 1
        assert [event for event, _ in after.heard].count("end") == 1
        lines = capsys.readouterr().err.splitlines()
        assert [line for line in lines if f"no {bad}" in line] == lines
        assert len(lines) == 1


def test_ctrl_c_is_no_error_of_a_listener() -> None:
    class Interrupted(Listener):
        def decided(self, study) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Listeners([Interrupted()]).decided(None)  # pyright: ignore[reportArgumentType]
