"""Sentences claim what the intervals support, and no more."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from headrace import scaling
from headrace.analysis.conclusions import _critical, _free, _perfect, _useful, conclude
from headrace.analysis.curves import CurveFit

BATCH = [8, 16, 32, 64, 128]
STEPS = [1000, 600, 400, 300, 250]


def curve(optimizer: str, critical: float, interval: tuple[float, float]) -> CurveFit:
    fit = scaling.fit(BATCH, [100 * (1 + critical / b) for b in BATCH])
    return CurveFit(
        curve=(optimizer, "full", "shuffle", 1),
        studies=(),
        fit=replace(fit, critical_batch_size=critical, interval=interval),
        rules=None,
    )


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((180, 220), "Nesterov momentum pays up to larger batches than SGD"),
        ((60, 700), "No difference shown"),
        ((60, float("inf")), "No difference shown"),
    ],
)
def test_a_larger_estimate_is_no_finding_unless_its_interval_is(interval, said, monkeypatch):
    monkeypatch.setattr("headrace.analysis.conclusions._how_far", lambda curve: [])
    (sentence,) = conclude([curve("sgd", 100, (90, 110)), curve("nesterov", 200, interval)])
    assert sentence.startswith(said)
    assert "2 times as large" in sentence


@pytest.mark.parametrize(
    ("limit", "largest", "said"),
    [
        (8, False, "Nowhere did they fall in proportion to the batch size (within 20%)"),
        (16, False, "They fell in proportion to the batch size (within 20%) up to 16"),
        (64, False, "They fell in proportion to the batch size (within 20%) up to 64"),
        (128, True, "They fell in proportion to the batch size (within 20%) up to the largest tested, 128"),
    ],
)
@pytest.mark.parametrize("ends", [None, (8.0, 128.0)])
def test_how_far_steps_fall_in_proportion_is_said_of_the_limit(limit, largest, said, ends):
    """Nowhere is at the smallest batch size that was tested, and nowhere else."""
    steps = [
        SimpleNamespace(batch_size=b, result=SimpleNamespace(steps=s))
        for b, s in zip(BATCH, STEPS, strict=True)
    ]
    found = SimpleNamespace(points=steps, fit=curve("sgd", 100, (90, 110)).fit)
    found.fit = replace(
        found.fit,
        perfect_scaling_limit=limit,
        perfect_scaling_limit_is_largest_tested=largest,
        perfect_scaling_limit_interval=None if ends is None else ends,
    )
    spread = "" if ends is None else " (95% interval [8, 128])"
    assert _perfect(found, found.fit, "20%") == f"{said}{spread}."


@pytest.mark.parametrize(
    ("limit", "largest", "ends", "said"),
    [
        (32, False, None, "Beyond 32 a larger batch saved less than 20% of the steps in all."),
        (32, False, (32.0, 32.0), "Beyond 32 (95% interval [32, 32]) a larger batch saved less than 20%"),
        (32, False, (16.0, 64.0), "Beyond 32 (95% interval [16, 64]) a larger batch saved less"),
        (
            128,
            True,
            (64.0, 128.0),
            "A larger batch saved steps up to the largest tested, 128 (95% interval [64, 128]): more may",
        ),
    ],
)
def test_how_far_a_larger_batch_pays_is_said_of_the_limit(limit, largest, ends, said):
    fit = replace(
        curve("sgd", 100, (90, 110)).fit,
        max_useful_batch_size=limit,
        max_useful_batch_size_is_largest_tested=largest,
        max_useful_batch_size_interval=ends,
    )
    assert _useful(fit, "20%").startswith(said)


@pytest.mark.parametrize(
    ("interval", "unreached", "said"),
    [
        (None, (), "is 100 by two points, with no interval."),
        ((0.0, float("inf")), ("a", "b"), "The measurements do not bound the critical batch size"),
        ((50.0, float("inf")), ("a",), "was not reached: it is "),
        ((0.0, 50.0), ("b",), "is below the smallest batch size tested: it is "),
        ((50.0, 150.0), (), "is 100 "),
    ],
)
def test_what_is_said_of_the_critical_batch_size(interval, unreached, said):
    fit = replace(
        curve("sgd", 100, (90, 110)).fit, critical_batch_size=100.0, interval=interval, unreached=unreached
    )
    assert said in _critical(fit)


def test_a_curve_through_two_points_says_nothing_of_what_holds_without_the_law():
    fit = scaling.fit(BATCH[:2], [1000, 600])
    assert fit.law_free_interval is None
    assert _free(fit) == ""
    assert "That rests on the law" in _free(scaling.fit(BATCH, STEPS))
    assert _critical(fit).endswith("by two points, with no interval.")


def test_the_other_direction(monkeypatch):
    monkeypatch.setattr("headrace.analysis.conclusions._how_far", lambda curve: [])
    (sentence,) = conclude([curve("sgd", 100, (90, 110)), curve("adamw", 50, (45, 55))])
    assert sentence.startswith("AdamW pays only up to smaller batches than SGD")


def test_dimensions_of_a_search_are_named_where_its_trials_are_few(tmp_path):
    from headrace.analysis.results import analyse

    from .made_store import experiment, make_store, two_regimes

    space = {
        "learning_rate": {"low": 1e-3, "high": 10.0, "scale": "log"},
        "momentum": {"low": 0.5, "high": 0.99, "scale": "one-minus-log"},
    }
    asked = experiment([8, 64], optimizer=["sgd", "nesterov"], space=space, trials=16)
    warnings = analyse(make_store(tmp_path, asked, two_regimes(lambda _: 0.1))).results["warnings"]
    (thin,) = [text for text in warnings if "thin" in text]
    # 16 suffice for the rate alone; of a grid of two they are four by four.
    assert thin.startswith("With 16 trials per study over 2 hyperparameters (learning rate and momentum)")
