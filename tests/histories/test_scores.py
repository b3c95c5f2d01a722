"""Every score against brute force over stored predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.histories import SCORES, History, LossHistory, scores, smoothed

from .brute import Batch, Stored, batches, record

N = 5


def variance_score(p: np.ndarray) -> float:
    return np.sqrt(p.var() + p.var() ** 2 / (len(p) - 1))


BRUTE = {
    "difficulty": (1, lambda seen: 1 - seen["probability"].mean()),
    "easiness": (1, lambda seen: seen["probability"].mean()),
    "prediction_variance": (2, lambda seen: variance_score(seen["probability"])),
    "threshold_closeness": (1, lambda seen: seen["probability"].mean() * (1 - seen["probability"].mean())),
    "mean_loss": (1, lambda seen: seen["loss"].mean()),
    "loss_variance": (2, lambda seen: seen["loss"].var()),
    "confidence": (1, lambda seen: seen["probability"].mean()),
    "variability": (2, lambda seen: seen["probability"].std()),
    "correctness": (1, lambda seen: seen["correct"].mean()),
    "el2n": (1, lambda seen: seen["el2n"].mean()),
    "aum": (1, lambda seen: seen["margin"].mean()),
}
"""Score -> how many observations it needs, and its formula over one example's stored observations."""


def brute(name: str, stored: Stored) -> np.ndarray:
    quantities = ("probability", "loss", "correct", "el2n", "margin", "lost")
    seen = [{quantity: stored.column(i, quantity) for quantity in quantities} for i in range(N)]
    if name == "forgetting":
        most = max(len(s["lost"]) for s in seen)
        raw = [None if not len(s["lost"]) else s["lost"].sum() if s["correct"].any() else most for s in seen]
    else:
        needed, formula = BRUTE[name]
        raw = [formula(s) if len(s["loss"]) >= needed else None for s in seen]
    known = [value for value in raw if value is not None]
    mean = np.mean(known) if known else 0.0
    return np.array([mean if value is None else value for value in raw])


@given(batches())
@settings(max_examples=60, deadline=None)
def test_every_score_equals_brute_force(sequence: list[Batch]) -> None:
    history, stored = History(N), Stored(N)
    for batch in sequence:
        record(history, batch)
        stored.record(*batch)
    for name, score in SCORES.items():
        mine = score(history)
        assert isinstance(mine, np.ndarray)
        assert mine.dtype == np.float32
        # A square root turns a rounding of 1e-7 in a tiny variance into 3e-4.
        loose = 1e-3 if name in ("prediction_variance", "variability") else 2e-5
        np.testing.assert_allclose(mine, brute(name, stored), rtol=1e-4, atol=loose, err_msg=name)


def test_the_scores_are_those_of_the_design() -> None:
    names = (
        "difficulty, easiness, prediction_variance, threshold_closeness, mean_loss, loss_variance, "
        "confidence, variability, correctness, forgetting, el2n, aum"
    )
    assert set(SCORES) == set(names.split(", ")) == set(BRUTE) | {"forgetting"}
    assert all(getattr(scores, name) is score for name, score in SCORES.items())


def easy_and_hard() -> History:
    """Example 0 is right and sure, 1 goes to and fro, 2 is always wrong and varies, 3 is never seen."""
    history = History(4)
    for step in range(6):
        swing = 1.0 if step % 2 == 0 else -1.0
        logits = torch.tensor([[5.0, 0.0], [swing, 0.0], [-2.0 + 0.5 * swing, 0.0]])
        history.record(torch.arange(3), logits, torch.zeros(3, dtype=torch.int64))
    return history


def test_each_score_says_in_which_direction_the_hard_examples_lie() -> None:
    history = easy_and_hard()
    for name, score in SCORES.items():
        hardness = score.hardness(history)
        assert hardness[0] < hardness[1], name
        if name not in ("prediction_variance", "variability", "threshold_closeness"):
            assert hardness[0] < hardness[2], name
        assert score.__doc__ != type(score).__doc__


def test_an_example_never_learnt_is_harder_than_any_that_was_forgotten() -> None:
    forgotten = scores.forgetting(easy_and_hard())
    assert forgotten.tolist() == [0.0, 3.0, 6.0, 3.0]


def test_examples_seen_once_get_the_mean_where_a_variance_is_needed() -> None:
    history = History(3)
    logits = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [3.0, 0.0]])
    history.record(torch.tensor([0, 0, 1]), logits, torch.tensor([0, 0, 0]))
    v = np.var([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])
    np.testing.assert_allclose(scores.prediction_variance(history), [np.sqrt(v + v * v)] * 3, rtol=1e-5)
    np.testing.assert_allclose(scores.variability(history), [np.sqrt(v)] * 3, rtol=1e-5)


@pytest.mark.parametrize("form", [{}, {"decay": 0.5}, {"window": 2}])
def test_scores_of_nothing_and_of_one_observation_are_finite(form: dict) -> None:
    history = History(3, **form)
    for _ in range(2):
        for score in SCORES.values():
            assert np.isfinite(score(history)).all()
        history.record(torch.tensor([1]), torch.tensor([[2.0, 0.0]]), torch.tensor([0]))


def test_a_windowed_score_forgets_what_left_the_window() -> None:
    history = History(1, window=2)
    for z in (-9.0, 1.0, 2.0):
        history.record(torch.tensor([0]), torch.tensor([[z, 0.0]]), torch.tensor([0]))
    p = 1 / (1 + np.exp([-1.0, -2.0]))
    np.testing.assert_allclose(scores.prediction_variance(history), variance_score(p), rtol=1e-4)
    np.testing.assert_allclose(scores.aum(history), 1.5)


def test_losses_alone_serve_the_loss_scores_and_no_others() -> None:
    history = LossHistory(2)
    history.record(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
    for score in SCORES.values():
        if score.needs_predictions:
            with pytest.raises(InputError, match=r"losses only.*use mean_loss or loss_variance"):
                score(history)
        else:
            assert np.isfinite(score(history)).all()


def test_merged_histories_of_several_runs_average_el2n() -> None:
    runs = [easy_and_hard() for _ in range(2)]
    runs[1].record(torch.tensor([0]), torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
    sure = np.sqrt(2) / (1 + np.exp(5))
    merged = scores.el2n(runs[0].merge(runs[1]))
    assert merged[0] == pytest.approx((12 * sure + np.sqrt(0.5)) / 13, rel=1e-4)


@given(st.lists(st.floats(0, 100, width=32), min_size=1, max_size=20))
def test_smoothing_adds_the_mean(values: list[float]) -> None:
    score = torch.tensor(values, dtype=torch.float64)
    result = smoothed(score)
    if max(values) == 0:
        assert torch.equal(result, torch.ones_like(score))
    else:
        np.testing.assert_allclose(result, score + score.mean(), rtol=1e-12)
        assert (result >= 0.5 * result.mean() * (1 - 1e-12)).all()
        assert (result > 0).all()


@pytest.mark.parametrize("bad", [[-1.0, 2.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_smoothing_refuses_what_is_no_weight(bad: list[float]) -> None:
    with pytest.raises(InputError, match="finite and nowhere negative"):
        smoothed(torch.tensor(bad))
