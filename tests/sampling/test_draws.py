"""The draws have the distributions they promise."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from headrace.errors import InputError
from headrace.random import generator
from headrace.sampling import draws
from headrace.sampling.draws import (
    checked_weights,
    draw_with_replacement,
    draw_without_replacement,
    permutation,
    shuffle,
)
from headrace.sampling.proposals import cut

FORMS = ["independent", "systematic"]


def _draw(form, weights, size, rng):
    return draw_with_replacement(weights, size, rng, systematic=form == "systematic")


@pytest.mark.parametrize("spread", [0.0, 1.0, 4.0])
def test_independent_draws_follow_the_weights(spread):
    rng = generator(0, "test")
    weights = np.exp(spread * rng.standard_normal(200))
    weights[[0, 7, 199]] = 0.0
    size = 400_000
    drawn = draw_with_replacement(weights, size, rng)
    counts = np.bincount(drawn, minlength=200)
    assert counts[[0, 7, 199]].sum() == 0
    expected = weights / weights.sum() * size
    often = expected > 5
    pooled = np.append(counts[often], counts[~often].sum())
    wanted = np.append(expected[often], expected[~often].sum())
    assert chisquare(pooled[wanted > 0], wanted[wanted > 0]).pvalue > 1e-3


def test_independent_draws_are_independent():
    rng = generator(1, "pairs")
    weights = np.array([1.0, 2.0, 5.0])
    drawn = draw_with_replacement(weights, 200_000, rng)
    pairs = np.bincount(3 * drawn[::2] + drawn[1::2], minlength=9)
    p = weights / weights.sum()
    assert chisquare(pairs, np.outer(p, p).ravel() * pairs.sum()).pvalue > 1e-3


@pytest.mark.parametrize("heaviest", [1.0, 1.7, 40.0])
def test_weights_of_less_than_a_byte_are_followed(heaviest):
    rng = generator(6, "byte")
    # Of the bound, a 256th is where the table of bytes ends and further bits decide.
    kinds = np.array([1.0, 1 / 256, 1 / 255, 1 / 257, 1e-3, 1e-5, 255 / 256, 0.999999, 0.0, heaviest])
    weights = np.tile(kinds, 50)
    size = 2_000_000
    counts = np.bincount(draw_with_replacement(weights, size, rng), minlength=len(weights))
    by_kind = counts.reshape(50, len(kinds)).sum(0)
    often = kinds > 0
    assert by_kind[~often] == 0
    assert chisquare(by_kind[often], kinds[often] / kinds.sum() * size).pvalue > 1e-3


@settings(max_examples=200, deadline=None)
@given(
    weights=st.lists(st.floats(0, 1e6) | st.sampled_from([0.0, 1.0, 3.0]), min_size=1, max_size=40).filter(
        lambda w: max(w) > 0
    )
)
def test_cells_hold_the_weights_and_at_most_three_are_proposed_a_draw(weights):
    weights = checked_weights(weights)
    cells = cut(weights)
    owner = cells.examples(np.arange(len(cells.levels)))
    held = np.bincount(owner, cells.shares[owner], minlength=len(weights))
    np.testing.assert_allclose(held, weights, rtol=1e-12)
    assert (cells.shares <= cells.bound * (1 + 1e-15)).all()
    height = 256 * cells.shares[owner] / cells.bound
    assert (cells.levels <= height + 1e-9).all()
    assert (cells.levels >= np.minimum(height, 255.5) - 1 - 1e-9).all()
    assert len(cells.levels) * cells.bound / weights.sum() <= 3 + 1e-9


@pytest.mark.parametrize("form", FORMS)
def test_very_small_weights(form):
    rng = generator(2, "small", form)
    weights = np.full(100_000, 1e-12)
    weights[50_000] = 1.0
    drawn = _draw(form, weights, 50_000, rng)
    # 5e-3 draws of the others are expected in all.
    assert (drawn == 50_000).mean() > 0.9999
    weights[50_000] = 1e-7  # the small ones together weigh as much
    tiny = _draw(form, weights, 50_000, rng)
    share = (tiny != 50_000).mean()
    assert abs(share - 0.5) < 4 * np.sqrt(0.25 / 50_000)
    assert (tiny < 50_000).sum() == pytest.approx((tiny > 50_000).sum(), rel=0.06)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_scale_of_the_weights_does_not_matter(form, scale):
    weights = np.array([1.0, 0.0, 3.0, 4.0])
    a = _draw(form, weights, 1000, generator(3, "scale"))
    b = _draw(form, weights * scale, 1000, generator(3, "scale"))
    assert (a != b).sum() <= 1


@settings(max_examples=100, deadline=None)
@given(
    weights=st.lists(st.floats(0, 1e3), min_size=1, max_size=30).filter(lambda w: max(w) > 0),
    size=st.integers(0, 200),
    seed=st.integers(0, 10),
)
def test_systematic_counts_are_floor_or_ceiling(weights, size, seed):
    drawn = draw_with_replacement(weights, size, generator(seed, "floor"), systematic=True)
    expected = np.array(weights) / np.max(weights)
    expected = expected / expected.sum() * size
    counts = np.bincount(drawn, minlength=len(weights))
    assert len(drawn) == size
    assert (counts >= np.floor(expected - 1e-9)).all()
    assert (counts <= np.ceil(expected + 1e-9)).all()


def test_systematic_draws_follow_the_weights_on_average():
    weights, rng = np.array([0.1, 2.3, 0.0, 1.7]), generator(4, "mean")
    counts = np.array(
        [
            np.bincount(draw_with_replacement(weights, 5, rng, systematic=True), minlength=4)
            for _ in range(4000)
        ]
    )
    expected = weights / weights.sum() * 5
    assert np.abs(counts.mean(0) - expected).max() < 4 * 0.5 / np.sqrt(4000)


@pytest.mark.parametrize("form", FORMS)
def test_any_stretch_is_distributed_like_any_other(form):
    rng = generator(5, "stretch")
    weights = np.arange(1.0, 11.0)
    halves = np.zeros((2, 10))
    for _ in range(300):
        drawn = _draw(form, weights, 100, rng)
        halves[0] += np.bincount(drawn[:50], minlength=10)
        halves[1] += np.bincount(drawn[50:], minlength=10)
    assert (np.abs(halves[0] - halves[1]) < 5 * np.sqrt(halves.sum(0))).all()


def _successive(weights, order):
    """The probability that successive draws without replacement give this order."""
    left, probability = sum(weights), 1.0
    for index in order:
        probability *= weights[index] / left
        left -= weights[index]
    return probability


def test_without_replacement_is_successive_sampling():
    weights, rng, trials = [1.0, 2.0, 4.0, 8.0, 0.0], generator(6, "race"), 20_000
    orders = list(itertools.permutations(range(4), 2))
    counts = dict.fromkeys(orders, 0)
    for _ in range(trials):
        counts[tuple(draw_without_replacement(weights, 2, rng, ordered=True).tolist())] += 1
    expected = [_successive(weights, order) * trials for order in orders]
    assert chisquare(list(counts.values()), expected).pvalue > 1e-3


def test_without_replacement_comes_in_random_order():
    weights, rng, trials = [1.0, 2.0, 4.0, 8.0], generator(7, "race"), 10_000
    first = sum(draw_without_replacement(weights, 2, rng)[0] == 3 for _ in range(trials))
    included = sum(_successive(weights, order) for order in itertools.permutations(range(4), 2) if 3 in order)
    assert abs(first / trials - included / 2) < 4 * np.sqrt(0.25 / trials)


def test_without_replacement_takes_very_small_weights_last():
    weights = np.array([1e-12, 1.0, 1e-12, 2.0, 0.0])
    drawn = draw_without_replacement(weights, 4, generator(8, "race"), ordered=True)
    assert set(drawn[:2]) == {1, 3}
    assert set(drawn[2:]) == {0, 2}
    assert draw_without_replacement(weights * 1e-300, 4, generator(8, "x")).size == 4


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1e-9, 1.0, 7.0]), min_size=1, max_size=40), st.data())
def test_without_replacement_draws_each_once_and_none_of_weight_zero(weights, data):
    if not any(weights):
        weights[0] = 1.0
    size = data.draw(st.integers(0, sum(w > 0 for w in weights)))
    drawn = draw_without_replacement(weights, size, generator(9, "once"))
    assert drawn.dtype == np.int64
    assert len(set(drawn.tolist())) == size
    assert all(weights[i] > 0 for i in drawn)


@pytest.mark.parametrize("scattered", [False, True])
def test_shuffles_are_uniform(scattered, monkeypatch):
    if scattered:
        monkeypatch.setattr(draws, "_SCATTERED_FROM", 1)
        monkeypatch.setattr(draws, "_CHUNK", 2)
        monkeypatch.setattr(draws, "_BUCKETS", 3)
    rng = generator(10, "shuffle")
    orders = dict.fromkeys(itertools.permutations(range(4)), 0)
    for _ in range(6000):
        orders[tuple(shuffle(np.arange(4), rng).tolist())] += 1
    assert chisquare(list(orders.values())).pvalue > 1e-3


def test_a_scattered_shuffle_keeps_every_value(monkeypatch):
    monkeypatch.setattr(draws, "_SCATTERED_FROM", 1)
    monkeypatch.setattr(draws, "_CHUNK", 1000)
    shuffled = shuffle(np.arange(123_457), generator(11, "keep"))
    assert (np.sort(shuffled) == np.arange(123_457)).all()


def test_a_permutation_has_every_example_once():
    order = permutation(1000, generator(12, "order"))
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(1000))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, float("nan")], "the weight of example 1 is not finite; got nan"),
        ([1.0, float("inf"), 2.0], "the weight of example 1 is not finite; got inf"),
        ([1.0, 2.0, -0.5], "the weight of example 2 is negative; got -0.5"),
        ([0.0, 0.0], "all weights are zero"),
        ([], "weights must be one number per example"),
        ([[1.0]], "weights: must be one number per example"),
    ],
)
@pytest.mark.parametrize("draw", [draw_with_replacement, draw_without_replacement])
def test_weights_that_cannot_be_drawn_from(draw, weights, message):
    with pytest.raises(InputError, match=message):
        draw(weights, 1, generator(0, "bad"))


def test_too_few_weights_that_are_not_zero():
    with pytest.raises(InputError, match="3 different examples were asked for, but only 2 weights"):
        draw_without_replacement([1.0, 0.0, 2.0], 3, generator(0, "bad"))
    with pytest.raises(InputError, match="size: must not be negative; got -1"):
        draw_with_replacement([1.0], -1, generator(0, "bad"))
