"""Files are whole or not there, flushed with their folder, and never written through a link."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from headrace.files import StorageError, clean, guarded, remove, write_whole, writing


def test_a_file_and_its_missing_folders_are_made(tmp_path: Path) -> None:
    write_whole(tmp_path / "a/b/c.json", b"new")
    assert (tmp_path / "a/b/c.json").read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["c.json"]


def test_the_file_and_its_folder_are_flushed_and_in_this_order(tmp_path: Path, monkeypatch) -> None:
    """Content before the name, the name before the end: what a power loss needs."""
    seen: list[str] = []
    fsync, rename = os.fsync, os.rename

    def flushed(descriptor: int) -> None:
        seen.append(Path(f"/proc/self/fd/{descriptor}").readlink().name.rsplit(".", 2)[0])
        fsync(descriptor)

    def renamed(*args: object, **kwargs: object) -> None:
        seen.append("rename")
        rename(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "rename", renamed)
    write_whole(tmp_path / "new/x", b"1")
    assert seen == [tmp_path.name, ".x", "rename", "new"]


@pytest.mark.parametrize("fails", ["fsync", "rename", "open", "mkdir"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES])
def test_after_any_error_the_former_file_is_there_and_nothing_else(
    tmp_path: Path, monkeypatch, fails: str, code: int
) -> None:
    target = tmp_path / ("sub/x" if fails == "mkdir" else "x")
    if fails != "mkdir":
        target.write_bytes(b"old")

    def failing(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, fails, failing)
    with pytest.raises(StorageError, match="everything stored before is safe"):
        write_whole(target, b"new")
    monkeypatch.undo()
    assert [p.name for p in tmp_path.rglob("*")] == ([] if fails == "mkdir" else ["x"])
    assert fails == "mkdir" or target.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, r"x: the disk is full\. Make room and run again"),
        (errno.EDQUOT, r"x: the disk quota is used up\. Make room"),
        (errno.EROFS, r"x: the disk is read-only\. Make it writable, or choose another folder"),
        (errno.EIO, r"x: cannot be written \(Input/output error\)"),
    ],
)
def test_the_words_of_each_failure(tmp_path: Path, monkeypatch, code: int, words: str) -> None:
    def failing(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StorageError, match=words):
        write_whole(tmp_path / "x", b"")


def test_an_error_of_whoever_writes_keeps_the_former_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(KeyError), writing(tmp_path / "x") as file:
        file.write(b"half")
        raise KeyError
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x", b"old")]


def test_a_link_at_the_files_own_name_is_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    for name in ("report.html", "dangling"):
        (tmp_path / "folder" / name).symlink_to(mine if name == "report.html" else tmp_path / "made")
        write_whole(tmp_path / "folder" / name, b"theirs")
        assert not (tmp_path / "folder" / name).is_symlink()
    assert mine.read_bytes() == b"mine"
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("depth", ["figures", "figures/deeper"])
@pytest.mark.parametrize("act", ["write", "remove"])
def test_a_link_to_a_folder_is_followed_only_outside_of_a_guard(tmp_path: Path, depth: str, act: str) -> None:
    mine, received = tmp_path / "mine", tmp_path / "received"
    mine.mkdir()
    (mine / "a.svg").write_bytes(b"mine")
    (received / depth).parent.mkdir(parents=True)
    (received / depth).symlink_to(mine)
    work = remove if act == "remove" else lambda path: write_whole(path, b"theirs")
    with guarded(received), pytest.raises(StorageError, match=rf"{depth}: is a link, and nothing is written"):
        work(received / depth / "a.svg")
    assert {p.name: p.read_bytes() for p in mine.iterdir()} == {"a.svg": b"mine"}
    write_whole(received / depth / "b.svg", b"chosen by the user")
    assert (mine / "b.svg").exists()


def test_a_guarded_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "named").symlink_to("real")
    with guarded(tmp_path / "named"):
        write_whole(tmp_path / "named/sub/x", b"1")
    assert (tmp_path / "real/sub/x").exists()


@pytest.mark.parametrize("end", ["removed", "renamed", "replaced"])
def test_a_guarded_folder_that_goes_away_is_not_made_again(tmp_path: Path, end: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with guarded(folder):
        write_whole(folder / "a/x", b"1")
        folder.rename(tmp_path / "other")
        if end == "replaced":  # as an unmounted folder leaves the empty one that it covered
            folder.mkdir()
        words = rf"{folder}: the folder was removed, renamed or unmounted while it was in use\. Bring it back"
        with pytest.raises(StorageError, match=words):
            write_whole(folder / "a/y", b"2")
    assert not folder.exists() or not list(folder.iterdir())
    assert [p.name for p in (tmp_path / "other").rglob("*")] == ["a", "x"]


def test_a_guard_ends_with_its_block_and_nests(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with guarded(folder):
        with guarded(folder):
            pass
        folder.rmdir()
        with pytest.raises(StorageError):
            write_whole(folder / "x", b"")
    write_whole(folder / "x", b"")


def test_leftovers_of_killed_writers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    process = os.fork()
    if process == 0:
        with writing(tmp_path / "deep/data.parquet") as file:
            file.write(b"half")
            file.flush()
            os._exit(9)
    os.waitpid(process, 0)
    kept = {"x.partial", ".mine.partial", ".hidden"}
    for name in (*kept, ".results.json.partial"):
        (tmp_path / name).write_bytes(b"")
    assert len(list((tmp_path / "deep").iterdir())) == 1
    clean(tmp_path)
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == kept


def test_names_of_the_longest_length_are_written(tmp_path: Path) -> None:
    name = "n" * 250 + ".json"
    write_whole(tmp_path / name, b"1")
    assert (tmp_path / name).read_bytes() == b"1"
