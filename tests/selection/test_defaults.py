"""What a strategy does if a search file says nothing: the same for ever."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from headrace import selection
from headrace.random import generator
from headrace.selection.registry import STRATEGIES

DEFAULTS = {
    "top_k": (("scores",), {}),
    "power": (("scores", "draws"), {"exponent": (1.0, 0, 1000, False)}),
    "stratified": (
        ("scores", "draws"),
        {"drop_hardest": (0.2, 0, 1, True), "strata": (50, 1, 1_000_000, False)},
    ),
    "class_balanced": (("scores", "classes", "one_class"), {}),
    "k_center": (("features", "apart"), {}),
    "score_times_distance": (("scores", "features", "apart"), {}),
    "badge": (("probabilities", "features", "draws", "one_class"), {}),
    "batch_bald": (
        ("member_probabilities", "draws", "one_class"),
        {"shortlist": (4.0, 1, 1e6, False), "configurations": (256, 1, 1_000_000, False)},
    ),
}
"""Strategy -> what it needs, and its settings: default, least, most, and whether most is beyond them."""


def test_the_defaults_stay() -> None:
    found = {
        name: (
            (*entry.by, *(flag for flag in ("draws", "apart", "one_class") if getattr(entry, flag))),
            {setting: astuple(bounds)[:4] for setting, bounds in entry.in_file.items()},
        )
        for name, entry in STRATEGIES.items()
    }
    assert found == DEFAULTS


def test_every_function_is_an_attribute_of_the_package_and_nothing_else_is() -> None:
    for name, entry in selection.FUNCTIONS.items():
        assert selection.__getattr__(name) is entry.find()
    with pytest.raises(AttributeError, match="no attribute 'bottom_k'"):
        selection.__getattr__("bottom_k")


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_keep_apart_from_what_was_chosen_before_or_do_not_know_of_it(name: str) -> None:
    entry, rng = STRATEGIES[name], np.random.default_rng(0)
    inputs = {
        "scores": rng.random(20),
        "features": rng.normal(size=(20, 3)),
        "classes": rng.integers(0, 3, 20),
        "probabilities": rng.dirichlet(np.ones(3), size=20),
        "member_probabilities": rng.dirichlet(np.ones(3), size=(2, 20)),
    }
    settings = {setting: given.default for setting, given in entry.settings.items()}
    plain, after = (
        entry.choose(inputs, 4, generator(0, "after"), initial=initial, settings=settings).tolist()
        for initial in ([], [int(np.argmax(inputs["scores"])), 0, 1, 2])
    )
    assert (plain == after) is not entry.apart
