"""The pooled surface: its gradient, a closed form, a known truth, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import random
from headrace.analysis._surface_model import NAMES, OF_EACH_OTHER, Data, curve, loss_of, response
from headrace.analysis.surface import fit_surface

BATCH = 4 * 2.0 ** np.arange(7)
CRITICAL, FEWEST = 50.0, 40.0
TRUTH = FEWEST * (1 + CRITICAL / BATCH)


def trials(sigma: float, seed: int = 0, *, decided: int = 5, each: int = 16):
    """Batch sizes, rates, log steps and censoring of searches whose best rate is 0.1 (B/32)^0.5."""
    rng = random.generator(seed, "surface")
    log_rate = np.linspace(math.log(1e-3), math.log(10), each) + rng.uniform(0, 0.5, (len(BATCH), 1))
    d = log_rate - math.log(0.1) - 0.5 * np.log(BATCH / 32)[:, None]
    p, q = np.full(d.shape, math.log(0.7)), np.full(d.shape, math.log(9.0))
    y = np.log(TRUTH)[:, None] + response(d, p, q)[0] + sigma * rng.normal(size=d.shape)
    limit = np.sort(y, axis=1)[:, decided - 1, None]
    batch = np.repeat(BATCH, each)
    return batch, np.exp(log_rate).ravel(), np.minimum(y, limit).ravel(), (y > limit).ravel()


def test_the_response_is_least_at_zero_and_has_its_two_slopes_far_away():
    d, log_p, log_q = np.array([-50.0, 0.0, 50.0]), np.full(3, math.log(0.6)), np.full(3, math.log(8.0))
    value, slope, _, _ = response(d, log_p, log_q)
    assert slope == pytest.approx([-0.6, 0.0, 8.0])
    # log(q e^(-p d) + p e^(q d)) - log(p + q): far off one term is left.
    assert value == pytest.approx([30 + math.log(8 / 8.6), 0.0, 400 + math.log(0.6 / 8.6)])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 2))
def test_the_gradient_is_that_of_the_loss(seed, others):
    batch, rate, y, censored = trials(0.2, seed)
    rng = random.generator(seed, "theta")
    data = Data(
        log_batch=np.log(batch),
        log_rate=np.log(rate),
        others=rng.normal(0, 1, (len(batch), others)),
        couplings=(-1.0, 0.0)[:others],
        log_steps=y,
        censored=censored,
    )
    loss = loss_of(data)
    theta = np.array([4, 4, -2, 0.5, 0, -0.3, 0, 1.5, 0, -1, 0, 0, 0] + others * [-0.5, 0.1, 0, -2])
    assert len(theta) == len(NAMES) + others * len(OF_EACH_OTHER)
    theta = theta + rng.normal(0, 0.1, len(theta))
    steps = 1e-5 * np.eye(len(theta))
    numeric = [(loss(theta + e)[0] - loss(theta - e)[0]) / 2e-5 for e in steps]
    assert loss(theta)[1] == pytest.approx(numeric, rel=1e-4, abs=1e-3)


def test_the_curve_is_the_law_and_twice_the_fewest_at_any_slope_and_sharpness():
    theta = np.zeros(len(NAMES))
    theta[1] = math.log(CRITICAL)
    assert np.exp(curve(theta, np.log(BATCH))[0]) == pytest.approx(TRUTH / FEWEST)
    theta[11:13] = -0.3, 0.7
    assert np.exp(curve(theta, np.log([CRITICAL, 1e9]))[0]) == pytest.approx([2, 1])


def test_without_scatter_the_tuned_optimum_is_found_between_the_rates_tried():
    """Where the fewest steps tried are several percent above it."""
    batch, rate, y, censored = trials(1e-4)
    found = fit_surface(batch, rate, y, censored)
    assert found is not None
    assert found.steps == pytest.approx(TRUTH, rel=0.01)
    assert found.critical_batch_size == pytest.approx(CRITICAL, rel=0.05)
    assert found.steps_min == pytest.approx(FEWEST, rel=0.03)
    assert found.learning_rates == pytest.approx(0.1 * (BATCH / 32) ** 0.5, rel=0.05)
    fewest = np.exp([y[batch == size].min() for size in BATCH])
    assert (fewest / TRUTH).max() > 1.03


def test_its_intervals_hold_the_truth():
    held, critical, runs = 0.0, 0, 15
    for seed in range(runs):
        found = fit_surface(*trials(0.2, seed))
        ends = np.array(found.intervals)
        held += float(((ends[:, 0] <= TRUTH) & (ends[:, 1] >= TRUTH)).mean())
        critical += found.critical_interval[0] <= CRITICAL <= found.critical_interval[1]
        assert np.median(ends[:, 1] / ends[:, 0]) < 2
        assert found.critical_interval[0] < found.critical_batch_size < found.critical_interval[1]
    assert held / runs > 0.8
    assert critical >= 11


def test_stopped_trials_are_not_taken_to_have_reached_the_goal():
    batch, rate, y, censored = trials(0.2, 3)
    found, wrong = fit_surface(batch, rate, y, censored), fit_surface(batch, rate, y, censored & False)
    assert wrong.scatter < found.scatter or wrong.steps != pytest.approx(found.steps, rel=0.02)


def test_too_few_trials_tell_no_surface():
    batch, rate, y, censored = trials(0.2, each=16)
    few = batch <= 8
    assert fit_surface(batch[few], rate[few], y[few], censored[few]) is None
    assert fit_surface(batch, rate, y, np.ones_like(censored)) is None


def test_units_do_not_matter():
    batch, rate, y, censored = trials(0.2, 5)
    plain = fit_surface(batch, rate, y, censored)
    other = fit_surface(10 * batch, 3 * rate, y + math.log(7), censored)
    assert other.critical_batch_size == pytest.approx(10 * plain.critical_batch_size, rel=1e-2)
    assert other.steps == pytest.approx(7 * np.array(plain.steps), rel=1e-2)
    assert other.learning_rates == pytest.approx(3 * np.array(plain.learning_rates), rel=1e-2)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_second_hyperparameter_is_told_from_the_rate_and_from_luck(scale):
    """Momentum: lr / (1 - momentum) acts, and a momentum off its best costs steps by itself."""
    rng = random.generator(1, "two", scale)
    batch, rate, y, _ = trials(0.1, 4, decided=48, each=48)
    left = rng.uniform(math.log(0.02), math.log(0.5), len(batch))
    moved = np.log(rate) + left
    bowl = 0.1 * scale * (left - math.log(0.08)) ** 2 / 2
    y = y + bowl
    found = fit_surface(
        batch, np.exp(moved), y, np.zeros(len(y), bool), others=left[:, None], couplings=[-1.0]
    )
    assert found.steps == pytest.approx(TRUTH, rel=0.15)
    held = [low <= truth <= high for (low, high), truth in zip(found.intervals, TRUTH, strict=True)]
    assert sum(held) >= len(BATCH) - 1
    ahead = found.expected(500, rng)
    if scale == 3.0:
        assert ahead.others[:, 0] == pytest.approx(math.log(0.08), abs=0.3)
    effective = ahead.learning_rates / np.exp(ahead.others[:, 0])
    assert effective == pytest.approx(0.1 * (BATCH / 32) ** 0.5, rel=0.35)
    assert fit_surface(batch[:16], rate[:16], y[:16], np.zeros(16, bool), others=left[:16, None]) is None


def test_the_next_run_takes_the_mean_over_seeds_at_a_rate_that_can_be_named():
    found = fit_surface(*trials(0.3, 7, decided=8, each=32))
    ahead = found.expected(2000, random.generator(0, "ahead"))
    d = np.log(ahead.learning_rates) - math.log(0.1) - 0.5 * np.log(BATCH / 32)
    p, q = np.full(len(d), math.log(0.7)), np.full(len(d), math.log(9.0))
    truth = TRUTH * np.exp(response(d, p, q)[0] + 0.3**2 / 2)
    low, high = np.quantile(ahead.draws, [0.025, 0.975], axis=0)
    assert ((low <= truth) & (truth <= high)).all()
    assert (ahead.steps > np.array(found.steps)).all()
    # The cliff is on the side of large rates: better a little too small.
    assert (ahead.learning_rates <= np.array(found.learning_rates) * 1.001).all()
