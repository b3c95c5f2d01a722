"""Partitions keep every example, and put the scores where they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.sampling import partition


def test_by_hand():
    scores = [5.0, 1.0, 4.0, 2.0, 3.0]  # sorted: 1, 3, 4, 2, 0
    assert [part.tolist() for part in partition(scores, 2, "stripes")] == [[1, 4, 0], [3, 2]]
    assert [part.tolist() for part in partition(scores, 2, "blocks")] == [[1, 3, 4], [2, 0]]


@given(
    scores=st.lists(st.floats(-5, 5), min_size=1, max_size=50),
    workers=st.integers(1, 7),
    heuristic=st.sampled_from(["stripes", "blocks", "random"]),
)
def test_every_example_belongs_to_one_worker(scores, workers, heuristic):
    workers = min(workers, len(scores))
    parts = partition(scores, workers, heuristic)
    assert len(parts) == workers
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(scores)))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_stripes_are_alike_and_blocks_are_not():
    scores = np.random.default_rng(0).random(1000)
    means = {h: [scores[p].mean() for p in partition(scores, 4, h)] for h in ("stripes", "blocks", "random")}
    assert np.ptp(means["stripes"]) < 0.01
    assert means["blocks"] == sorted(means["blocks"])
    assert np.ptp(means["blocks"]) > 0.7
    assert 0.01 < np.ptp(means["random"]) < 0.2


def test_random_depends_on_seed_and_interval_alone():
    first = partition(np.zeros(50), 2, "random", seed=1, interval=2)[0].tolist()
    assert partition(np.ones(50), 2, "random", seed=1, interval=2)[0].tolist() == first
    assert partition(np.zeros(50), 2, "random", seed=1, interval=3)[0].tolist() != first
    assert partition(np.zeros(50), 2, "random", seed=2, interval=2)[0].tolist() != first


def test_the_scores_are_not_changed():
    scores = np.array([3.0, 1.0, 2.0])
    partition(scores, 2, "blocks")
    assert scores.tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("scores", "workers", "heuristic", "message"),
    [
        ([1.0, float("nan")], 2, "blocks", "score of example 1 is not finite.*at least two observations"),
        ([1.0, 2.0], 3, "blocks", "workers: must be from 1 to the 2 examples; got 3"),
        ([1.0, 2.0], 0, "blocks", "workers: must be from 1"),
        ([1.0, 2.0], 2, "squares", "must be 'stripes', 'blocks' or 'random'; got 'squares'"),
        ([], 1, "blocks", "one number per example"),
    ],
)
def test_bad_input(scores, workers, heuristic, message):
    with pytest.raises(InputError, match=message):
        partition(scores, workers, heuristic)
