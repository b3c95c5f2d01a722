"""How many small faults in a room's code its tests notice: `make mutants ROOM=sampling`.

Each fault (see `mutations`) is put into a copy of the repository, and the room's tests that call the function
with the fault are run until one fails, and last those that start processes, which may call it there. Nothing
is written outside the copy. What lives is printed with its line, and then the share that was noticed. A fault
that changes no behaviour is listed in `equivalent.toml` with the reason, and does not count. The conformance
suites that the package ships (`testing.py`) are tests themselves and are left alone.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

from mutant_runs import PATIENCE, START_SECONDS, STARTS, UNFIT, Known, Stand, run_anew
from mutations import Mutant, mutants
from places import defined_at, first_line, functions_at, naming

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
DEVICE = "tests/device/test_"
STATES = "tests/test_states.py"
TESTS = {
    "sampling": ["tests/sampling", STATES, DEVICE + "own_loop.py"],
    "policies": ["tests/policies", DEVICE + "own_loop.py"],
    "histories": ["tests/histories", STATES, DEVICE + "own_loop.py"],
    "ensembles": ["tests/ensembles", STATES, DEVICE + "ensembles.py"],
    "selection": ["tests/selection", DEVICE + "selection.py"],
    "analysis": ["tests/analysis"],
    "training": ["tests/training", STATES, DEVICE + "training.py"],
}
"""Room -> its tests."""
COPIED = ("src", "tests", "examples", "docs", "benchmarks", "pyproject.toml", "README.md")


def covering(mutant: Mutant, copy: Path, known: Known) -> dict[str, float]:
    """The tests that call the function with the fault, the quickest first.

    Of a fault outside functions those that call a function which names what it defines, and those that name
    it themselves; or all, if something else may depend on it. After them those that start processes, where
    the function may be called unseen.

    Returns:
        Test -> its processor time without the fault.
    """
    file, line = mutant.file, mutant.line
    around = functions_at(copy / file, line)
    called = {f"{copy / file}:{first_line(around[-1])}"} if around else naming(file, line, copy)
    named = set[str]() if around else _naming_files(file, line, copy, known)
    seen = [
        test
        for test, calls in known.called.items()
        if called is None or called & set(calls) or test.partition("::")[0] in named
    ]
    unseen = [test for test, calls in known.called.items() if STARTS in calls and test not in seen]
    quickest = [sorted(tests, key=lambda test: known.seconds[test]) for tests in (seen, unseen)]
    return {test: known.seconds[test] for tests in quickest for test in tests}


def _naming_files(file: Path, line: int, copy: Path, known: Known) -> set[str]:
    """The files of tests that name what a line of a module defines."""
    names = [name.encode() for name in defined_at(copy / file, line)]
    files = {test.partition("::")[0] for test in known.called}
    return {each for each in files if any(name in (copy / each).read_bytes() for name in names)}


def telling(found: list[Mutant]) -> list[Mutant]:
    """Those not listed as changing nothing: in a function, at a line, or at a line and what it becomes."""
    listed = tomllib.loads(EQUIVALENT.read_text())["equivalent"]
    lines = {(one["file"], one["before"], one.get("after")) for one in listed if "before" in one}
    functions = {(one["file"], one["function"]) for one in listed if "function" in one}

    def changes_nothing(mutant: Mutant) -> bool:
        around = functions_at(ROOT / mutant.file, mutant.line)
        name = around[-1].name if around else ""
        where = str(mutant.file)
        line = {(where, mutant.before, mutant.after), (where, mutant.before, None)}
        return bool(lines & line) or (where, name) in functions

    return [mutant for mutant in found if not changes_nothing(mutant)]


def all_mutants(room: str) -> list[Mutant]:
    """Every fault of a room."""
    files = sorted(path.relative_to(ROOT) for path in (ROOT / "src" / "headrace" / room).rglob("*.py"))
    kept = [file for file in files if file.name != "testing.py"]
    return [mutant for file in kept for mutant in mutants(file, (ROOT / file).read_bytes())]


def lives(mutant: Mutant, stand: Stand, known: Known) -> bool:
    """Whether no test of the room notices the fault."""
    copy = stand.copy
    tests, around = covering(mutant, copy, known), functions_at(copy / mutant.file, mutant.line)
    if not tests:
        return True
    file = copy / mutant.file
    source = file.read_bytes()
    file.write_bytes(mutant.applied(source))
    try:
        limit = START_SECONDS + PATIENCE * sum(tests.values())
        first = first_line(around[0]) if around else 0
        status = stand.run(tests, limit, file, first)[0] if around else UNFIT
        if status == UNFIT:
            status = run_anew(copy, stand.room, tests, limit)
    finally:
        file.write_bytes(source)
    return status == 0


def examine(room: str, chosen: list[Mutant], say: Callable[[str], None]) -> list[Mutant]:
    """The faults that live, of those chosen."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder).resolve()
        _copy_to(copy)
        stand = Stand(copy, copy / "src" / "headrace" / room, TESTS[room])
        status, known, failures = stand.run(None, None)
        if status:
            raise SystemExit(f"the tests of {room} fail without any fault:\n{failures[-3000:]}")
        say(f"{room}: {len(known.seconds)} tests, {sum(known.seconds.values()):.0f} s")
        living: list[Mutant] = []
        for number, mutant in enumerate(chosen, 1):
            if lives(mutant, stand, known):
                living.append(mutant)
                say(f"\nLIVES {mutant.file}:{mutant.line}\n- {mutant.before}\n+ {mutant.after}")
            if number % 10 == 0:
                say(f"{number} of {len(chosen)}: {len(living)} live")
        stand.close()
        return living


def _copy_to(folder: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis")
            )
        elif source.exists():
            shutil.copy(source, folder / name)


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
    # Once, before the tests' processes.
    import hypothesis  # noqa: F401
    import scipy.stats  # noqa: F401
    import torch

    torch.set_num_threads(1)
    living = examine(asked.room, chosen, lambda text: print(text, flush=True))
    noticed = len(chosen) - len(living)
    print(f"\n{asked.room}: {noticed} of {len(chosen)} faults noticed ({noticed / max(len(chosen), 1):.0%}); "
          f"{len(every) - len(candidates)} of {len(every)} change nothing")  # fmt: skip
    sys.exit(bool(living))


if __name__ == "__main__":
    main()
