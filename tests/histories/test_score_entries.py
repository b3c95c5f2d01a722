"""What is known of each score before there is a history."""

from __future__ import annotations

import pytest

from headrace.histories import scores
from headrace.histories.registry import SCORES


def test_what_is_known_of_the_scores_stays() -> None:
    assert {name for name, entry in SCORES.items() if entry.hard == "low"} == {
        "easiness", "confidence", "correctness", "aum",
    }  # fmt: skip
    assert {name for name, entry in SCORES.items() if not entry.needs_predictions} == {
        "mean_loss",
        "loss_variance",
    }
    assert {name for name, entry in SCORES.items() if entry.negative} == {"aum"}
    orders = {name: entry.order_of for name, entry in SCORES.items() if entry.order_of}
    assert orders == {"easiness": "difficulty", "confidence": "difficulty"}


def test_every_score_is_an_attribute_and_nothing_else_is() -> None:
    for name, score in scores.SCORES.items():
        assert scores.__getattr__(name) is score
    with pytest.raises(AttributeError, match="no attribute 'luck'"):
        scores.__getattr__("luck")
