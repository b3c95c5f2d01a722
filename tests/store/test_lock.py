"""The lock between machines: which file systems pass it on, and what is said where it cannot hold."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from headrace.errors import BusyError, InputError
from headrace.files import StorageError
from headrace.store import lock, mounts

LINE = "{number} 1 0:{number} / {place} rw,relatime shared:1 - {kind} {source} rw,vers=4.2{options}\n"


def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: str = "") -> Path:
    """A table of mounts in which `tmp_path/disk here` is of this kind."""
    place = tmp_path / "disk here"
    place.mkdir(exist_ok=True)
    text = LINE.format(number=1, place="/", kind="ext4", source="/dev/sda", options="")
    written = str(place).replace(" ", "\\040")
    text += LINE.format(number=2, place=written, kind="ext4", source="/dev/hidden", options="")
    text += LINE.format(number=3, place=written, kind=kind, source="server:/export", options=options)
    (tmp_path / "mounts").write_text(text)
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mounts")
    return place / "run"


@pytest.mark.parametrize(
    ("kind", "options", "passes"),
    [
        ("ext4", "", True),
        ("nfs4", "", True),
        ("nfs", ",nolock", False),
        ("nfs", ",local_lock=flock", False),
        ("nfs", ",local_lock=posix", True),
        ("lustre", "", False),
        ("lustre", ",flock", True),
        ("lustre", ",localflock", False),
        ("fuse.sshfs", "", False),
        ("cifs", "", False),
    ],
)
def test_a_machine_that_may_still_run_is_not_run_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: str, passes: bool
) -> None:
    folder = table(tmp_path, monkeypatch, kind, options)
    with lock.exclusive(folder):
        assert lock.host() in (folder / lock.NAME).read_text()
    # Left cleanly, the folder is free for any machine.
    monkeypatch.setattr(lock, "gethostname", lambda: "node8.cluster")
    with lock.exclusive(folder):
        pass
    (folder / lock.NAME).write_text("4711 node7.cluster")
    if passes:
        with lock.exclusive(folder):
            pass
        return
    with pytest.raises(BusyError) as raised, lock.exclusive(folder):
        pass
    assert "was last used by process 4711 on node7.cluster, and whether that still runs cannot" in str(
        raised.value
    )
    assert kind in str(raised.value)
    assert f"remove {folder / lock.NAME}" in str(raised.value)
    assert (folder / lock.NAME).read_text() == "4711 node7.cluster"
    monkeypatch.setattr(lock, "gethostname", lambda: "node7.cluster")
    with lock.exclusive(folder):
        pass


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(lock.errno.ENOLCK, "No locks available")

    (tmp_path / lock.NAME).write_text("12 elsewhere")
    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with pytest.raises(BusyError, match="because this file system has no locks"), lock.exclusive(tmp_path):
        pass
    (tmp_path / lock.NAME).unlink()
    with lock.exclusive(tmp_path):
        assert (tmp_path / lock.NAME).read_text() == f"{os.getpid()} {lock.host()}"


def test_a_lock_of_an_older_version_and_what_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / lock.NAME).write_text("123")
    with lock.exclusive(tmp_path):
        pass
    for content in ("12 a b", "x", "12 ../host", "12 h" + "o" * 400):
        (tmp_path / lock.NAME).write_text(content)
        with pytest.raises(InputError, match="is not a lock file"), lock.exclusive(tmp_path):
            pass
        assert (tmp_path / lock.NAME).read_text() == content


WHOLE = f"{os.getpid()} {lock.host()}".encode()


@pytest.mark.parametrize("old", [b"", b"4711", b"4711 " + lock.host().encode() + b"x" * 40])
@pytest.mark.parametrize("call", ["open", "ftruncate", "pwrite", "half"])
def test_a_lock_whose_owner_was_killed_while_writing_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes, call: str
) -> None:
    folder = tmp_path / "run"
    if old:
        folder.mkdir()
        (folder / lock.NAME).write_bytes(old)
    child = os.fork()
    if child == 0:
        _killed_after(monkeypatch, call)
        with lock.exclusive(folder):
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert lock.holder(folder) is None
    with lock.exclusive(folder):
        assert (folder / lock.NAME).read_bytes() == WHOLE
        assert lock.holder(folder) == str(os.getpid())


def _killed_after(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Have this process killed after a call of the operating system on the lock."""
    whole = getattr(os, "pwrite" if call == "half" else call)

    def last(*given, **named):
        if call == "half":
            whole(given[0], given[1][: len(given[1]) // 2], given[2])
        elif call != "open" or str(given[0]).endswith(lock.NAME):
            whole(*given, **named)
        else:
            return whole(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    monkeypatch.setattr(os, "pwrite" if call == "half" else call, last)


def test_what_a_power_loss_leaves_of_a_lock_is_taken(tmp_path: Path) -> None:
    """Any part of it, and zeros in place of what had not reached the disk."""
    parts = [WHOLE[:end] for end in range(len(WHOLE) + 1)]
    zeros = [bytes(place) + WHOLE[place:] for place in range(1, len(WHOLE) + 1)]
    for left in (*parts, *zeros, *(part + bytes(9) for part in parts), b"12 node7.clus\0\0\0\0"):
        (tmp_path / lock.NAME).write_bytes(left)
        assert lock.holder(tmp_path) is None
        with lock.exclusive(tmp_path):
            assert (tmp_path / lock.NAME).read_bytes() == WHOLE


@pytest.mark.parametrize("content", [b"\0\0/home", b"\x7fELF\0\0", b"a, b\0", b"\xff\xfe1\0"])
def test_a_file_of_someone_else_with_zeros_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / lock.NAME).write_bytes(content)
    with pytest.raises(InputError, match="is not a lock file"), lock.exclusive(tmp_path):
        pass
    assert (tmp_path / lock.NAME).read_bytes() == content


@pytest.mark.parametrize("call", ["open", "ftruncate", "pwrite"])
def test_a_lock_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    (tmp_path / lock.NAME).write_bytes(b"12")
    whole = getattr(os, call)

    def full(*given, **named):
        if call == "open" and not str(given[0]).endswith(lock.NAME):
            return whole(*given, **named)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(StorageError, match="the disk is full"), lock.exclusive(tmp_path):
            pass
    with lock.exclusive(tmp_path):
        assert lock.holder(tmp_path) == str(os.getpid())


def test_a_lock_that_cannot_be_emptied_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    with pytest.raises(KeyError, match="mine"), lock.exclusive(tmp_path):
        monkeypatch.setattr(os, "ftruncate", gone)
        raise KeyError("mine")
    monkeypatch.undo()
    with lock.exclusive(tmp_path):
        pass
