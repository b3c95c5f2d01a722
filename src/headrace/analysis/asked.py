"""What was run: what a reader needs to run it again."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.sealed import read_toml
from headrace.store.experiments import EXPERIMENT

if TYPE_CHECKING:
    from headrace.store.experiments import StoredExperiment

FACTS = ("description", "train_examples", "validation_examples", "test_examples", "parameters")
"""What is shown about a workload."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was run: what a reader needs to run it again.

    Attributes:
        text: The text of the experiment file, or None.
        seed: The experiment's seed, or None.
        facts: The workload's `description` and counts (`train_examples`, `parameters`, ...), where known.
    """

    text: str | None = None
    seed: int | None = None
    facts: Mapping[str, str | int] = field(default_factory=dict)


def asked(stored: StoredExperiment) -> Asked:
    """What a stored experiment was asked for."""
    text = read_toml(stored.directory / EXPERIMENT)
    facts = {} if stored.facts is None else {name: getattr(stored.facts, name) for name in FACTS}
    return Asked(
        text=text,
        seed=tomllib.loads(text).get("seed"),
        facts={name: value for name, value in facts.items() if value},
    )
