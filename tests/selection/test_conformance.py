"""Every strategy keeps the contract; the suite itself catches strategies that do not."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from headrace import selection
from headrace.random import generator
from headrace.selection.testing import check_selection, random_pool

STRATEGIES = {
    "top_k": lambda pool, n, rng, c: selection.top_k(pool.scores, n, candidates=c),
    "power": lambda pool, n, rng, c: selection.power(pool.scores, n, rng, candidates=c),
    "stratified": lambda pool, n, rng, c: selection.stratified(pool.scores, n, rng, strata=5, candidates=c),
    "class_balanced": lambda pool, n, rng, c: selection.class_balanced(
        pool.scores, pool.classes, n, candidates=c
    ),
    "k_center": lambda pool, n, rng, c: selection.k_center(pool.features, n, candidates=c),
    "score_distance": lambda pool, n, rng, c: selection.score_distance(
        pool.scores, pool.features, n, candidates=c
    ),
    "badge": lambda pool, n, rng, c: selection.badge(pool.probabilities, pool.features, n, rng, candidates=c),
    "batch_bald": lambda pool, n, rng, c: selection.batch_bald(
        pool.member_probabilities, n, rng, configurations=50, candidates=c
    ),
}
MOST = {"stratified": 20}


@pytest.mark.parametrize("name", STRATEGIES)
def test_conforms(name):
    check_selection(STRATEGIES[name], most=MOST.get(name))


def test_every_public_strategy_is_in_the_suite():
    assert set(selection.__all__) == set(STRATEGIES)


def choose_all() -> dict[str, list[int]]:
    return {
        name: strategy(random_pool(), 9, generator(0, "rng"), None).tolist()
        for name, strategy in STRATEGIES.items()
    }


def test_another_process_chooses_the_same():
    code = f"import sys; sys.path.insert(0, {sys.path[0]!r}); sys.path.insert(0, '.')\n"
    code += "from tests.selection.test_conformance import choose_all; print(choose_all())"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == str(choose_all())


def first(pool, count, rng, candidates):
    return selection.top_k(np.zeros(len(pool)), count, candidates=candidates)


def altered(pool, count, rng, candidates):
    pool.scores.flags.writeable = True
    pool.scores[0] = 0
    return first(pool, count, rng, candidates)


def unseeded(pool, count, rng, candidates):
    np.random.random()
    return selection.power(pool.scores, count, rng, candidates=candidates)


def positions(pool, count, rng, candidates):
    chosen = first(pool, count, rng, candidates)
    return chosen if candidates is None else np.searchsorted(np.sort(candidates), chosen)


def repeating(pool, count, rng, candidates):
    return np.zeros_like(first(pool, count, rng, candidates))


def whole_pool(pool, count, rng, candidates):
    """Lets what is no candidate decide."""
    first(pool, count, rng, candidates)
    offset = len(pool) % 5
    free = np.arange(len(pool)) if candidates is None else np.sort(candidates).astype(int)
    return np.roll(free, offset)[:count]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (altered, "scores was altered"),
        (unseeded, "global random state was changed"),
        (positions, "not a candidate was chosen"),
        (repeating, "chosen twice"),
        (whole_pool, "made a difference"),
        (first, "NaN was not refused"),
        (lambda pool, n, rng, c: first(pool, n, rng, c).astype(np.int32), "not int64"),
        (lambda pool, n, rng, c: first(pool, min(n, 5), rng, c), "asked for 7"),
    ],
)
def test_the_suite_catches(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_selection(broken)
