"""The predicted gain: its closed form, none for uniform sampling, and when it is confirmed or refuted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import random
from headrace.analysis.gain import Predicted, predict, ratios
from headrace.analysis.grid import Cell, Grid, read_grid
from headrace.specs.studies import Configuration, StudyKey
from headrace.store.noise_gain import GainCourse, GainPoint

POSITIVE = st.floats(1e-3, 1e3)
SIZES = (8, 64, 512, 4096)


@given(signal=POSITIVE, noise=POSITIVE, share=st.floats(0.01, 3), size=st.integers(1, 10_000))
def test_noise_that_stays_the_same_gives_the_law(
    signal: float, noise: float, share: float, size: int
) -> None:
    """(1 + Bp / b) / (1 + B / b), regardless of how steps are spaced."""
    parts = np.array([[[signal, noise, (share - 1) * noise]] * 3])
    found = float(ratios(parts, np.array([0.0, 1.0, 10.0]), size)[0])
    law = (1 + share * noise / signal / size) / (1 + noise / signal / size)
    assert found == pytest.approx(law)
    assert (found < 1) == (share < 1) or found == pytest.approx(1)


def test_progress_is_weighed_by_the_steps_around_each_point() -> None:
    """By the trapezoid rule: NumPy's integral over the steps, over their length."""
    rng = random.generator(0, "trapezoids")
    steps = np.array([0.0, 1.0, 4.0, 20.0, 100.0])
    parts = np.stack([rng.uniform(1, 5, 5), rng.uniform(50, 90, 5), rng.uniform(-40, 10, 5)], axis=1)
    signal, noise, added = parts.T
    needed = (16 * signal + noise) / (16 * signal + noise + added)
    expected = 100 / np.trapezoid(needed, steps)
    assert float(ratios(parts[None], steps, 16)[0]) == pytest.approx(expected)


@given(signals=st.lists(st.floats(-1, 10), min_size=1, max_size=5), size=st.integers(1, 1000))
def test_uniform_sampling_is_predicted_to_gain_nothing(signals: list[float], size: int) -> None:
    covariance = (0.3, 0.1, 0.0, 0.1, 0.5, 0.0, 0.0, 0.0, 0.0)
    points = tuple(
        GainPoint(step=step, signal=signal, noise=2.0, added=0.0, covariance=covariance)
        for step, signal in enumerate(signals)
    )
    study = StudyKey(optimizer="sgd", configuration=Configuration(batch_size=size, policy="rs2"))
    found = predict(GainCourse(study=study, trial=0, examples=10, points=points), 0)
    assert found.ratio == pytest.approx(1)
    assert found.interval == pytest.approx((1, 1))


def _predicted(size: int, ratio: float) -> Predicted:
    configuration = Configuration(batch_size=size, policy="importance-difficulty")
    study = StudyKey(optimizer="sgd", configuration=configuration)
    return Predicted(study=study, ratio=ratio, interval=(ratio * 0.97, ratio * 1.03))


def _law(size: int, share: float = 0.5, critical: float = 300) -> float:
    return (1 + share * critical / size) / (1 + critical / size)


def foretold(measured: float, predicted: float) -> Grid:
    """A policy with these shares of the noise of uniform sampling, measured and predicted."""
    rng, cells = random.generator(0, "gain"), list[Cell]()
    for policy in ("shuffle", "importance-difficulty"):
        for size in SIZES:
            steps = 60 * (1 + 300 / size) * (_law(size, measured) if policy != "shuffle" else 1)
            levels = {"optimizer": "sgd", "policy": policy, "subset": "full", "workers": "1"}
            log_steps = tuple(math.log(steps) + 0.05 * rng.normal(size=8))
            cells.append(
                Cell(levels=levels, batch_size=size, log_steps=log_steps, missed=0, work=float(size))
            )
    found = read_grid(cells, seed=0, predicted=[_predicted(size, _law(size, predicted)) for size in SIZES])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("measured", "predicted", "verdict"),
    [(0.5, 0.5, "confirmed"), (1.0, 0.4, "refuted"), (0.4, 1.0, "refuted"), (1.0, 1.0, None)],
)
def test_a_prediction_is_one_line_only_if_numbers_decide(
    measured: float, predicted: float, verdict: str | None
) -> None:
    found = foretold(measured, predicted)
    lines = [line.text for line in found.lines if line.kind == "prediction"]
    assert len(lines) == (verdict is not None)
    for line in lines:
        assert f", {verdict} for importance-difficulty: " in line
        assert "at batch size 8 (measured: " in line
        assert "at batch size 4,096 (measured: " in line
    assert [row["batch_size"] for row in found.to_dict()["predicted"]] == list(SIZES)
