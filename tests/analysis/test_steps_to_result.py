"""Steps to result: the best-of-K law by brute force, and the published archive's rule."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import random
from headrace.analysis.steps_to_result import (
    best_of_probabilities,
    draws,
    first_below,
    published_rule,
    summarise,
)


@pytest.mark.parametrize("trials", range(1, 10))
def test_best_of_k_by_all_subsets(trials):
    k = (trials + 1) // 2
    subsets = list(combinations(range(trials), k))
    shares = [sum(min(subset) == i for subset in subsets) / len(subsets) for i in range(trials)]
    assert best_of_probabilities(trials) == pytest.approx(shares)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=9), st.integers(0, 5))
def test_the_interval_holds_the_best_of_half_the_trials_with_its_level(reached, missed):
    steps = sorted(reached)
    counted = len(steps) + missed
    found = summarise([(step, i) for i, step in enumerate(steps)], counted)
    everyone = steps + [10**9] * missed
    minima = [min(s) for s in combinations(everyone, (counted + 1) // 2)]
    high = found.high if found.high is not None else 10**9
    assert found.steps == steps[0]
    assert np.mean([steps[0] <= m <= high for m in minima]) >= 0.95
    assert np.mean([m < high for m in minima]) < 0.95


def test_no_trial_reached_the_goal():
    found = summarise([], 16)
    assert (found.steps, found.high, found.best_trial) == (None, None, None)
    assert np.isinf(draws(found, 5, random.generator(0))).all()


def test_too_few_reached_for_a_closed_interval():
    found = summarise([(10, 3), (12, 1)], 16)
    assert (found.steps, found.high, found.best_trial) == (10, None, 3)


def test_draws_have_the_best_of_k_distribution():
    reached = [(10, 0), (20, 1), (30, 2), (40, 3), (50, 4)]
    values = draws(summarise(reached, 16), 40_000, random.generator(0))
    shares = [(values == step).mean() for step, _ in reached]
    expected = best_of_probabilities(16)
    expected = [*expected[:4], sum(expected[4:])]
    assert shares == pytest.approx(expected, abs=0.01)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=9, unique=True), st.integers(1, 9), st.randoms())
def test_first_below_and_the_published_rule_by_brute_force(goal_steps, asked, shuffler):
    rows, statuses = [], []
    for trial, goal_step in enumerate(goal_steps):
        status = shuffler.choice(["COMPLETE", "COMPLETE", "INFEASIBLE", "INCOMPLETE"])
        statuses.append((trial, status))
        rows += [(trial, step, 0.5 if step < goal_step else 0.099) for step in range(0, 81, 10)]
    shuffler.shuffle(rows)
    measurements = pl.DataFrame(rows, schema=["trial", "step", "error"], orient="row")
    reached = first_below(measurements, metric="error", goal=0.1)
    expected = {
        t: min(s for u, s, e in rows if u == t and e < 0.1) for t, g in enumerate(goal_steps) if g <= 80
    }
    assert dict(reached.iter_rows()) == expected

    field = [trial for trial, status in statuses if status == "COMPLETE"][:asked]
    best = sorted((expected[t], t) for t in field if t in expected)
    frame = pl.DataFrame(statuses, schema=["trial", "status"], orient="row")
    found = published_rule(frame, reached, asked=asked)
    assert found.counted == len(field)
    assert (found.steps, found.best_trial) == (best[0] if best else (None, None))


def test_the_goal_itself_is_not_reached_and_neither_are_null_and_nan():
    frame = pl.DataFrame(
        {"trial": [0, 1, 2, 3], "step": [1, 1, 1, 1], "error": [0.1, None, float("nan"), 0.0999]}
    )
    assert first_below(frame, metric="error", goal=0.1)["trial"].to_list() == [3]


def test_studies_are_kept_apart():
    frame = pl.DataFrame({"study": ["b", "a"], "trial": [0, 0], "step": [5, 7], "error": [0.0, 0.0]})
    assert first_below(frame.lazy(), metric="error", goal=1.0).rows() == [("a", 0, 7), ("b", 0, 5)]
