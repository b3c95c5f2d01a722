"""The area under the ROC curve against brute force and scikit-learn; its interval against many draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from headrace.analysis.roc import area_under_roc
from headrace.errors import InputError
from headrace.random import generator


def by_pairs(scores: np.ndarray, positive: np.ndarray) -> float:
    ones, zeros = scores[positive], scores[~positive]
    return float(np.mean([(a > b) + 0.5 * (a == b) for a in ones for b in zeros]))


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30))
def test_it_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([s for s, _ in rows], float), np.array([p for _, p in rows])
    if positive.all() or not positive.any():
        with pytest.raises(InputError, match="both kinds"):
            area_under_roc(scores, positive)
        return
    found = area_under_roc(scores, positive)
    assert found.area == pytest.approx(by_pairs(scores, positive), abs=1e-12)
    assert found.area == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    # Turning the score turns the area.
    assert area_under_roc(-scores, positive).area == pytest.approx(1 - found.area, abs=1e-12)
    if found.interval:
        assert 0 <= found.interval[0] <= found.area <= found.interval[1] <= 1


def test_the_interval_is_as_wide_as_the_area_scatters() -> None:
    rng = generator(0, "roc")
    draws = [
        area_under_roc(np.concatenate([rng.normal(0.8, 1, 60), rng.normal(0, 1, 150)]), np.arange(210) < 60)
        for _ in range(400)
    ]
    scatter = np.std([draw.area for draw in draws])
    widths = [draw.interval[1] - draw.interval[0] for draw in draws if draw.interval]
    assert np.mean(widths) / (2 * 1.96) == pytest.approx(scatter, rel=0.12)
    truth = 0.7142  # Phi(0.8 / sqrt 2)
    covered = np.mean([draw.interval[0] <= truth <= draw.interval[1] for draw in draws if draw.interval])
    assert 0.92 <= covered <= 0.98


def test_a_million_examples_are_no_burden() -> None:
    rng = generator(0, "roc", "many")
    positive = rng.random(1_000_000) < 0.2
    assert area_under_roc(positive + rng.random(1_000_000), positive).area == 1.0


def test_what_is_no_score_is_refused() -> None:
    with pytest.raises(InputError, match="not a number"):
        area_under_roc([np.nan, 1.0], [True, False])
    with pytest.raises(InputError, match="one score for each example"):
        area_under_roc([1.0], [True, False])
    assert area_under_roc([1.0, 0.0, 0.0], [True, False, False]).interval is None


@pytest.mark.parametrize(
    "labels", [["0", "1", "0"], [-1, 1, 1], [0, 1, 2], [0.0, float("nan"), 1.0], [True, None, False]]
)
def test_labels_other_than_two_kinds_are_refused(labels: list[object]) -> None:
    with pytest.raises(InputError, match="true and false, or 1 and 0"):
        area_under_roc([1, 2, 3], labels)
    with pytest.raises(InputError, match="scores must be numbers"):
        area_under_roc(["1_0", "2", "3"], [0, 1, 1])
