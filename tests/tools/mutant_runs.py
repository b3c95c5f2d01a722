"""Running a room's tests against one fault after the other, each in a process of its own.

Starting Python, importing torch and collecting the tests takes longer than most tests, so it is done once: a
process stands ready with the tests collected and none run, and forks for each fault. The fork gives the
function with the fault its new code in place. A fault that is not within a function is tried in a process
that imports everything anew.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

PATIENCE = 3
"""A test may take so many times the processor time without a fault of the longest one in its file, whose
fixtures it may have to make, and `GRACE_SECONDS`."""
GRACE_SECONDS = 5
START_SECONDS = 60
STARTS = "starts a process"
"""Among the functions that a test calls: some run where they cannot be noted."""
UNFIT = 71
"""The status of a fork in which the fault cannot be put in place."""


@dataclass
class Known:
    """What the tests do without a fault.

    Attributes:
        seconds: Test -> its processor time.
        called: Test -> the functions of the room that it calls, as "file:first line", and `STARTS`.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    called: dict[str, list[str]] = field(default_factory=dict)


class Watch:
    """A pytest plug-in: runs some tests only, in a given order, within a time; or all, noting their calls."""

    def __init__(self, room: Path, wanted: dict[str, float] | None) -> None:
        self.room, self.wanted, self.known, self.failures = str(room), wanted, Known(), ""

    def pytest_configure(self) -> None:
        """Properties fail as they are found; looking for the smallest example would take minutes."""
        from hypothesis import Phase, settings

        settings.register_profile("mutants", deadline=None, derandomize=True, database=None, max_examples=40,
                                  phases=[Phase.explicit, Phase.generate])  # fmt: skip
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list) -> None:
        if self.wanted is not None:
            items[:] = self.chosen(items)

    def chosen(self, items: list) -> list:
        """The wanted tests in their order."""
        place = {name: number for number, name in enumerate(self.wanted or ())}
        return sorted((i for i in items if i.nodeid in place), key=lambda i: place[i.nodeid])

    def pytest_runtest_setup(self, item) -> None:
        self._calls: set[str] = set()
        self._noted: set[CodeType] = set()
        self._begun = time.process_time()
        if self.wanted is None:
            sys.settrace(self._note)
        else:
            # A fault may make a loop endless: the signal ends the process.
            signal.setitimer(signal.ITIMER_PROF, longest(self.wanted, item.nodeid))

    def pytest_runtest_teardown(self, item) -> None:
        sys.settrace(None)
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.known.seconds[item.nodeid] = time.process_time() - self._begun
        self.known.called[item.nodeid] = sorted(self._calls)

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            self.failures += f"{report.nodeid}\n{report.longreprtext}\n"

    def _note(self, frame, event: str, _) -> None:
        """Of each call once; returns nothing, so that no line is traced."""
        code = frame.f_code
        if code in self._noted:
            return
        self._noted.add(code)
        if code.co_filename.startswith(self.room):
            self._calls.add(f"{code.co_filename}:{code.co_firstlineno}")
        elif code.co_qualname in ("Popen.__init__", "BaseProcess.start"):
            self._calls.add(STARTS)


def longest(seconds: dict[str, float], test: str) -> float:
    """The processor time that a test may take, of tests with what they take without a fault."""
    file = test.partition("::")[0]
    return GRACE_SECONDS + PATIENCE * max(took for name, took in seconds.items() if name.startswith(file))


class Ready(Watch):
    """Collects all tests and runs none; forks for each request that comes through a pipe."""

    def __init__(self, room: Path, requests: int, answers: int) -> None:
        super().__init__(room, None)
        self.requests, self.answers = os.fdopen(requests), os.fdopen(answers, "w")

    def pytest_runtestloop(self, session) -> bool:
        for line in self.requests:
            child = os.fork()
            if child == 0:
                os.setsid()
                _in_a_fork(self, session, json.loads(line))
            limit = json.loads(line)["limit"]
            self.answers.write(f"{waited(child, None if limit is None else 20 * limit)}\n")
            self.answers.flush()
        return True


