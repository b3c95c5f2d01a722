"""How many small faults in a room's code its tests notice: `make mutants ROOM=sampling`.

Each fault (see `mutations`) is put into a copy of the repository, and the room's tests that call the function
with the fault are run until one fails, and last those that start processes, which may call it there. Nothing
is written outside the copy. What lives is printed with its line, and then the share that was noticed. A fault
that changes no behaviour is listed in `equivalent.toml` with the reason, and does not count. The conformance
suites that the package ships (`testing.py`) are tests themselves and are left alone.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

from mutations import Mutant, mutants

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
DEVICE = "tests/device/test_"
TESTS = {
    "sampling": ["tests/sampling", DEVICE + "own_loop.py"],
    "policies": ["tests/policies", DEVICE + "own_loop.py"],
    "histories": ["tests/histories", DEVICE + "own_loop.py"],
    "ensembles": ["tests/ensembles", DEVICE + "ensembles.py"],
    "selection": ["tests/selection", DEVICE + "selection.py"],
    "analysis": ["tests/analysis"],
    "training": ["tests/training", DEVICE + "training.py"],
}
"""Room -> its tests."""
COPIED = ("src", "tests", "examples", "docs", "benchmarks", "pyproject.toml", "README.md")
PATIENCE = 4
"""A test may take so many times the longest one's processor time without a fault, and `GRACE_SECONDS`."""
GRACE_SECONDS = 5
START_SECONDS = 60
STARTS = "starts a process"
"""Among the functions that a test calls: some run where they cannot be noted."""


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
    """A pytest plug-in: notes what each test calls, or runs some tests only, in a given order."""

    def __init__(self, room: Path, wanted: dict[str, float] | None) -> None:
        self.room, self.wanted, self.known = str(room), wanted, Known()

    def pytest_configure(self) -> None:
        """Properties fail as they are found; looking for the smallest example would take minutes."""
        from hypothesis import Phase, settings

        settings.register_profile("mutants", deadline=None, derandomize=True, database=None, max_examples=40,
                                  phases=[Phase.explicit, Phase.generate])  # fmt: skip
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list) -> None:
        if self.wanted is not None:
            place = {name: number for number, name in enumerate(self.wanted)}
            items[:] = sorted((i for i in items if i.nodeid in place), key=lambda i: place[i.nodeid])

    def pytest_runtest_setup(self, item) -> None:
        self._calls: set[str] = set()
        self._noted: set[CodeType] = set()
        self._begun = time.process_time()
        if self.wanted is None:
            sys.settrace(self._note)
        else:
            # A fault may make a loop endless: the signal ends the process. Any test may have to make what
            # several share.
            signal.setitimer(signal.ITIMER_PROF, GRACE_SECONDS + PATIENCE * max(self.wanted.values()))

    def pytest_runtest_teardown(self, item) -> None:
        sys.settrace(None)
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.known.seconds[item.nodeid] = time.process_time() - self._begun
        self.known.called[item.nodeid] = sorted(self._calls)

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


def run_tests(
    copy: Path, room: str, wanted: dict[str, float] | None, limit: float | None
) -> tuple[int, Known]:
    """Run tests of a room in their own process; the exit status (-1: out of time), and what was noted."""
    report = copy / "report.json"
    report.unlink(missing_ok=True)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setsid()
        _be_the_child(copy, room, wanted, limit, report)
    status = _waited(child, None if limit is None else 20 * limit)
    found = json.loads(report.read_text()) if report.exists() else {}
    return status, Known(**found)


