"""Best hyperparameters against batch size: known rules are recognised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import random
from headrace.analysis.hyperparameters import check_rules, effective_learning_rate
from headrace.errors import InputError

BATCH = [8, 16, 32, 64, 128, 256]


@given(st.floats(-0.5, 1.5), st.floats(1e-4, 10))
def test_an_exact_power_law_is_found_and_its_misses_are_by_hand(power, first):
    found = check_rules(BATCH, [first * (batch / 8) ** power for batch in BATCH])
    assert found.slope == pytest.approx(power, abs=1e-9)
    assert found.misses["linear"] == pytest.approx(32 ** abs(1 - power))
    assert found.misses["square root"] == pytest.approx(32 ** abs(0.5 - power))


@pytest.mark.parametrize(("power", "supported"), [(1.0, "linear"), (0.5, "square root"), (0.0, None)])
def test_a_rule_is_supported_only_within_the_interval(power, supported):
    rng = random.generator(0, "rules", str(power))
    rates = [0.1 * batch**power * np.exp(rng.normal(0, 0.1)) for batch in BATCH]
    found = check_rules(BATCH, rates)
    assert found.interval[0] < power < found.interval[1]
    for rule in ("linear", "square root"):
        assert found.supported(rule) == (rule == supported)


def test_the_order_of_batch_sizes_does_not_matter():
    rates = [0.1, 0.3, 0.2, 0.9, 1.1, 2.0]
    turned, straight = check_rules(BATCH[::-1], rates[::-1]), check_rules(BATCH, rates)
    assert turned.interval == pytest.approx(straight.interval)
    assert turned.misses == pytest.approx(straight.misses)
    assert (turned.smallest, turned.largest) == (8, 256)


def test_two_points_have_no_interval_and_one_is_refused():
    assert check_rules([8, 16], [0.1, 0.2]).interval is None
    assert check_rules([8, 16], [0.1, 0.2]).supported("linear") is None
    with pytest.raises(InputError, match="two different batch sizes"):
        check_rules([8, 8], [0.1, 0.2])


def test_the_slopes_interval_covers_as_often_as_it_says():
    rng = random.generator(0, "slope")
    hits = 0
    for _ in range(1000):
        rates = np.exp(0.7 * np.log(BATCH) + rng.normal(0, 0.5, len(BATCH)))
        low, high = check_rules(BATCH, rates.tolist()).interval
        hits += low <= 0.7 <= high
    assert hits / 1000 == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / 1000) ** 0.5)


def test_momentum_makes_a_gradient_act_for_longer():
    values = {"learning_rate": 0.1, "momentum": 0.95}
    assert effective_learning_rate("nesterov", values) == pytest.approx(2.0)
    assert effective_learning_rate("momentum", values) == pytest.approx(2.0)
    assert effective_learning_rate("sgd", values) == 0.1
    assert effective_learning_rate("momentum", {"learning_rate": 0.1}) == pytest.approx(1.0)
    assert effective_learning_rate("sgd", {}) is None


@pytest.mark.parametrize(
    ("momentum", "steps", "expected"),
    [(0.9, None, 1.0), (0.9, 1000, 1.0), (0.99, 40, 2.0), (0.999, 40, 2.0), (0.999, 1, 0.1), (0.0, 40, 0.1)],
)
def test_a_memory_longer_than_the_run_counts_up_to_half_of_it(momentum, steps, expected):
    from headrace.analysis.hyperparameters import effective_learning_rate

    values = {"learning_rate": 0.1, "momentum": momentum}
    assert effective_learning_rate("nesterov", values, steps) == pytest.approx(expected)
    assert effective_learning_rate("sgd", values, steps) == 0.1
