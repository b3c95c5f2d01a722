"""What happens to folders out there: full disks, altered bytes, links to elsewhere; for any kind of folder.

A `Kind` says how a folder is made, gone on with, and concluded from. The harnesses do the rest and count.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from headrace import files
from headrace.errors import HeadraceError
from headrace.files import StorageError
from headrace.store import lock


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of folder.

    Attributes:
        go_on: Makes the folder, or goes on with it, to its end.
        conclude: What follows from the folder, written into it and returned, comparable with `==`.
        stored: What is stored and must never be lost, comparable with `<=`.
    """

    go_on: Callable[[Path], Any]
    conclude: Callable[[Path], Any]
    stored: Callable[[Path], set]


class Killed(BaseException):
    """In place of a kill: nothing is written any more."""


class Failing:
    """The operating system as the writer of files sees it, which fails at the call numbered `at`.

    Args:
        at: Which of the calls that write fails, from 0 on, and all after it.
        error: With what.
        calls: Which calls write.
    """

    def __init__(self, at: int, error: BaseException, calls: tuple[str, ...]) -> None:
        self._left = at
        self._error = error
        self._calls = calls
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        return self._counted(found) if name in self._calls else found

    def open(self, path: str | Path, flags: int, *args: Any, **kwargs: Any) -> int:
        return (
            self._counted(os.open)(path, flags, *args, **kwargs)
            if flags & os.O_CREAT
            else os.open(path, flags, *args, **kwargs)
        )

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                self.failed = True
                raise self._error
            return call(*args, **kwargs)

        return counted


def full_disk(at: int) -> Failing:
    """A disk that is full, broken or read-only from a call on; what needs no room is still done."""
    code = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS)[at % 4]
    return Failing(at, OSError(code, os.strerror(code)), ("fsync", "rename", "mkdir", "pwrite"))


def killed(at: int) -> Failing:
    """A process that is killed at a call: it does nothing any more, not even remove what it began."""
    return Failing(at, Killed(), ("fsync", "rename", "mkdir", "pwrite", "ftruncate", "unlink"))


def slowly(step: int) -> list:
    """Parameters for `ended` that take minutes."""
    return [pytest.param(end, step, marks=pytest.mark.slow) for end in (full_disk, killed)]


def ended(
    end: Callable[[int], Failing],
    kind: Kind,
    base: Path,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    step: int,
) -> int:
    """Go on with a copy of `base`, ended at each `step`-th call in turn, and again; returns how often."""
    expected, count = None, 0
    while True:
        folder = work / f"ended-{count}"
        shutil.copytree(base, folder)
        before = kind.stored(folder)
        system = end(count * step)
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", system)
            patch.setattr(lock, "os", system)
            if not failed(kind, folder, system):
                break
        assert before <= kind.stored(folder), f"lost at call {count * step}"
        assert end is killed or not list(folder.rglob("*.partial"))
        kind.go_on(folder)
        found = kind.conclude(folder)
        expected = found if expected is None else expected
        assert found == expected, f"other results after call {count * step}"
        assert not list(folder.rglob("*.partial"))
        shutil.rmtree(folder)
        count += 1
    assert kind.conclude(folder) == expected
    return count


def failed(kind: Kind, folder: Path, system: Failing) -> bool:
    """Whether the system failed; then that must have been said."""
    try:
        kind.go_on(folder)
        kind.conclude(folder)
    except (StorageError, Killed):
        assert system.failed
    return system.failed


def alterations(content: bytes, random: Random, places: int) -> Iterator[tuple[str, bytes]]:
    """A file's content as a disk, a transfer or an editor may leave it."""
    yield "emptied", b""
    yield "zeroed", bytes(len(content))
    yield "doubled", content * 2
    for at in random.sample(range(len(content)), min(places, len(content))):
        yield f"cut at {at}", content[:at]
        for name, byte in (("bit", content[at] ^ 1 << at % 8), ("zero", 0), ("space", 32), ("digit", 57)):
            if byte != content[at]:
                yield f"{name} at {at}", content[:at] + bytes([byte]) + content[at + 1 :]
        yield f"byte lost at {at}", content[:at] + content[at + 1 :]


@dataclass
class Count:
    """How alterations ended."""

    refused: int = 0
    same: int = 0
    silent: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


def corruptions(kind: Kind, folder: Path, paths: list[Path], *, places: int, seed: int = 0) -> Count:
    """Alter each of the files in many ways: each time it is refused, or what follows is the same.

    Args:
        kind: What the folder is.
        folder: A finished folder; each file is put back.
        paths: The files to alter.
        places: At how many places of each.
        seed: Decides where.
    """
    expected, random, count = kind.conclude(folder), Random(seed), Count()
    for path in paths:
        whole = path.read_bytes()
        for name, content in alterations(whole, random, places):
            path.write_bytes(content)
            try:
                found = kind.conclude(folder)
            except HeadraceError:
                count.refused += 1
            except Exception as error:  # noqa: BLE001
                count.other.append(f"{path.relative_to(folder)}, {name}: {error!r}")
            else:
                if found == expected:
                    count.same += 1
                else:
                    count.silent.append(f"{path.relative_to(folder)}, {name}")
        path.write_bytes(whole)
    return count


def kills(arguments: list[str], folder: Path, modules: Path, *, times: int, seed: int = 0) -> int:
    """Run a command on a folder, killed with its workers at random moments, then once to its end; how often.

    A moment is a number of files in the folder, and a little later: how busy the machine is plays no part.

    Args:
        arguments: Of the command line; `--out` is added.
        folder: The folder.
        modules: Where the workload's module is.
        times: How many kills are tried; each comes later than the one before.
        seed: Decides when.
    """
    random, killed, timed = Random(seed), 0, folder.with_name("timed")
    environment = {**os.environ, "PYTHONPATH": f"{modules}:{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "headrace", *arguments, "--out"]
    subprocess.run([*command, str(timed)], env=environment, check=True, capture_output=True)
    moments = sorted(random.uniform(0, 0.9) for _ in range(times))
    for moment in moments:
        process = subprocess.Popen([*command, str(folder)], env=environment, start_new_session=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
        while process.poll() is None and _files(folder) <= moment * _files(timed):
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.1))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
    subprocess.run([*command, str(folder)], env=environment, check=True, capture_output=True)
    return killed


def _files(folder: Path) -> int:
    """How many whole files there are below a folder; some may vanish meanwhile."""
    return sum(not name.endswith(".partial") for _, _, names in os.walk(folder) for name in names)


def everything(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, links as such, with the content of files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in sorted(folder.rglob("*"))
    }


def linked(folder: Path, outside: Path, wanted: set[str] | None = None) -> Iterator[tuple[str, Path]]:
    """Copies of a folder in each of which one file or folder is a link to where it is in `outside`.

    Args:
        folder: The folder.
        outside: Where the links lead.
        wanted: Only these paths; None for all.
    """
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if wanted is not None and str(path.relative_to(folder)) not in wanted:
            continue
        copy, elsewhere = outside.parent / f"linked-{number}", outside / f"{number}"
        shutil.copytree(folder, copy)
        place = copy / path.relative_to(folder)
        elsewhere.parent.mkdir(parents=True, exist_ok=True)
        place.rename(elsewhere)
        place.symlink_to(elsewhere)
        yield str(path.relative_to(folder)), copy
        shutil.rmtree(copy)
