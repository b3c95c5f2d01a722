"""The conformance suite of engines: what the contract in `_base` promises, tried out.

One line joins it: `check_engine(lambda: MyEngine(2))`. It fails by `AssertionError` with the promise that was
broken.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.engines._base import Engine, WorkerDied, do_all, each_done, everywhere
from headrace.engines.inline import InlineEngine
from headrace.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator

    from headrace.engines._base import Handle, Place

NUMBERS = 3
"""How many numbers the suite publishes; whoever follows an engine opens it with as many."""
PATIENCE_SECONDS = 60.0
"""How long something may take that takes a moment."""

MakeEngine = Callable[[], Engine]


def check_engine(make_engine: MakeEngine, *, once: bool = False) -> None:
    """Try out all promises of the contract.

    Args:
        make_engine: Makes an engine that is not open; with at least two workers, or together.
        once: Only one engine can be opened in this process, as under torchrun, where `follow(MakeBench(),
            numbers=NUMBERS)` must run in the other processes; what ends an engine is left out.

    Raises:
        AssertionError: A promise is broken; the text says which.
    """
    before = _files()
    with make_engine() as engine:
        assert engine.open(MakeBench(), numbers=NUMBERS) is engine, "open returns the engine itself"
        others = _works(engine)
        engine.close()
        engine.close()
    _check(_files() == before, "the engine writes no file into the working folder")
    for process in others:
        _check(once or _ended(process), "close ends every worker")
    if not once:
        _check_makers_error(make_engine)
    if others and not once:
        _check_death(make_engine)
        _check_end_at_once(make_engine)


def _works(engine: Engine) -> set[int]:
    """What an open engine does; the processes of its workers but this one."""
    _check_results(engine)
    _check_everywhere(engine)
    _check_affinity(engine)
    _check_published(engine)
    _check_shared(engine)
    _check_errors(engine)
    return set(everywhere(engine, Process())) - {os.getpid()}


def _check_results(engine: Engine) -> None:
    jobs = [Square(number, seconds=0.02 * (number % 3)) for number in range(7)]
    counted: list[tuple[int, int]] = []
    found = do_all(engine, jobs, lambda *counts: counted.append(counts))
    expected = do_all(InlineEngine().open(MakeBench()), jobs)
    _check(found == expected, "results are those of the inline engine, in the order of the jobs")
    _check(counted == [(done, 7) for done in range(1, 8)], "each job is reported once")
    _check(dict(each_done(engine, jobs)) == dict(enumerate(expected)), "each result has its job's number")
    _check(not engine.busy, "a worker is not busy when its job is finished")


def _check_everywhere(engine: Engine) -> None:
    with tempfile.TemporaryDirectory() as folder:
        met = everywhere(engine, Meet(Path(folder)))
    _check(all(met), "everywhere gives all workers the job at once")
    _check(len(met) == engine.workers, "everywhere returns one result for each worker")


def _check_affinity(engine: Engine) -> None:
    for round in range(2):
        for worker in range(engine.workers):
            _check(worker not in engine.busy, "a worker without a job is not busy")
            engine.submit(worker, Keep(f"{round}, {worker}"))
            _check(worker in engine.busy, "a worker with a job is busy")
        _rest(engine)
        kept = everywhere(engine, Kept())
        expected = [f"{round}, {worker}" for worker in range(engine.workers)]
        _check(kept == expected, "a job runs on the bench of its worker, with what that keeps")
    made = everywhere(engine, Made())
    _check(made == [1] * engine.workers, "each worker makes its bench once")


def _rest(engine: Engine) -> None:
    while engine.busy:
        engine.finished()


def _check_published(engine: Engine) -> None:
    _check(set(everywhere(engine, Published(0))) == {0}, "published numbers begin as 0")
    for value in (7, 2**40, -1):
        for worker in range(engine.workers):
            engine.submit(worker, Await(1, value, PATIENCE_SECONDS / 4))
        engine.publish(1, value)
        seen: list[bool] = []
        while engine.busy:
            seen += [result for _, result in engine.finished()]
        _check(all(seen), "a job that runs sees a published number; together, the next job sees it")
    _check(set(everywhere(engine, Published(0))) == {0}, "a published number leaves the others alone")


def _check_shared(engine: Engine) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "content"
        file.write_bytes(b"\0content\xff")
        found = everywhere(engine, Read(engine.share(file)))
    _check(set(found) == {b"\0content\xff"}, "a shared file is read by every worker")


def _check_errors(engine: Engine) -> None:
    for job, kind, text in (
        (Refuse(), InputError, "somewhere: is wrong; got 3. Put it right."),
        (Stumble(picklable=True), Exception, "the user's text"),
        (Stumble(picklable=False), Exception, "the user's text"),
    ):
        engine.submit(engine.workers - 1, job)
        with _raises(kind, text, "what a job raises comes with its text"):
            engine.finished()
        _rest(engine)
    _check(do_all(engine, [Square(3)]) == [9], "after a job's error the engine does others")


def _check_makers_error(make_engine: MakeEngine) -> None:
    with (
        make_engine() as engine,
        _raises(InputError, "the bench cannot be made", "what the making of a bench raises comes over"),
    ):
        engine.open(refuse)
        do_all(engine, [Square(1)])


def _check_death(make_engine: MakeEngine) -> None:
    with (
        make_engine() as engine,
        _raises(WorkerDied, "Run again", "a death is WorkerDied, and says what to do"),
    ):
        engine.open(MakeBench())
        do_all(engine, [Square(1), Die()])


def _check_end_at_once(make_engine: MakeEngine) -> None:
    with make_engine() as engine:
        engine.open(MakeBench())
        processes = set(everywhere(engine, Process()))
        engine.submit(0, Square(1, seconds=10 * PATIENCE_SECONDS))
        started = time.monotonic()
    _check(time.monotonic() - started < PATIENCE_SECONDS, "close does not wait for a job")
    _check(all(map(_ended, processes)), "close ends a worker that has a job")


def _check(kept: bool, promise: str) -> None:
    if not kept:
        raise AssertionError(promise)


@contextmanager
def _raises(kind: type[Exception], text: str, promise: str) -> Generator[None]:
    try:
        yield
    except kind as error:
        if text not in str(error):
            raise AssertionError(f"{promise}: {text!r} is not in {str(error)!r}") from error
    else:
        raise AssertionError(promise)


def _files() -> set[str]:
    return {path.name for path in Path.cwd().iterdir()}


def _ended(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


class Bench:
    """What a worker keeps."""

    def __init__(self, place: Place, made: int) -> None:
        self.place = place
        self.made = made
        self.kept: Any = None


class MakeBench:
    """Makes the suite's benches."""

    made = 0

    def __call__(self, place: Place) -> Bench:
        """A bench that knows how many this object has made."""
        self.made += 1
        return Bench(place, self.made)


