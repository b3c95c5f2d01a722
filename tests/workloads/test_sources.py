"""The code of a workload: what it means counts, in the module and in those next to it that it imports."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from headrace.workloads.sources import reading, sources

MODULE = '''"""A docstring."""
import math
from helpers import scale  # from next door


def build(width=3):
    """Builds."""
    from layers.dense import deep
    return deep(scale(width))
'''
HELPERS = "def scale(x):\n    return 2 * x\n"
DENSE = "from . import parts\nfrom ..helpers import scale\n\n\ndef deep(x):\n    return parts.PART + x\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    files = {
        "mine.py": MODULE,
        "helpers.py": HELPERS,
        "layers/__init__.py": "",
        "layers/dense.py": DENSE.replace("from ..helpers import scale\n", ""),
        "layers/parts.py": "PART = 1\n",
        "unused.py": "X = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def read(name: str = "mine") -> dict[str, str]:
    for loaded in ("mine", "helpers", "layers", "layers.dense", "layers.parts"):
        sys.modules.pop(loaded, None)
    with reading():
        import_module(name)
        return sources(name)


def changed(folder: Path, file: str, old: str, new: str) -> list[str]:
    """The files whose digest is another one after a text in one of them was replaced."""
    before = read()
    path = folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    after = read()
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def test_it_is_the_module_and_what_it_imports_next_door(folder: Path) -> None:
    assert list(read()) == [
        "helpers.py",
        "layers/__init__.py",
        "layers/dense.py",
        "layers/parts.py",
        "mine.py",
    ]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("mine.py", "width=3", "width=4"),
        ("helpers.py", "2 * x", "2.0 * x"),
        ("layers/dense.py", "PART + x", "x + PART"),
        ("layers/parts.py", "PART = 1", "PART = -1"),
    ],
)
def test_a_changed_meaning_is_found(folder: Path, file: str, old: str, new: str) -> None:
    assert changed(folder, file, old, new) == [file]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("mine.py", "  # from next door", ""),
        ("mine.py", '"""Builds."""', '"""Builds a model."""'),
        ("mine.py", '"""A docstring."""', ""),
        ("mine.py", "\n\n\ndef", "\n\n\n\n\ndef"),
        ("helpers.py", "2 * x", "(2*x)"),
        ("unused.py", "1", "2"),
    ],
)
def test_comments_docstrings_and_layout_are_no_change(folder: Path, file: str, old: str, new: str) -> None:
    assert changed(folder, file, old, new) == []


def test_a_module_is_known_by_the_text_that_was_compiled(folder: Path) -> None:
    """Edited after it was imported, the process still runs the old text, and says so."""
    before = read()
    (folder / "helpers.py").write_text(HELPERS.replace("2", "3"))
    assert sources("mine") == before
    assert read()["helpers.py"] != before["helpers.py"]


def test_a_cached_compilation_of_another_text_is_not_taken(folder: Path) -> None:
    """Same length, same second: Python alone would run the old code under the new text."""
    path = folder / "helpers.py"
    os.utime(path, (1_000_000_000, 1_000_000_000))
    import_module("helpers")
    path.write_text(HELPERS.replace("2", "9"))
    os.utime(path, (1_000_000_000, 1_000_000_000))
    read("mine")
    assert sys.modules["helpers"].scale(1) == 9


def test_a_module_of_a_package_is_known_with_its_package(folder: Path) -> None:
    (folder / "layers/parts.py").write_text("from .. import nothing_above\n")
    (folder / "layers/alone.py").write_text("from .parts import PART\n")
    (folder / "layers/parts.py").write_text("from layers import dense\nPART = 1\n")
    assert list(read("layers.alone")) == [
        "layers/__init__.py", "layers/alone.py", "layers/dense.py", "layers/parts.py",
    ]  # fmt: skip


def test_what_is_installed_is_known_by_its_own_package_alone(folder: Path, monkeypatch) -> None:
    site = folder / "site-packages"
    (site / "own").mkdir(parents=True)
    (site / "own/__init__.py").write_text("import other\nfrom own import inner\n")
    (site / "own/inner.py").write_text("")
    (site / "other.py").write_text("")
    monkeypatch.syspath_prepend(str(site))
    assert list(read("own")) == ["own/__init__.py", "own/inner.py"]


def test_modules_of_the_users_elsewhere_on_the_path_count(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = tmp_path_factory.mktemp("common")
    (common / "shared_code/inner").mkdir(parents=True)
    (common / "shared_code/__init__.py").write_text("from .inner import deep\n")
    (common / "shared_code/inner/__init__.py").write_text("")
    (common / "shared_code/inner/deep.py").write_text("X = 1\n")
    (folder / "lib").mkdir()
    (folder / "lib/near.py").write_text("import polars, json, torch\n")
    (folder / "mine.py").write_text("import shared_code, near\nimport headrace.errors\n")
    for path in (common, folder / "lib"):
        monkeypatch.syspath_prepend(str(path))
    files = ["shared_code/__init__.py", "shared_code/inner/__init__.py", "shared_code/inner/deep.py"]
    assert list(read()) == ["lib/near.py", "mine.py", *files]
    before = read()
    (common / "shared_code/inner/deep.py").write_text("X = 2\n")
    for name in [name for name in sys.modules if name.startswith("shared_code")]:
        del sys.modules[name]
    after = read()
    assert [name for name in before if before[name] != after[name]] == files[2:]


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\nimportlib.import_module('helpers')\n",
        "from importlib import *\ndef f():\n    return import_module(name)\n__import__('helpers')\n",
    ],
)
def test_imports_by_a_call_are_followed(folder: Path, text: str) -> None:
    (folder / "mine.py").write_text(text)
    assert changed(folder, "helpers.py", "2 * x", "5 * x") == ["helpers.py"]
