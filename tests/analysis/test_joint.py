"""The joint model of a grid: exact worlds, what it leaves out, and its intervals."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import random
from headrace.analysis.effects import find_effects
from headrace.analysis.joint import MISSED, Point, fit_joint, terms_of

SIZES = (16, 64, 256, 1024, 4096)
BASE = {"policy": "shuffle", "subset": "full"}
POLICIES, SUBSETS = ("shuffle", "a", "b"), ("full", "half")
FEWEST, CRITICAL = math.log(60.0), math.log(300.0)


def world(effects, *, sigma=0.0, error=0.01, seed=0, law=np.logaddexp, sizes=SIZES):
    """Points of a full grid; `effects`: levels (a tuple) -> what they add to log Smin and to log Bcrit."""
    rng, found = random.generator(seed, "joint"), []
    for policy, subset in product(POLICIES, SUBSETS):
        m, u = FEWEST, CRITICAL
        for levels, (on_fewest, on_critical) in effects.items():
            if set(levels) <= {policy, subset}:
                m, u = m + on_fewest, u + on_critical
        for size in sizes:
            y = m + law(0.0, u - math.log(size)) + sigma * rng.normal()
            levels = {"policy": policy, "subset": subset}
            found.append(Point(levels=levels, batch_size=size, log_steps=y, error=error, freedom=4))
    return found


effect = st.tuples(st.floats(-0.6, 0.6), st.floats(-0.8, 0.8))


@settings(max_examples=25, deadline=None)
@given(effect, effect, effect)
def test_an_exact_world_is_recovered_with_its_interactions(a, half, both):
    points = world({("a",): a, ("half",): half, ("a", "half"): both}, error=1e-3)
    joint = fit_joint(points, BASE)
    assert joint is not None
    told = {(e.what, e.side): e.ratio for e in find_effects(joint, BASE)}
    two = (("policy", "a", "shuffle"), ("subset", "half", "full"))
    assert math.log(told["critical", two]) == pytest.approx(both[1], abs=0.02)
    # A level's effect is the mean over the levels of the other axis.
    assert math.log(told["fewest", two[:1]]) == pytest.approx(a[0] + both[0] / 2, abs=0.02)
    assert math.log(told["critical", two[1:]]) == pytest.approx(half[1] + both[1] / 3, abs=0.02)
    steps = {p.batch_size: p.log_steps for p in points if p.levels == {"policy": "a", "subset": "full"}}
    base = {p.batch_size: p.log_steps for p in points if p.levels == BASE}
    other = {p.batch_size: p.log_steps for p in points if p.levels == {"policy": "a", "subset": "half"}}
    half_alone = {
        p.batch_size: p.log_steps for p in points if p.levels == {"policy": "shuffle", "subset": "half"}
    }
    mean = np.mean([steps[s] - base[s] + other[s] - half_alone[s] for s in SIZES]) / 2
    assert math.log(told["steps", two[:1]]) == pytest.approx(mean, abs=0.01)


@pytest.mark.parametrize("sharpness", [0.8, 2.0])
def test_comparisons_do_not_rest_on_the_law(sharpness):
    def law(zero, u):
        return np.log1p(3 * np.exp(sharpness * u)) / sharpness

    joint = fit_joint(world({("a",): (-0.3, 0.0)}, law=law, error=0.01), BASE)
    assert joint is not None
    told = {(e.what, e.side[0][1]): e for e in find_effects(joint, BASE) if len(e.side) == 1}
    assert told["steps", "a"].ratio == pytest.approx(math.exp(-0.3), rel=0.01)
    assert told["steps", "b"].ratio == pytest.approx(1.0, abs=0.01)
    # What the law misses is missed of all alike, and is not taken for scatter.
    assert joint.misfit < 0.02 < MISSED


def test_an_interval_leaves_out_one_exactly_where_a_difference_is_shown_and_none_is_by_chance_alone():
    wrong = 0
    for seed in range(40):
        joint = fit_joint(world({}, sigma=0.1, error=0.1, seed=seed), BASE)
        assert joint is not None
        effects = find_effects(joint, BASE)
        for one in effects:
            low, high = one.interval
            assert one.shown == (not low <= 1 <= high) == (one.p_adjusted <= 0.05)
            assert low < one.ratio < high
            assert one.detectable > 1
        wrong += any(one.shown for one in effects)
    # Nominal 2 of 40; 7 or more have a probability below 0.005.
    assert wrong < 7


def test_a_shift_is_shown_if_it_is_larger_than_what_is_said_to_be_detectable():
    shown = 0
    for seed in range(20):
        joint = fit_joint(world({("b",): (-0.35, 0.0)}, sigma=0.1, error=0.1, seed=seed), BASE)
        assert joint is not None
        told = next(e for e in find_effects(joint, BASE) if (e.what, e.side[0][1]) == ("steps", "b"))
        assert 1.05 < told.detectable < math.exp(0.35)
        shown += told.verdict == "less"
    assert shown >= 16


def test_a_pair_of_levels_has_a_term_only_if_each_was_tried_beside_the_others_baseline():
    points = world({})
    both = {"policy": "a", "subset": "half"}
    pairs = {term.parts for term in terms_of(points, BASE) if len(term.parts) == 2}
    assert len(pairs) == 2
    lost = {("a", "full"): {"a"}, ("a", "half"): {"a"}, ("shuffle", "half"): {"a", "b"}}
    for (policy, subset), gone in lost.items():
        alone = [p for p in points if p.levels != {"policy": policy, "subset": subset}]
        left = {term.parts for term in terms_of(alone, BASE) if len(term.parts) == 2}
        assert {parts[0][1] for parts in pairs - left} == gone
    # Two levels together at two batch sizes alone shift the curve and do not bend it.
    few = [p for p in points if p.levels != both or p.batch_size in (64, 256)]
    assert [term.curved for term in terms_of(few, BASE) if term.holds(both)] == [True, True, True, False]


def test_a_level_that_was_tried_at_two_batch_sizes_shifts_the_curve_and_says_nothing_of_its_ends():
    points = [
        p for p in world({("a",): (-0.2, 0.0)}) if p.levels["policy"] != "a" or p.batch_size in (64, 256)
    ]
    joint = fit_joint(points, BASE)
    assert joint is not None
    told = {e.what: e for e in find_effects(joint, BASE) if e.side == (("policy", "a", "shuffle"),)}
    assert set(told) == {"steps"}
    assert told["steps"].batch_sizes == (64, 256)
    assert told["steps"].ratio == pytest.approx(math.exp(-0.2), rel=0.02)


def test_too_little_gives_no_model():
    points = world({})
    assert fit_joint([p for p in points if p.batch_size <= 64], BASE) is None
    # One configuration alone leaves nothing to tell the law from what it misses.
    assert fit_joint([p for p in points if p.levels == BASE], {}) is None
    few = [p for p in points if p.batch_size != 16 or p.levels == BASE][:6]
    assert fit_joint(few, BASE) is None