def refuse(place: Place) -> Bench:
    """Make no bench."""
    raise InputError("the bench cannot be made")


@dataclass(frozen=True)
class Square:
    """A number's square, after a while."""

    number: int
    seconds: float = 0.0

    def do(self, bench: Bench) -> int:
        """Do it."""
        time.sleep(self.seconds)
        return self.number**2


@dataclass(frozen=True)
class Keep:
    """Keep something."""

    value: str

    def do(self, bench: Bench) -> None:
        """Do it."""
        bench.kept = self.value


class Kept:
    """What was kept."""

    def do(self, bench: Bench) -> Any:
        """Do it."""
        return bench.kept


class Made:
    """How many benches were made here."""

    def do(self, bench: Bench) -> int:
        """Do it."""
        return bench.made


class Process:
    """The number of the worker's process."""

    def do(self, bench: Bench) -> int:
        """Do it."""
        return os.getpid()


@dataclass(frozen=True)
class Published:
    """A published number."""

    number: int

    def do(self, bench: Bench) -> int:
        """Do it."""
        return bench.place.published[self.number]


@dataclass(frozen=True)
class Await:
    """Wait for a published number; whether it came."""

    number: int
    value: int
    seconds: float

    def do(self, bench: Bench) -> bool:
        """Do it."""
        return _comes(lambda: bench.place.published[self.number] == self.value, self.seconds)


@dataclass(frozen=True)
class Meet:
    """Wait for all workers by files in a folder; whether they came."""

    folder: Path

    def do(self, bench: Bench) -> bool:
        """Do it."""
        (self.folder / str(bench.place.rank)).touch()
        return _comes(lambda: len(list(self.folder.iterdir())) == bench.place.workers, PATIENCE_SECONDS)


def _comes(there: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not (came := there()) and time.monotonic() < until:
        time.sleep(0.005)
    return came


@dataclass(frozen=True)
class Read:
    """The content of a shared file."""

    handle: Handle

    def do(self, bench: Bench) -> bytes:
        """Do it."""
        return bench.place.fetch(self.handle).read_bytes()


class Refuse:
    """Raise an error of ours."""

    def do(self, bench: Bench) -> None:
        """Do it."""
        raise InputError("is wrong", where="somewhere", got=3, fix="Put it right.")


class UsersError(Exception):
    """One that can be pickled, but not be made again from its text."""

    def __init__(self, text: str, more: int) -> None:
        super().__init__(text)
        self.more = more


@dataclass(frozen=True)
class Stumble:
    """Raise an error of the user's code."""

    picklable: bool

    def do(self, bench: Bench) -> None:
        """Do it."""
        raise ValueError("the user's text") if self.picklable else UsersError("the user's text", 1)


class Die:
    """End the process, as the kernel does when memory runs out."""

    def do(self, bench: Bench) -> None:
        """Do it."""
        os.kill(os.getpid(), signal.SIGKILL)
