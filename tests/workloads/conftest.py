"""The real data sets, where they are; a test that wants a missing one is skipped and says where it looked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.workloads.locations import find, places


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """`real_data(name)` is the folder of the data set; the test is skipped where it is missing."""

    def folder(name: str) -> Path:
        found = find(name)
        if found is None:
            pytest.skip(f"no {name}; looked in {', '.join(map(str, places(name)))}")
        return found

    return folder


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The root of an empty `HEADRACE_DATA`, with an empty cache."""
    root = tmp_path / "data"
    root.mkdir()
    monkeypatch.setenv("HEADRACE_DATA", str(root))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return root
