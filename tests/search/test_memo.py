"""Jobs of a search: none is done twice, workers write nothing, and a kill at any job changes no byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace import files as writer
from headrace.analysis.subset_search import write
from headrace.search.runner import search_subset
from headrace.specs.search import SubsetSearch
from headrace.trials.jobs import Pick, Run, Score, SearchJob

from .test_subset_search import Killed, files, run

Spec = Callable[..., SubsetSearch]
SMALL = {
    "search.sizes": [0.25, 0.5],
    "search.acquisition": None,
    "search.methods": [{"acquisition": "margin"}, {"acquisition": "entropy"}, {"select": {"name": "badge"}}],
    "training.budget": {"steps": 6},
    "training.runs": 1,
    "comparison": {"seeds": 1},
}


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was trained, scored and chosen in this process, one text for each."""
    made: list[str] = []

    def noted(kind: type[SearchJob]) -> None:
        on = kind.on

        def note(self: SearchJob, bench: Any) -> Any:
            made.append(repr(self))
            return on(self, bench)

        monkeypatch.setattr(kind, "on", note)

    for kind in (Run, Score, Pick):
        noted(kind)
    return made


def test_nothing_is_done_twice_wherever_a_search_is_killed(
    spec: Spec, tmp_path: Path, done: list[str]
) -> None:
    asked = spec(SMALL)
    write(run(asked, tmp_path / "whole"))
    # One start, one scoring for both functions, a choice, three subsets, random and everything.
    jobs = list(done)
    assert len(jobs) == len(set(jobs)) == 1 + 1 + 1 + 3 + 1 + 1
    for kept in range(len(jobs)):
        done.clear()
        folder, left = tmp_path / str(kept), [None] * kept

        def die(*_: object, left: list[None] = left) -> None:
            if not left:
                raise Killed
            left.pop()

        with pytest.raises(Killed):
            run(asked, folder, progress=die)
        assert len(done) == kept + 1
        write(run(asked, folder))
        assert len(done) == len(set(done)) == len(jobs)
        assert files(folder) == files(tmp_path / "whole")


def test_a_second_search_in_the_folder_shares_what_is_the_same(
    spec: Spec, tmp_path: Path, done: list[str]
) -> None:
    run(spec(SMALL), tmp_path)
    done.clear()
    run(
        spec({**SMALL, "search.methods": [{"acquisition": "margin"}, {"acquisition": "variation_ratio"}]}),
        tmp_path,
    )
    # What was scored holds every function: only the new method's subset is trained on.
    assert [text.partition("(")[0] for text in done] == ["Run"]


def test_jobs_write_nothing(spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doing: list[SearchJob] = []
    do, writing = SearchJob.do, writer.writing

    def within(self: SearchJob, bench: Any) -> Any:
        doing.append(self)
        try:
            return do(self, bench)
        finally:
            doing.pop()

    @contextmanager
    def checked(path: Path) -> Iterator[Any]:
        assert not doing, f"{doing[0].doing} writes {path}"
        with writing(path) as file:
            yield file

    monkeypatch.setattr(SearchJob, "do", within)
    monkeypatch.setattr(writer, "writing", checked)
    outcome = run(spec(SMALL), tmp_path)
    assert outcome.subset is not None
    assert len(list(tmp_path.glob("runs/*/step-*.safetensors"))) > 0


def test_two_processes_come_to_the_bytes_of_one_after_a_kill_as_well(spec: Spec, tmp_path: Path) -> None:
    asked = spec(SMALL)
    write(run(asked, tmp_path / "one"))
    left = [None] * 3

    def die(*_: object) -> None:
        if not left:
            raise Killed
        left.pop()

    with pytest.raises(Killed):
        search_subset(asked, tmp_path / "two", processes=2, progress=die)
    write(search_subset(asked, tmp_path / "two", processes=2))
    assert files(tmp_path / "two") == files(tmp_path / "one")