def _in_a_fork(watch: Ready, session, asked: dict[str, Any]) -> None:
    status = 70
    try:
        if asked["limit"] is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (int(asked["limit"]) + 1, int(asked["limit"]) + 2))
        watch.wanted = asked["tests"]
        items = session.items if watch.wanted is None else watch.chosen(session.items)
        if asked["file"] and not put_in_place(Path(asked["file"]), asked["first"]):
            status = UNFIT
            return
        for item, following in zip(items, [*items[1:], None], strict=True):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if watch.failures and watch.wanted:
                break
        Path("report.json").write_text(json.dumps([watch.known.__dict__, watch.failures]))
        status = int(bool(watch.failures))
    finally:
        os._exit(status)


def put_in_place(file: Path, first: int) -> bool:
    """Give the function that begins at a line of a file the code that the file holds by now.

    Returns:
        Whether it could be done: the code differs, and has the same names around it.
    """
    name = str(file)
    whole = compile(file.read_bytes(), name, "exec", dont_inherit=True)
    new = [code for code in _codes(whole) if code.co_firstlineno == first]
    functions = [
        function
        for function in gc.get_objects()
        if type(function) is FunctionType
        and function.__code__.co_filename == name
        and function.__code__.co_firstlineno == first
    ]
    done = False
    for function in functions:
        for code in new:
            old = function.__code__
            if (old.co_qualname, old.co_freevars) == (code.co_qualname, code.co_freevars) and old != code:
                function.__code__ = code
                done = True
    return done


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


class Stand:
    """A process that stands ready with a room's tests.

    Args:
        copy: The copy of the repository.
        room: The room's folder in it.
        files: Its tests.
    """

    def __init__(self, copy: Path, room: Path, files: list[str]) -> None:
        requests, asking = os.pipe()
        answering, answers = os.pipe()
        self.copy, self.room = copy, room
        sys.stdout.flush()
        self._process = os.fork()
        if self._process == 0:
            os.close(asking)
            os.close(answering)
            be_pytest(copy, Ready(room, requests, answers), files)
        os.close(requests)
        os.close(answers)
        self._asking, self._answering = os.fdopen(asking, "w"), os.fdopen(answering)

    def run(
        self, tests: dict[str, float] | None, limit: float | None, file: Path | None = None, first: int = 0
    ) -> tuple[int, Known, str]:
        """Run tests, all of them where none are named, with what a file holds for the function at a line.

        Returns:
            The exit status (-1: out of time; `UNFIT`), what was noted, and what failed.
        """
        report = self.copy / "report.json"
        report.unlink(missing_ok=True)
        asked = {"tests": tests, "limit": limit, "file": str(file) if file else "", "first": first}
        self._asking.write(json.dumps(asked) + "\n")
        self._asking.flush()
        answer = self._answering.readline()
        if not answer:
            raise SystemExit(
                f"the tests cannot be collected:\n{(self.copy / 'output.txt').read_text()[-3000:]}"
            )
        known, failures = json.loads(report.read_text()) if report.exists() else ({}, "")
        return int(answer), Known(**known), failures

    def close(self) -> None:
        """End the process."""
        self._asking.close()
        os.waitpid(self._process, 0)


def run_anew(copy: Path, room: Path, tests: dict[str, float], limit: float) -> int:
    """Run tests in a process that imports everything anew; the exit status (-1: out of time)."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 2))
        be_pytest(copy, Watch(room, tests), sorted({name.partition("::")[0] for name in tests}))
    return waited(child, 20 * limit)


def be_pytest(copy: Path, plugin: Watch, files: list[str]) -> None:
    """Become a process that runs pytest with a plug-in in the copy; does not return."""
    status = 70
    try:
        os.chdir(copy)
        quiet = os.open(copy / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.environ |= {"PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.path.insert(0, str(copy / "src"))
        sys.dont_write_bytecode = True
        import pytest

        status = int(
            pytest.main(["-q", "-x", "-p", "no:xdist", "-p", "no:cacheprovider", *files], plugins=[plugin])
        )
    finally:
        os._exit(status)


def waited(child: int, limit: float | None) -> int:
    """The exit status of a process that leads a session; it is killed (-1) after so many seconds."""
    begun = time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if limit is not None and time.monotonic() - begun > limit:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -1
        time.sleep(0.005)
