"""The engines that are shipped, and the tests' own, hold the contract; and the suite finds who does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.experiments.inline_engine import InlineEngine as TakesTurns

from headrace.engines import testing
from headrace.engines._base import Engine
from headrace.engines.inline import InlineEngine
from headrace.engines.local import LocalEngine
from headrace.engines.registry import make_engine
from headrace.engines.testing import check_engine
from headrace.errors import InputError

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is written into the working folder."""
    monkeypatch.chdir(tmp_path)


def test_the_inline_engine() -> None:
    check_engine(InlineEngine)


def test_the_engine_of_the_tests() -> None:
    """With one worker: workers that take turns cannot meet."""
    check_engine(lambda: TakesTurns(1))


def test_the_local_engine() -> None:
    check_engine(lambda: LocalEngine(2))


@pytest.mark.parametrize("mode", ["together", "dealt"])
def test_the_engine_under_torchrun(mode: str, tmp_path: Path) -> None:
    """In its own processes; two engines one after the other cannot be, so it is closed once."""
    done = subprocess.run(
        [*(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
         str(HERE / "under_torchrun.py"), mode],
        capture_output=True, text=True, timeout=200, check=False, cwd=tmp_path, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(done.stdout.split("\n")) == ["", "rank 0 holds", "rank 1 heard: the outcome"]


def test_ray_is_imported_when_it_is_asked_for_and_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys; from headrace.engines.ray import RayEngine; RayEngine(2); sys.exit('ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=200).returncode == 0
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"ray, which is not installed.*pip install '\.\[ray\]'"):
        make_engine("ray", None)


# Wrong engines


class LosesNumbers(InlineEngine):
    def publish(self, number: int, value: int) -> None:
        pass


class MixesNumbers(InlineEngine):
    def publish(self, number: int, value: int) -> None:
        for each in range(testing.NUMBERS):
            super().publish(each, value)


class LosesWords(InlineEngine):
    def finished(self) -> list[tuple[int, Any]]:
        try:
            return super().finished()
        except (InputError, ValueError, testing.UsersError):
            raise InputError("a job failed") from None


class NeverIdle(InlineEngine):
    @property
    def busy(self) -> set[int]:
        return {0}


class Writes(InlineEngine):
    def finished(self) -> list[tuple[int, Any]]:
        Path("job.tmp").touch()
        return super().finished()


class ClosesOnce(InlineEngine):
    def close(self) -> None:
        assert self._place is not None, "close does nothing when it is called again"
        self._place = None
        super().close()


class ForgetsTheBench(InlineEngine):
    def finished(self) -> list[tuple[int, Any]]:
        self._bench = testing.Bench(self._place, 1)
        return super().finished()


class MakesAnew(InlineEngine):
    def finished(self) -> list[tuple[int, Any]]:
        self._bench.made += 1
        return super().finished()


class LosesResults(TakesTurns):
    """What jobs came to does not arrive."""

    def __init__(self) -> None:
        super().__init__(1)

    def finished(self) -> list[tuple[int, Any]]:
        return [(worker, None) for worker, _ in super().finished()]


@pytest.mark.parametrize(
    ("wrong", "promise"),
    [
        (LosesNumbers, "sees a published number"),
        (MixesNumbers, "leaves the others alone"),
        (LosesWords, "comes with its text"),
        (NeverIdle, "not busy"),
        (Writes, "writes no file"),
        (ClosesOnce, "called again"),
        (ForgetsTheBench, "bench of its worker"),
        (MakesAnew, "makes its bench once"),
        (LosesResults, "results are those of the inline engine"),
    ],
)
def test_a_wrong_engine_is_caught(
    wrong: Callable[[], Engine], promise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testing, "PATIENCE_SECONDS", 0.2)
    with pytest.raises(AssertionError, match=promise):
        check_engine(wrong)


class ToldBefore(LocalEngine):
    """Numbers reach the next job only."""

    def publish(self, number: int, value: int) -> None:
        self.late = (number, value)

    def submit(self, worker: int, job: Any) -> None:
        if hasattr(self, "late"):
            super().publish(*self.late)
        super().submit(worker, job)


class DiesQuietly(LocalEngine):
    def finished(self) -> list[tuple[int, Any]]:
        try:
            return super().finished()
        except testing.WorkerDied:
            raise InputError("something went wrong. Run again") from None


class LeavesWorkers(LocalEngine):
    def close(self) -> None:
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "promise"),
    [
        (ToldBefore, "sees a published number"),
        (DiesQuietly, "something went wrong"),
        (LeavesWorkers, "close ends every worker"),
    ],
)
def test_a_wrong_engine_of_processes_is_caught(wrong: Callable[[int], LocalEngine], promise: str) -> None:
    made: list[LocalEngine] = []

    def make() -> LocalEngine:
        made.append(wrong(2))
        return made[-1]

    with pytest.raises((AssertionError, InputError), match=promise):
        check_engine(make)
    for engine in made:
        LocalEngine.close(engine)
