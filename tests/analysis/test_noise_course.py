"""What the noise scale over training predicts, against laws; how far it is from what was measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.analysis.noise_course import best_trials, compare, prediction, ratio_interval
from headrace.errors import InputError
from headrace.specs.studies import Configuration, StudyKey
from headrace.store.noise_course import NoiseCourse, NoisePoint
from headrace.trials.noise_course import chosen_steps


@given(st.floats(1, 1e5), st.integers(1, 10_000), st.lists(st.integers(1, 500), min_size=1, max_size=9))
def test_a_constant_noise_scale_is_predicted_whatever_the_trial(scale: float, batch: int, gaps: list) -> None:
    steps = np.cumsum([0, *gaps])
    signal = np.geomspace(1, 1e-3, len(steps))[None]
    assert prediction(signal, scale * signal, steps, batch)[0] == pytest.approx(scale, rel=1e-6)


@pytest.mark.parametrize("batch", [4, 64, 1024])
def test_the_prediction_is_where_steps_are_twice_the_fewest_as_each_step_is_counted_out(batch: int) -> None:
    """Progress of 300 noiseless steps at a noise scale that grows tenfold, walked at this batch size."""
    progress, step, noises = 0.0, 0, []

    def noise_at(made: float) -> float:
        return 20 * 10 ** (made / 300)

    while progress < 300:
        noises.append(noise_at(progress))
        progress += 1 / (1 + noise_at(progress) / batch)
        step += 1
    made = np.linspace(0, 300, 30_001)

    def steps_at(other: float) -> float:
        return np.trapezoid(1 + noise_at(made) / other, made)

    found = prediction(np.ones((1, step)), np.array([noises]), np.arange(step), batch)[0]
    assert steps_at(found) == pytest.approx(2 * 300, rel=0.03)


def test_a_signal_lost_in_noise_is_no_progress_and_no_error() -> None:
    one = prediction(np.array([[1.0, -0.1, 1.0]]), np.array([[50.0, 50.0, 50.0]]), np.array([0, 10, 20]), 10)
    assert one[0] > 50
    assert prediction(np.array([[-1.0]]), np.array([[1.0]]), np.array([0]), 10)[0] == math.inf


def test_the_interval_of_a_ratio_covers_as_often_as_it_says() -> None:
    rng, hits = np.random.default_rng(0), 0
    for _ in range(2000):
        first, second = rng.normal(math.log(300), 0.2), rng.normal(math.log(100), 0.4)
        ends = [(math.exp(x - 1.96 * s), math.exp(x + 1.96 * s)) for x, s in ((first, 0.2), (second, 0.4))]
        low, high = ratio_interval(math.exp(first), ends[0], math.exp(second), ends[1])
        hits += low <= 3 <= high
    assert 0.93 < hits / 2000 < 0.97
    assert ratio_interval(10, (5, math.inf), 2, (1, 4))[1] == math.inf
    assert ratio_interval(10, (5, 20), 2, (0.0, 4))[1] == math.inf


def course(scale: float) -> NoiseCourse:
    points = [
        NoisePoint(step=step, signal=1.0, noise=scale, covariance=(1e-4, 0.0, 1e-4 * scale**2))
        for step in (0, 10, 40)
    ]
    study = StudyKey(optimizer="sgd", configuration=Configuration(batch_size=32))
    return NoiseCourse(study=study, trial=2, examples=100, points=tuple(points))


RESULTS = {
    "seed": 3,
    "scaling": [
        {
            "optimizer": "sgd", "subset": "full", "policy": "shuffle", "workers": 1,
            "critical_batch_size": 50.0, "interval": [25.0, None],
        }
    ],
    "studies": [
        {
            "optimizer": "sgd", "configuration": {"batch_size": size}, "steps_to_result": steps,
            "best_trial": {"trial": size} if steps else None,
        }
        for size, steps in ((8, 900), (64, 100), (512, 40), (1024, None))
    ],
}  # fmt: skip


def test_a_course_against_the_measured_critical_batch_size() -> None:
    found = compare(course(100.0), RESULTS)
    assert found.predicted == pytest.approx(100)
    assert found.ratio == pytest.approx(2)
    low, high = found.ratio_interval
    # Nothing bounds the measured one from above, so nothing the ratio from below.
    assert low == 0
    assert high == pytest.approx(4, rel=0.02)
    for scale in found.scales:
        assert scale.low < 100 < scale.high
        assert scale.high / scale.low < 1.2
    assert "100 [9" in found.words
    assert "is 2 (at most 4" in found.words
    assert "no critical batch size was measured" in compare(course(100.0), {"scaling": []}).words


@pytest.mark.parametrize("factor", [1e-3, 0.25, 64.0])
def test_a_factor_of_all_gradients_changes_nothing(factor: float) -> None:
    """A loss in another unit: signal and noise grow by the square of it, and their ratio stays."""
    plain = course(100.0)
    points = [
        NoisePoint(
            step=point.step,
            signal=factor * point.signal,
            noise=factor * point.noise,
            covariance=tuple(factor**2 * entry for entry in point.covariance),
        )
        for point in plain.points
    ]
    one, other = (
        compare(made, RESULTS) for made in (plain, plain.model_copy(update={"points": tuple(points)}))
    )
    assert other.predicted == pytest.approx(one.predicted)
    assert other.predicted_interval == pytest.approx(one.predicted_interval)
    for first, second in zip(one.scales, other.scales, strict=True):
        found = (second.step, second.noise_scale, second.low, second.high)
        assert found == pytest.approx((first.step, first.noise_scale, first.low, first.high))


@pytest.mark.parametrize("signal", [0.0, -0.5])
def test_without_a_signal_the_noise_scale_has_no_limit(signal: float) -> None:
    lost = NoisePoint(step=40, signal=signal, noise=100.0, covariance=(1e-4, 0.0, 1.0))
    plain = course(100.0)
    made = plain.model_copy(update={"points": (*plain.points[:2], lost)})
    *_, last = compare(made, RESULTS).scales
    assert (last.noise_scale, last.high) == (math.inf, math.inf)


def test_the_trials_to_measure() -> None:
    assert [best.trial for best in best_trials(RESULTS)] == [64]
    assert [(best.trial, best.steps) for best in best_trials(RESULTS, [8, 512, 1024])] == [
        (8, 900),
        (512, 40),
    ]
    with pytest.raises(InputError, match=r"no study reached the goal at these batch sizes; got \[1024\]"):
        best_trials(RESULTS, [1024])


def test_the_steps_at_which_it_is_measured() -> None:
    evaluated = [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144]
    found = chosen_steps(evaluated, 90, 5)
    assert (found[0], found[-1]) == (0, 89)
    assert len(found) == 5
    assert set(found) <= set(evaluated)
    assert chosen_steps(evaluated, 0, 5) == [0]
