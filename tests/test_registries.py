"""The registries: every entry names something, checks know it, and the documentation lists it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from headrace import acquisition, scores, selection
from headrace.ensembles.registry import ACQUISITIONS
from headrace.histories.registry import SCORES
from headrace.histories.score import Score
from headrace.homes import Entry
from headrace.selection.registry import FUNCTIONS, STRATEGIES
from headrace.training.recipe import RANGES
from headrace.training.registry import OPTIMIZERS, in_words

REGISTRIES: dict[str, Mapping[str, Entry]] = {
    "scores": SCORES,
    "acquisition": ACQUISITIONS,
    "selection": STRATEGIES,
    "training": OPTIMIZERS,
}
"""Page of the documentation -> what it lists."""
DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("page", REGISTRIES)
def test_every_entry_names_something_that_its_page_lists(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text()
    for name, entry in REGISTRIES[page].items():
        assert callable(entry.find()), name
        assert f"`{name}" in text, f"docs/{page}.md does not list {name}"


def test_they_are_reached_by_their_public_names() -> None:
    for name in SCORES:
        assert isinstance(getattr(scores, name), Score)
    assert all(getattr(acquisition, name) is entry.find() for name, entry in ACQUISITIONS.items())
    assert all(getattr(selection, name) is entry.find() for name, entry in FUNCTIONS.items())
    for room in (scores, acquisition, selection):
        with pytest.raises(AttributeError, match="nothing_like_it"):
            _ = room.nothing_like_it


def test_what_an_entry_says_is_what_its_function_takes() -> None:
    for strategy in STRATEGIES.values():
        taken = inspect.signature(strategy.find()).parameters
        words = {"member_probabilities": "probabilities"}
        positional = [words.get(name, name) for name in strategy.by] + ["count"]
        positional += ["rng"] if strategy.draws else []
        assert list(taken)[: len(positional)] == positional
        assert ("initial" in taken) == strategy.apart
        assert set(taken) - set(positional) - {"initial", "candidates"} == set(strategy.settings)
    assert all(entry.uses <= set(RANGES) for entry in OPTIMIZERS.values())
    assert all(entry.order_of is None or entry.order_of in SCORES for entry in SCORES.values())


def test_an_optimizer_of_another_version_is_written_by_its_name() -> None:
    assert in_words("nesterov", first=True) == in_words("nesterov") == "Nesterov momentum"
    assert in_words("momentum", first=True) == "Heavy-ball momentum"
    assert in_words("lion", first=True) == "lion"


def test_reading_the_registries_imports_no_torch() -> None:
    modules = sorted({type(entry).__module__ for each in REGISTRIES.values() for entry in each.values()})
    code = f"import {', '.join(modules)}, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
