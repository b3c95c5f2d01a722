"""How often a comparison is wrong, and how often it shows what is there, by simulation."""

from __future__ import annotations

import math

import numpy as np

from headrace import random
from headrace.analysis.comparison import compare

from .test_comparison import table


def test_no_verdict_in_more_than_one_family_of_twenty_where_nothing_differs():
    families, wrong = 500, 0
    rng = random.generator(0, "null")
    names = [f"g{i}" for i in range(6)]
    groups, seeds = np.repeat(["base", *names], 6).tolist(), list(range(6)) * 7
    for _ in range(families):
        seed_effect = np.tile(rng.normal(0, 1, 6), 7)
        found = compare(groups, seeds, (seed_effect + rng.normal(0, 1, 42)).tolist(), baseline="base")
        wrong += any(group.verdict != "no difference shown" for group in found.groups)
    # Four standard errors above 5%; uncorrected it would be about 20%.
    assert wrong / families < 0.05 + 4 * math.sqrt(0.05 * 0.95 / families)
    assert wrong > 0


def test_a_margin_away_nothing_is_called_equivalent_more_often_than_the_level():
    rng, wrong = random.generator(0, "equivalence"), 0
    for _ in range(300):
        rows = table(base=rng.normal(0, 1, 6).tolist(), other=rng.normal(2, 1, 6).tolist())
        wrong += compare(*rows, baseline="base", margin=2.0).groups[0].verdict == "equivalent"
    assert 0 < wrong / 300 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_looking_after_every_seed_keeps_the_error_rate():
    rng, wrong, once = random.generator(0, "looks"), 0, 0
    for _ in range(100):
        base, other = rng.normal(0, 1, (2, 12)).tolist()
        looks = [table(base=base[:n], other=other[:n]) for n in (3, 4, 5, 6, 8, 10, 12)]
        verdicts = [compare(*rows, baseline="base", sequential=True).groups[0].verdict for rows in looks]
        wrong += any(verdict != "no difference shown" for verdict in verdicts)
        naive = [compare(*rows, baseline="base").groups[0].verdict for rows in looks]
        once += any(verdict != "no difference shown" for verdict in naive)
    assert wrong / 100 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
    assert once > wrong


def test_few_seeds_against_many_keep_the_error_rate():
    """Welch's test alone would be wrong in three families of ten here: 22 groups, 3 seeds against 30."""
    rng, wrong = random.generator(0, "unequal"), 0
    groups = ["base"] * 30 + [f"g{i}" for i in range(22) for _ in range(3)]
    seeds = [*range(30), *[s for _ in range(22) for s in range(3)]]
    for _ in range(150):
        found = compare(groups, seeds, rng.normal(0, 1, 96).tolist(), baseline="base")
        wrong += any(group.verdict != "no difference shown" for group in found.groups)
    assert wrong / 150 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 150)


def test_five_seeds_of_thirteen_groups_show_two_standard_deviations_every_other_time():
    rng, shown = random.generator(0, "power of many"), 0
    groups = ["base"] * 5 + [f"g{i}" for i in range(13) for _ in range(5)]
    for _ in range(100):
        values = rng.normal(0, 1, 70)
        values[5:10] += 2
        shown += (
            compare(groups, list(range(5)) * 14, values.tolist(), baseline="base").groups[0].verdict
            == "worse"
        )
    assert shown / 100 > 0.35
