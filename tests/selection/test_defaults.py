"""What a strategy does if a search file says nothing: the same for ever."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from headrace import selection
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
