"""A small experiment, from which tests change what they are about."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.specs.experiment import Experiment

CONTENT: dict[str, Any] = {
    "seed": 3,
    "workload": {"name": "tiny_workload:blobs"},
    "grid": {"batch_size": [4, 16], "optimizer": ["sgd", "nesterov"]},
    "search": {
        "trials": 6,
        "space": {
            "learning_rate": {"low": 1e-2, "high": 1e3, "scale": "log"},
            "momentum": {"low": 0.5, "high": 0.99, "scale": "one-minus-log"},
        },
    },
    "training": {"budget": {"steps": 60}, "evaluation": {"ratio": 1.2}},
}


def merged(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`content` with the values at dotted keys replaced, or removed where the value is None."""
    content = copy.deepcopy(content)
    for path, value in changes.items():
        *tables, key = path.split(".")
        table = content
        for name in tables:
            table = table.setdefault(name, {})
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    return content


@pytest.fixture
def content() -> Callable[..., dict[str, Any]]:
    """Dotted key -> value changes, to the content of a small experiment's file."""
    return lambda changes=None: merged(CONTENT, changes or {})


@pytest.fixture
def experiment(content: Callable[..., dict[str, Any]]) -> Callable[..., Experiment]:
    """The same, as an experiment."""
    return lambda changes=None: Experiment.from_dict(content(changes))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `tiny_workload` importable, in worker processes too."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
