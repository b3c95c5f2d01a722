"""Tests against other people's packages: collected only by `pytest -m extras`, because they import them."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def asked(config: pytest.Config) -> bool:
    return "extras" in str(config.option.markexpr).replace("not extras", "")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if asked(config) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.extras)
