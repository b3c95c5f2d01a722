"""Sentences claim what the intervals support, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace import scaling
from headrace.analysis.conclusions import conclude
from headrace.analysis.curves import CurveFit

BATCH = [8, 16, 32, 64, 128]


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


def test_the_other_direction(monkeypatch):
    monkeypatch.setattr("headrace.analysis.conclusions._how_far", lambda curve: [])
    (sentence,) = conclude([curve("sgd", 100, (90, 110)), curve("adamw", 50, (45, 55))])
    assert sentence.startswith("AdamW pays only up to smaller batches than SGD")
