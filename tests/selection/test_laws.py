"""Each strategy against its definition: by hand, by brute force, and in distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from headrace import selection
from headrace.errors import InputError
from headrace.random import generator
from headrace.selection.balanced import fair_shares
from headrace.selection.gradients import GradientEmbedding, _draw
from headrace.selection.testing import random_pool

seeds = st.integers(0, 2**32)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.data())
def test_top_k_is_a_stable_sort_from_the_top(scores, data):
    count = data.draw(st.integers(0, len(scores)))
    expected = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:count]
    assert selection.top_k(scores, count).tolist() == expected


def test_top_k_takes_the_most_uncertain_and_not_the_least():
    assert selection.top_k([0.1, 0.9, 0.5, 0.9], 3).tolist() == [1, 3, 2]
    assert selection.top_k([0.1, 0.9, 0.5, 0.9], 2, candidates=[2, 0]).tolist() == [2, 0]


def frequencies(draw, outcomes: dict, repeats: int) -> np.ndarray:
    rng = generator(7, "draws")
    counts = dict.fromkeys(outcomes, 0)
    for _ in range(repeats):
        counts[tuple(draw(rng).tolist())] += 1
    return np.array([counts[key] for key in outcomes])


def test_power_draws_in_proportion_to_the_power_of_the_scores():
    scores, repeats = np.array([1.0, 2.0, 3.0, 0.0]), 6000
    weights = scores**2
    expected = {}
    for i in range(3):
        for j in set(range(3)) - {i}:
            expected[i, j] = weights[i] / 14 * weights[j] / (14 - weights[i]) * repeats
    got = frequencies(lambda rng: selection.power(scores, 2, rng, exponent=2), expected, repeats)
    assert chisquare(got, list(expected.values())).pvalue > 1e-3
    assert selection.power(scores, 4, generator(0))[-1] == 3


def test_power_reaches_from_uniform_to_top_k():
    scores, repeats = np.array([0.0, 1.0, 2.0, 4.0]), 4000
    flat = dict.fromkeys([(0,), (1,), (2,), (3,)], repeats / 4)
    got = frequencies(lambda rng: selection.power(scores, 1, rng, exponent=0), flat, repeats)
    assert chisquare(got).pvalue > 1e-3
    assert selection.power(scores, 4, generator(0), exponent=1e6).tolist() == [3, 2, 1, 0]
    with pytest.raises(InputError, match=r"scores, example 1: scores must not be negative; got -1.0"):
        selection.power([1, -1], 1, generator(0))
    with pytest.raises(InputError, match="exponent"):
        selection.power([1, 1], 1, generator(0), exponent=-1)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=12), st.data())
def test_fair_shares_are_as_even_as_the_sizes_allow(sizes, data):
    count = data.draw(st.integers(0, sum(sizes)))
    shares = dict(fair_shares(np.array(sizes), count))
    assert sum(shares.values()) == count
    given_ = [shares.get(i, 0) for i in range(len(sizes))]
    assert all(share <= size for share, size in zip(given_, sizes, strict=True))
    # A group that could give more has at least as much as any other, but for the one of a remainder.
    open_ = [share for share, size in zip(given_, sizes, strict=True) if share < size]
    assert not open_ or max(given_) - min(open_) <= 1


def test_stratified_drops_the_hardest_and_covers_the_rest():
    # Ten values in 0..1 and, after the two hardest are dropped, strata [0, 0.5) and [0.5, 1].
    scores = np.array([0, 0.1, 0.2, 0.3, 0.4, 0.45, 0.9, 1.0, 5.0, 9.0])
    chosen = selection.stratified(scores, 5, generator(0), drop_hardest=0.2, strata=2)
    assert set(chosen[:2]) == {6, 7}
    assert len(set(chosen) & set(range(6))) == 3
    assert set(selection.stratified(scores, 8, generator(0), drop_hardest=0.2)) == set(range(8))
    with pytest.raises(InputError, match="count: 8 candidates are left after dropping the hardest; got 9"):
        selection.stratified(scores, 9, generator(0), drop_hardest=0.2)
    seen = {int(i) for s in range(200) for i in selection.stratified(scores, 3, generator(s), strata=2)}
    assert seen == set(range(8))


def test_stratified_is_uniform_within_a_stratum():
    scores, repeats = np.array([0.0, 0.1, 0.2, 1.0]), 3000
    outcomes = {(3, i): repeats / 3 for i in range(3)}
    got = frequencies(
        lambda rng: selection.stratified(scores, 2, rng, drop_hardest=0, strata=2), outcomes, repeats
    )
    assert chisquare(got).pvalue > 1e-3


@settings(max_examples=60, deadline=None)
@given(
    seeds,
    st.integers(1, 8),
    st.sampled_from(["whole", "between", "equal", "huge"]),
    st.sampled_from([0, 0.3]),
)
def test_stratified_shares_fairly_among_the_bins_of_a_histogram(seed, strata, kind, drop_hardest):
    rng = generator(seed, "scores")
    n = int(rng.integers(1, 30))
    whole = rng.integers(-strata, strata + 1, size=n).astype(float)
    scores = {"whole": whole, "between": rng.normal(size=n), "equal": np.ones(n), "huge": 1e15 * whole}[kind]
    kept = np.argsort(-scores, kind="stable")[int(drop_hardest * n) :]
    count = int(rng.integers(0, len(kept) + 1))
    chosen = selection.stratified(scores, count, rng, drop_hardest=drop_hardest, strata=strata)
    assert set(chosen) <= set(kept)
    # The last bin of a histogram has both its ends.
    left = scores[kept]
    edges = np.linspace(left.min(), left.max(), strata + 1)
    bins = np.minimum(np.searchsorted(edges, left, side="right") - 1, strata - 1)
    expected = fair_shares(np.bincount(bins, minlength=strata), count) if np.ptp(left) else [(0, count)]
    bin_of = dict(zip(kept.tolist(), bins.tolist() if np.ptp(left) else [0] * len(left), strict=True))
    assert [bin_of[i] for i in chosen.tolist()] == [bin_ for bin_, share in expected for _ in range(share)]


def test_class_balanced_takes_the_best_of_each_class():
    scores = [9, 8, 7, 6, 5, 4, 3, 2]
    classes = [0, 0, 0, 0, 0, 7, 7, 3]
    assert selection.class_balanced(scores, classes, 6).tolist() == [0, 1, 2, 5, 6, 7]
    assert selection.class_balanced(scores, classes, 3).tolist() == [0, 5, 7]
    assert selection.class_balanced(scores, classes, 3, candidates=[0, 1, 2, 3]).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="classes"):
        selection.class_balanced(scores, np.linspace(0, 1, 8), 2)


def naive_farthest(features, count, initial=(), candidates=None, scores=None) -> list[int]:
    """k-center greedy (or score x distance) with every distance, in float64."""
    rows = np.asarray(features, dtype=np.float64)
    pool = sorted(range(len(rows)) if candidates is None else candidates)
    weights = None if scores is None else np.asarray(scores, dtype=np.float64)
    centres, chosen = list(initial), []
    for _ in range(count):
        free = [i for i in pool if i not in chosen]
        if not centres:
            best = free[0] if weights is None else max(free, key=lambda i: (weights[i], -i))
        else:
            near = {i: min(((rows[i] - rows[c]) ** 2).sum() for c in centres) for i in free}
            value = near if weights is None else {i: weights[i] * np.sqrt(near[i]) for i in free}
            best = max(free, key=lambda i: (value[i], -i))
        chosen.append(best)
        centres.append(best)
    return chosen


@pytest.mark.parametrize("dimensions", [2, 8, 32, 256])
def test_distances_that_float32_cannot_tell_apart_are_told_apart(dimensions):
    """Clouds of width 1e-7 and 1e-6 around points of a sphere: all are as far from the middle."""
    rng = generator(dimensions, "sphere")
    far = rng.normal(size=(16, dimensions))
    far /= np.linalg.norm(far, axis=1)[:, None]
    clouds = [far, *(far + width * rng.normal(size=far.shape) for width in (1e-7, 1e-6))]
    features = np.vstack(clouds)
    assert selection.k_center(features, 40).tolist() == naive_farthest(features, 40)


def test_what_is_not_said_is_as_documented():
    pool = random_pool(copies=1, examples=400)
    scores, rng = pool.scores, lambda: generator(0, "defaults")
    expected = selection.stratified(scores, 90, rng(), drop_hardest=0.2, strata=50)
    assert selection.stratified(scores, 90, rng()).tolist() == expected.tolist()
    assert (
        selection.power(scores, 90, rng()).tolist() == selection.power(scores, 90, rng(), exponent=1).tolist()
    )
    p = pool.member_probabilities[:, :30]
    expected = selection.batch_bald(p, 9, rng(), configurations=1024)
    assert selection.batch_bald(p, 9, rng()).tolist() == expected.tolist()


@settings(max_examples=60, deadline=None)
@given(
    seeds,
    st.sampled_from(["normal", "lattice", "copies", "far", "tiny", "huge", "huge, below 0", "equal"]),
    st.booleans(),
    st.data(),
)
def test_farthest_first_is_the_naive_algorithm(seed, kind, weighted, data):
    rng = generator(seed, "features")
    n, d = int(rng.integers(2, 40)), int(rng.integers(1, 6))
    features = {
        "normal": rng.normal(size=(n, d)),
        "lattice": rng.integers(0, 3, size=(n, d)).astype(float),
        "copies": rng.normal(size=(3, d))[rng.integers(3, size=n)],
        "far": rng.normal(size=(n, d)) * 1e-3 + 1e6,
        "tiny": rng.normal(size=(n, d)) * 1e-30,
        "huge": rng.random((n, d)) * 1e30,
        "huge, below 0": rng.random((n, d)) * -1e30,
        "equal": np.ones((n, d)),
    }[kind]
    if data.draw(st.booleans()):
        features = features.astype(np.float32)
    scores = rng.integers(0, 4, size=n) if weighted else None
    candidates = rng.permutation(n)[: int(rng.integers(1, n + 1))].tolist()
    initial = rng.permutation(n)[: int(rng.integers(0, 4))].tolist()
    count = int(rng.integers(0, len(candidates) + 1))
    expected = naive_farthest(features, count, sorted(initial), candidates, scores)
    options = {"initial": initial, "candidates": candidates}
    if scores is None:
        got = selection.k_center(features, count, **options)
    else:
        got = selection.score_distance(scores, features, count, **options)
    assert got.tolist() == expected


@pytest.mark.parametrize("kind", ["normal", "ties"])
def test_k_center_over_many_blocks_is_the_naive_algorithm(monkeypatch, kind):
    monkeypatch.setattr("headrace.selection.farthest._LEAST_BLOCK", 5)
    monkeypatch.setattr("headrace.selection.farthest._CENTRES_AT_ONCE", 3)
    features = generator(0, "features").normal(size=(120, 4))
    if kind == "ties":
        features = np.round(features) * 0.1
    initial = list(range(0, 40, 4))
    assert selection.k_center(features, 30, initial=initial).tolist() == naive_farthest(features, 30, initial)
    scores = generator(0, "scores").random(120)
    expected = naive_farthest(features, 30, scores=scores)
    assert selection.score_distance(scores, features, 30).tolist() == expected


def test_k_center_covers_clusters_before_it_repeats_one():
    centres = np.array([[0, 0], [100, 0], [0, 100], [100, 100]])
    features = np.repeat(centres, 5, axis=0) + generator(0, "noise").normal(size=(20, 2))
    assert {int(i) // 5 for i in selection.k_center(features, 4)} == {0, 1, 2, 3}


def test_score_distance_weighs_both():
    features = np.array([[0.0], [0.1], [5.0], [6.0]])
    assert selection.score_distance([1, 0.99, 0.3, 0.05], features, 3).tolist() == [0, 2, 1]


def explicit_gradients(p, features) -> np.ndarray:
    errors = p - np.eye(p.shape[1])[p.argmax(1)]
    return (errors[:, :, None] * features[:, None, :]).reshape(len(p), -1)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_badge_distances_equal_those_of_explicit_gradients(seed):
    rng = generator(seed, "badge")
    p, features = rng.dirichlet(np.ones(4), size=12), rng.normal(size=(12, 3))
    embedding, gradients = GradientEmbedding(p, features), explicit_gradients(p, features)
    np.testing.assert_allclose(embedding.squared_norms, (gradients**2).sum(1), rtol=1e-12)
    for row in range(12):
        expected = ((gradients - gradients[row]) ** 2).sum(1)
        np.testing.assert_allclose(embedding.squared_distances(row), expected, rtol=1e-9, atol=1e-13)


def test_badge_draws_like_k_means_plus_plus_on_explicit_gradients():
    rng, repeats = generator(3, "badge"), 6000
    p, features = rng.dirichlet(np.ones(3), size=5), rng.normal(size=(5, 2))
    gradients = explicit_gradients(p, features)
    square = ((gradients[:, None] - gradients[None]) ** 2).sum(2)
    first = int((gradients**2).sum(1).argmax())
    expected = {}
    for i in set(range(5)) - {first}:
        for j in set(range(5)) - {first, i}:
            second = square[first] / square[first].sum()
            nearest = np.minimum(square[first], square[i])
            expected[first, i, j] = second[i] * nearest[j] / nearest.sum() * repeats
    got = frequencies(lambda rng: selection.badge(p, features, 3, rng), expected, repeats)
    assert chisquare(got, list(expected.values())).pvalue > 1e-3


def test_badge_draws_copies_last_and_uniformly():
    rng = generator(0, "badge")
    p, features = rng.dirichlet(np.ones(3), size=3), rng.normal(size=(3, 4))
    p, features = np.concatenate([p, p]), np.concatenate([features, features])
    thirds = []
    for seed in range(300):
        chosen = selection.badge(p, features, 4, generator(seed))
        assert {int(i) % 3 for i in chosen[:3]} == {0, 1, 2}
        thirds.append(int(chosen[3]) % 3)
    assert chisquare(np.bincount(thirds)).pvalue > 1e-3


@settings(max_examples=30, deadline=None)
@given(seeds, st.sampled_from([2.0**-40, 2.0**-9, 2.0**9, 2.0**40]), st.sampled_from(["float32", "float64"]))
def test_badge_does_not_depend_on_the_unit_of_the_features(seed, unit, dtype):
    """Powers of two change no digit: what is a copy in one unit is a copy in another."""
    rng = generator(seed, "badge")
    p, features = rng.dirichlet(np.ones(4), size=9), rng.normal(size=(9, 5)).astype(dtype)
    p, features = np.concatenate([p, p]), np.concatenate([features, features])
    chosen = selection.badge(p, features, 18, generator(seed))
    assert (
        selection.badge(p, features * features.dtype.type(unit), 18, generator(seed)).tolist()
        == chosen.tolist()
    )
    assert {int(i) % 9 for i in chosen[:9]} == set(range(9))


def joint_information(p: np.ndarray, batch: list[int]) -> float:
    """I(labels of the batch; member) by enumerating every configuration."""
    joint = np.ones((len(p), 1))
    for i in batch:
        joint = (joint[:, :, None] * p[:, i][:, None, :]).reshape(len(p), -1)
    mean = joint.mean(0)
    conditional = -(np.where(joint > 0, joint * np.log(np.where(joint > 0, joint, 1)), 0)).sum(1).mean()
    return float(-(mean[mean > 0] * np.log(mean[mean > 0])).sum() - conditional)


def greedy_information(p: np.ndarray, count: int) -> list[int]:
    chosen: list[int] = []
    for _ in range(count):
        free = [i for i in range(p.shape[1]) if i not in chosen]
        gains = [joint_information(p, [*chosen, i]) for i in free]
        chosen.append(free[int(np.flatnonzero(np.array(gains) >= max(gains) - 1e-12)[0])])
    return chosen


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_batch_bald_is_the_exact_greedy_while_configurations_suffice(seed):
    rng = generator(seed, "bald")
    p = rng.dirichlet(np.full(3, 0.4), size=(4, 6))
    p[rng.random((4, 6)) < 0.2] = [1, 0, 0]
    assert selection.batch_bald(p, 4, rng, configurations=81).tolist() == greedy_information(p, 4)


def test_batch_bald_does_not_take_the_same_question_twice():
    # Examples 0 and 1 split the members alike; 2 splits them another way, a little less surely.
    a, b = [0.99, 0.01], [0.01, 0.99]
    c, d = [0.9, 0.1], [0.1, 0.9]
    p = np.array([[a, a, c], [a, a, d], [b, b, c], [b, b, d]])
    assert selection.batch_bald(p, 2, generator(0)).tolist() == [0, 2]


def test_drawn_configurations_estimate_the_joint_information():
    p = generator(5, "bald").dirichlet(np.full(3, 0.3), size=(6, 9))
    exact = selection.batch_bald(p, 5, generator(0), configurations=3**5)
    drawn = selection.batch_bald(p, 5, generator(0), configurations=200)
    best = joint_information(p, exact.tolist())
    assert joint_information(p, drawn.tolist()) > 0.98 * best
    worst = sorted(range(9), key=lambda i: joint_information(p, [i]))[:5]
    assert joint_information(p, worst) < 0.95 * best


def test_drawn_gains_are_unbiased():
    from headrace.selection.joint_entropy import _Labels

    p = generator(6, "bald").dirichlet(np.full(3, 0.3), size=(5, 4))
    labels = _Labels(5, 3, 20_000)
    labels._start_drawing(generator(0, "drawn"))
    for i in (0, 1, 2):
        labels.add(p[:, i], generator(0, "labels", i))
    exact = _Labels(5, 3, 27)
    for i in (0, 1, 2):
        exact.add(p[:, i], generator(0))
    assert exact.drawn_members is None
    np.testing.assert_allclose(labels.entropies(p), exact.entropies(p), atol=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: selection.top_k([1, np.nan], 1), "scores, example 1: a score is not finite; got nan"),
        (lambda: selection.top_k([[1, 2]], 1), r"scores: .*got \(1, 2\)"),
        (lambda: selection.top_k([1, 2], 3), "count: there are 2 candidates to choose from; got 3"),
        (lambda: selection.top_k([1, 2], 1.5), "count: must be a whole number; got 1.5"),
        (lambda: selection.top_k([1, 2], 1, candidates=[0, 2]), r"indices must be within 0\.\.1; got 2"),
        (lambda: selection.top_k([1, 2], 1, candidates=[True, False]), "Use np.flatnonzero"),
        (lambda: selection.top_k([1, 2, 3], 1, candidates=[2, 0, 2]), "an index is given twice; got 2"),
        (lambda: selection.k_center([[0, np.inf]], 1), "features, example 0: a feature is not finite"),
        (lambda: selection.score_distance([1, 2], [[0.0]], 1), "features: .*each of the 2 examples; got 1"),
        (lambda: selection.k_center([[0.0]], 1, initial=[4]), "initial: indices must be within"),
        (lambda: selection.badge([[0.5, 0.6]], [[1.0]], 1, generator(0)), "probabilities, example 0"),
        (lambda: selection.batch_bald([[[1.0, 0], [0.5, 0]]], 1, generator(0)), "example 1, member 0"),
        (lambda: selection.stratified([1, 2], 1, generator(0), drop_hardest=1), "drop_hardest"),
    ],
)
def test_errors_say_what_where_and_what_was_got(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("place", range(5))
def test_what_alone_has_a_weight_is_drawn(place):
    weights = np.where(np.arange(5) == place, 0.3, 0.0)
    assert {_draw(weights, [0], generator(seed, "draw")) for seed in range(20)} == {place}
    chosen = [place, (place + 2) % 5]
    left = {_draw(np.zeros(5), chosen, generator(seed, "draw")) for seed in range(60)}
    assert left == set(range(5)) - set(chosen)


@pytest.mark.parametrize("power", [-400, -100, -30, 30, 100, 400])
def test_the_choice_does_not_depend_on_the_unit_of_the_features(power):
    features = generator(0, "unit").normal(size=(300, 4))
    expected = selection.k_center(features, 25).tolist()
    assert selection.k_center(features * 2.0**power, 25).tolist() == expected
    few = features.astype(np.float32)
    if abs(power) <= 30:
        found = selection.k_center(few * np.float32(2.0**power), 25)
        assert found.tolist() == selection.k_center(few, 25).tolist()
