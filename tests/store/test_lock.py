"""The lock between machines: which file systems pass it on, and what is said where it cannot hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.errors import BusyError, InputError
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