def _be_the_child(
    copy: Path, room: str, wanted: dict[str, float] | None, limit: float | None, report: Path
) -> None:
    status = 70
    try:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 2))
        os.chdir(copy)
        quiet = os.open(os.devnull if wanted else copy / "baseline.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.environ |= {"PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.path.insert(0, str(copy / "src"))
        sys.dont_write_bytecode = True
        import pytest

        watch = Watch(copy / "src" / "headrace" / room, wanted)
        files = sorted({name.partition("::")[0] for name in wanted}) if wanted else TESTS[room]
        status = int(pytest.main(["-q", "-x" if wanted else "-q", "-p", "no:xdist", "-p", "no:cacheprovider",
                                  *files], plugins=[watch]))  # fmt: skip
        report.write_text(json.dumps(watch.known.__dict__))
    finally:
        os._exit(status)


def _waited(child: int, limit: float | None) -> int:
    begun = time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if limit is not None and time.monotonic() - begun > limit:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -1
        time.sleep(0.02)


def covering(mutant: Mutant, copy: Path, known: Known) -> dict[str, float]:
    """The tests that call the function with the fault, the quickest first; of one outside functions, all.

    After them those that start processes, where the function may be called unseen.

    Returns:
        Test -> its processor time without the fault.
    """
    file, inside = copy / mutant.file, _function(copy / mutant.file, mutant.line)
    first = None if inside is None else min([inside.lineno, *(d.lineno for d in inside.decorator_list)])
    seen = [test for test, calls in known.called.items() if first is None or f"{file}:{first}" in calls]
    unseen = [test for test, calls in known.called.items() if STARTS in calls and test not in seen]
    quickest = [sorted(tests, key=lambda test: known.seconds[test]) for tests in (seen, unseen)]
    return {test: known.seconds[test] for tests in quickest for test in tests}


def _function(file: Path, line: int) -> ast.FunctionDef | None:
    """The innermost function around a line."""
    tree = ast.walk(ast.parse(file.read_bytes()))
    functions = [node for node in tree if isinstance(node, ast.FunctionDef)]
    around = [node for node in functions if node.lineno <= line <= (node.end_lineno or 0)]
    return max(around, key=lambda node: node.lineno, default=None)


def telling(found: list[Mutant]) -> list[Mutant]:
    """Those not listed as changing nothing: in a function, at a line, or at a line and what it becomes."""
    listed = tomllib.loads(EQUIVALENT.read_text())["equivalent"]
    lines = {(one["file"], one["before"], one.get("after")) for one in listed if "before" in one}
    functions = {(one["file"], one["function"]) for one in listed if "function" in one}

    def changes_nothing(mutant: Mutant) -> bool:
        inside = _function(ROOT / mutant.file, mutant.line)
        name = inside.name if inside else ""
        where = str(mutant.file)
        line = {(where, mutant.before, mutant.after), (where, mutant.before, None)}
        return bool(lines & line) or (where, name) in functions

    return [mutant for mutant in found if not changes_nothing(mutant)]


def all_mutants(room: str) -> list[Mutant]:
    """Every fault of a room."""
    files = sorted(path.relative_to(ROOT) for path in (ROOT / "src" / "headrace" / room).rglob("*.py"))
    kept = [file for file in files if file.name != "testing.py"]
    return [mutant for file in kept for mutant in mutants(file, (ROOT / file).read_bytes())]


def lives(mutant: Mutant, copy: Path, room: str, known: Known) -> bool:
    """Whether no test of the room notices the fault."""
    tests = covering(mutant, copy, known)
    if not tests:
        return True
    file = copy / mutant.file
    source = file.read_bytes()
    file.write_bytes(mutant.applied(source))
    try:
        limit = START_SECONDS + PATIENCE * sum(tests.values())
        status, _ = run_tests(copy, room, tests, limit)
    finally:
        file.write_bytes(source)
    return status == 0


def examine(room: str, chosen: list[Mutant], say: Callable[[str], None]) -> list[Mutant]:
    """The faults that live, of those chosen."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=ignored)
            elif source.exists():
                shutil.copy(source, copy / name)
        status, known = run_tests(copy, room, None, None)
        if status:
            raise SystemExit(
                f"the tests of {room} fail without any fault:\n{(copy / 'baseline.txt').read_text()[-3000:]}"
            )
        say(f"{room}: {len(known.seconds)} tests, {sum(known.seconds.values()):.0f} s")
        living: list[Mutant] = []
        for number, mutant in enumerate(chosen, 1):
            lived = lives(mutant, copy, room, known)
            if lived:
                living.append(mutant)
                say(f"\nLIVES {mutant.file}:{mutant.line}\n- {mutant.before}\n+ {mutant.after}")
            elif number % 10 == 0:
                say(f"{number} of {len(chosen)}: {len(living)} live")
        return living


def main() -> None:
    """Choose, examine, report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("room", choices=list(TESTS))
    parser.add_argument("--sample", type=int, default=60, help="how many faults are tried; 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="which sample")
    parser.add_argument("--only", default="", help="only in files whose name holds this")
    asked = parser.parse_args()
    every = [m for m in all_mutants(asked.room) if asked.only in str(m.file)]
    candidates = telling(every)
    size = min(asked.sample or len(candidates), len(candidates))
    chosen = random.Random(f"{asked.seed} {asked.room}").sample(candidates, size)
    import numpy  # noqa: F401  (once, before the tests' processes)
    import torch

    torch.set_num_threads(1)
    living = examine(asked.room, chosen, lambda text: print(text, flush=True))
    noticed = len(chosen) - len(living)
    print(f"\n{asked.room}: {noticed} of {len(chosen)} faults noticed ({noticed / max(len(chosen), 1):.0%}); "
          f"{len(every) - len(candidates)} of {len(every)} change nothing")  # fmt: skip
    sys.exit(bool(living))


if __name__ == "__main__":
    main()
