"""Comparison of groups: scipy's tests, Holm by its definition, the family-wise error, the power."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from headrace import random
from headrace.analysis.comparison import compare, detectable_difference, holm
from headrace.errors import InputError


def table(**groups: list[float]) -> tuple[list[str], list[int], list[float]]:
    """Every group with the seeds 0, 1, .."""
    rows = [(name, seed, value) for name, values in groups.items() for seed, value in enumerate(values)]
    return tuple(map(list, zip(*rows, strict=True)))


def normal(path: object, size: int, mean: float = 0.0, sd: float = 1.0) -> list[float]:
    return random.generator(0, "comparison", str(path)).normal(mean, sd, size).tolist()


def test_equal_seeds_are_paired_as_scipy_does_it():
    base, other = normal("a", 8), normal("b", 8, 0.4)
    found = compare(*table(base=base, other=other), baseline="base").groups[0]
    known = stats.ttest_rel(other, base)
    assert found.test == "paired"
    assert found.p == pytest.approx(known.pvalue)
    assert found.difference == pytest.approx(np.mean(other) - np.mean(base))
    assert found.interval == pytest.approx(tuple(known.confidence_interval(0.95)))


def test_other_seeds_are_compared_by_welch_as_scipy_does_it():
    base, other = normal("a", 8), normal("b", 5, 0.4, 3.0)
    groups = ["base"] * 8 + ["other"] * 5
    found = compare(groups, [*range(8), *range(20, 25)], base + other, baseline="base").groups[0]
    known = stats.ttest_ind(other, base, equal_var=False)
    assert found.test == "welch"
    assert found.p == pytest.approx(known.pvalue)
    assert found.freedom == pytest.approx(known.df)
    assert found.interval == pytest.approx(tuple(known.confidence_interval(0.95)))


def test_the_seeds_that_a_smaller_group_lacks_are_left_out_of_its_pairs():
    base, other = normal("a", 8), normal("b", 4)
    found = compare(*table(base=base, other=other), baseline="base").groups[0]
    assert (found.test, found.seeds) == ("paired", 4)
    assert found.p == pytest.approx(stats.ttest_rel(other, base[:4]).pvalue)


def test_the_order_of_rows_does_not_pair_other_seeds():
    groups, seeds, values = table(base=normal("a", 6), other=normal("b", 6))
    turned = compare(groups[::-1], seeds[::-1], values[::-1], baseline="base").groups[0]
    assert turned.p == pytest.approx(compare(groups, seeds, values, baseline="base").groups[0].p)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.2))
def test_holm_rejects_step_by_step(p_values, alpha):
    rejected: set[int] = set()
    for k, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[i] > alpha / (len(p_values) - k):
            break
        rejected.add(i)
    adjusted = holm(p_values)
    assert all((adjusted[i] <= alpha * (1 - 1e-9)) <= (i in rejected) for i in range(len(p_values)))
    assert all((i in rejected) <= (adjusted[i] <= alpha * (1 + 1e-9)) for i in range(len(p_values)))


def test_no_verdict_in_more_than_one_family_of_twenty_where_nothing_differs():
    families, wrong = 1000, 0
    rng = random.generator(0, "null")
    names = [f"g{i}" for i in range(6)]
    groups, seeds = np.repeat(["base", *names], 6).tolist(), list(range(6)) * 7
    for _ in range(families):
        seed_effect = np.tile(rng.normal(0, 1, 6), 7)
        found = compare(groups, seeds, (seed_effect + rng.normal(0, 1, 42)).tolist(), baseline="base")
        wrong += any(group.verdict != "no difference shown" for group in found.groups)
    # Four standard errors above 5 %; uncorrected it would be about 20 %.
    assert wrong / families < 0.05 + 4 * math.sqrt(0.05 * 0.95 / families)
    assert wrong > 0


def test_verdict_interval_and_adjusted_p_agree_in_every_family():
    rng = random.generator(0, "agree")
    verdicts = set()
    for _ in range(60):
        effect = np.repeat([0, 0.0, 0.8, -0.8, 1.5], 7)
        groups = np.repeat(["base", "a", "b", "c", "d"], 7).tolist()
        values = (effect + rng.normal(0, 0.7, 35)).tolist()
        for found in compare(groups, list(range(7)) * 5, values, baseline="base").groups:
            shown = found.verdict != "no difference shown"
            assert shown == (found.p_adjusted <= 0.05)
            assert shown == (found.interval[0] > 0 or found.interval[1] < 0)
            assert found.interval[0] < found.difference < found.interval[1]
            verdicts.add(found.verdict)
    assert verdicts == {"better", "worse", "no difference shown"}


def test_the_direction_of_the_metric():
    columns = table(base=[1.0, 1.1, 0.9, 1.0], other=[2.0, 2.2, 1.9, 2.05])
    assert compare(*columns, baseline="base").groups[0].verdict == "worse"
    assert compare(*columns, baseline="base", higher_is_better=True).groups[0].verdict == "better"


def test_the_detectable_difference_is_shown_four_times_in_five():
    rng = random.generator(0, "power")
    sd, seeds, runs = 2.0, 8, 4000
    true = detectable_difference(sd / math.sqrt(seeds), seeds - 1, 0.05)
    differences = rng.normal(true, sd, (runs, seeds))
    shown = stats.ttest_1samp(differences, 0, axis=1).pvalue < 0.05
    assert shown.mean() == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / runs))


@pytest.mark.parametrize(("freedom", "alpha"), [(3, 0.05), (9, 0.01), (25.5, 0.05)])
def test_the_power_is_that_of_the_noncentral_t(freedom, alpha):
    shift = detectable_difference(1.0, freedom, alpha)
    critical = stats.t.ppf(1 - alpha / 2, freedom)
    assert stats.nct.sf(critical, freedom, shift) == pytest.approx(0.8, abs=2e-4)


def test_more_groups_need_a_larger_difference():
    base, other = normal("a", 8), normal("b", 8)
    one = compare(*table(base=base, other=other), baseline="base").groups[0]
    many = compare(*table(base=base, other=other, third=normal("c", 8)), baseline="base").groups[0]
    assert many.detectable_difference > one.detectable_difference


@pytest.mark.parametrize(("shift", "p", "verdict"), [(0.0, 1.0, "no difference shown"), (0.5, 0.0, "worse")])
def test_no_scatter_at_all(shift, p, verdict):
    base = [0.25, 0.5, 0.75]
    found = compare(*table(base=base, other=[v + shift for v in base]), baseline="base").groups[0]
    assert (found.p, found.verdict, found.interval) == (p, verdict, (shift, shift))


def test_the_dictionary_is_as_promised():
    found = compare(*table(base=normal("a", 5), other=normal("b", 5)), baseline="base").to_dict()
    assert {"group", "verdict", "difference", "interval", "p_adjusted", "detectable_difference"} <= set(
        found["groups"][0]
    )
    assert isinstance(found["groups"][0]["interval"], list)


@pytest.mark.parametrize(
    ("columns", "baseline", "message"),
    [
        ((["a", "b"], [0, 0], [1.0, 2.0]), "c", "there is no such group"),
        ((["a", "a"], [0, 1], [1.0, 2.0]), "a", "no group beside the baseline"),
        ((["a", "a", "b"], [0, 1, 0], [1.0, 2.0, 3.0]), "a", "at least two seeds"),
        ((["a", "a"], [0, 0], [1.0, 2.0]), "a", "occurs twice"),
        ((["a", "a"], [0, 1], [1.0, math.nan]), "a", "finite"),
        ((["a"], [0, 1], [1.0, 2.0]), "a", "one length"),
    ],
)
def test_what_cannot_be_compared_is_refused(columns, baseline, message):
    with pytest.raises(InputError, match=message):
        compare(*columns, baseline=baseline)


@pytest.mark.filterwarnings("error")
@given(
    st.lists(st.sampled_from([0.0, 1e60, -1e60, 1e-60, -1e-60, 1.0, 1 + 2**-52]), min_size=5, max_size=5),
    st.booleans(),
)
def test_no_number_that_is_taken_overflows(values, paired):
    seeds = [0, 1, 0 if paired else 3, 1 if paired else 4, 5]
    found = compare(["a", "a", "b", "b", "b"], seeds, values, baseline="a")
    (row,) = found.groups
    numbers = [row.difference, row.standard_error, row.p_adjusted, row.detectable_difference, *row.interval]
    assert np.isfinite(numbers).all()
    assert row.p > 0 or len(set(values[2:])) == 1 or paired


@pytest.mark.parametrize("value", [1e61, -1e308, 1e-61, 5e-324, float("inf"), "0.1", None, 10**400])
def test_a_metric_that_arithmetic_does_not_bear_is_refused(value):
    with pytest.raises(InputError, match=r"group 'b', seed 1: the metric must be"):
        compare(["a", "a", "b", "b"], [0, 1, 0, 1], [1, 2, 3, value], baseline="a")


def test_seeds_pair_by_value():
    plain = compare(["a", "a", "b", "b"], [0, 1, 0, 1], [1, 2, 3, 4.5], baseline="a")
    arrays = compare(["a", "a", "b", "b"], torch.tensor([0, 1, 0, 1]), [1, 2, 3, 4.5], baseline="a")
    assert plain == arrays and plain.groups[0].test == "paired"
    with pytest.raises(InputError, match="all texts or all numbers"):
        compare(["a", "a", "b", "b"], [0, 1, "0", "1"], [1, 2, 3, 4.5], baseline="a")
    for missing in (None, float("nan")):
        with pytest.raises(InputError, match="a seed is missing"):
            compare(["a", "a", "b", "b"], [0, missing, 0, 1], [1, 2, 3, 4.5], baseline="a")
