"""A small search, from which tests change what they are about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.conftest import merged
from headrace.specs.search import SubsetSearch

CONTENT: dict[str, Any] = {
    "seed": 1,
    "workload": {"name": "pool_workload:pool"},
    "search": {"sizes": [0.125, 0.25, 0.5]},
    "training": {
        "runs": 2,
        "checkpoints": 2,
        "batch_size": 8,
        "hyperparameters": {"learning_rate": 0.1},
        "budget": {"steps": 20},
    },
}


@pytest.fixture
def table() -> Callable[..., dict[str, Any]]:
    """Dotted key -> value changes, to the content of a small search's file."""
    return lambda changes=None: merged(CONTENT, changes or {})


@pytest.fixture
def spec(
    table: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., SubsetSearch]:
    """The same, as a search whose workload can be imported."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return lambda changes=None: SubsetSearch.from_dict(table(changes))
