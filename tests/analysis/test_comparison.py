"""Comparison of groups: scipy's tests, Holm by its definition, the family-wise error, the power."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from headrace import random
from headrace.analysis.comparison import compare
from headrace.analysis.correction import holm
from headrace.analysis.granularity import detect_granularity
from headrace.analysis.moderation import Prior, estimate_prior, squeezed
from headrace.analysis.pairing import probability_of_improvement
from headrace.analysis.power import detectable_difference, detectable_interval, seeds_needed
from headrace.errors import InputError


def table(**groups: list[float]) -> tuple[list[str], list[int], list[float]]:
    """Every group with the seeds 0, 1, .."""
    rows = [(name, seed, value) for name, values in groups.items() for seed, value in enumerate(values)]
    return tuple(map(list, zip(*rows, strict=True)))


def normal(path: object, size: int, mean: float = 0.0, sd: float = 1.0) -> list[float]:
    return random.generator(0, "comparison", str(path)).normal(mean, sd, size).tolist()


def test_one_group_in_pairs_is_tested_as_scipy_does_it():
    base, other = normal("a", 8), normal("b", 8, 0.4)
    found = compare(*table(base=base, other=other), baseline="base", pairing="always").groups[0]
    known = stats.ttest_rel(other, base)
    assert found.test == "paired"
    assert found.p == pytest.approx(known.pvalue)
    assert found.difference == pytest.approx(np.mean(other) - np.mean(base))
    assert found.interval == pytest.approx(tuple(known.confidence_interval(0.95)))


def test_one_group_of_many_seeds_is_tested_nearly_as_scipy_does_it():
    base, other = normal("a", 300), normal("b", 200, 0.2, 1.1)
    groups = ["base"] * 300 + ["other"] * 200
    found = compare(groups, [*range(300), *range(1000, 1200)], base + other, baseline="base").groups[0]
    known = stats.ttest_ind(other, base, equal_var=False)
    assert found.test == "welch"
    assert found.p == pytest.approx(known.pvalue, rel=0.05)
    assert found.interval == pytest.approx(tuple(known.confidence_interval(0.95)), rel=0.05, abs=0.01)


def test_the_seeds_that_a_smaller_group_lacks_are_left_out_of_its_pairs():
    base, other = normal("a", 8), normal("b", 4)
    found = compare(*table(base=base, other=other), baseline="base", pairing="always").groups[0]
    assert (found.test, found.seeds) == ("paired", 4)
    assert found.p == pytest.approx(stats.ttest_rel(other, base[:4]).pvalue)


def test_pairs_are_taken_if_the_seeds_matter_and_not_else():
    seed = np.array(normal("seed", 6, 0.0, 3.0))
    alike = table(**{name: (seed + normal(name, 6)).tolist() for name in "abcd"})
    apart = table(**{name: normal(name, 6) for name in "abcd"})
    assert {group.test for group in compare(*alike, baseline="a").groups} == {"paired"}
    assert {group.test for group in compare(*apart, baseline="a").groups} == {"welch"}
    assert {group.test for group in compare(*alike, baseline="a", pairing="never").groups} == {"welch"}


def test_pairs_show_what_the_seeds_hide():
    seed = np.array(normal("seed", 6, 0.0, 5.0))
    shifts = {"a": 0.0, "b": 3.0, "d": 0.0}
    rows = table(
        **{name: (seed + shift + normal(name, 6, 0, 0.3)).tolist() for name, shift in shifts.items()}
    )
    assert [g.verdict for g in compare(*rows, baseline="a").groups] == ["worse", "no difference shown"]
    assert compare(*rows, baseline="a", pairing="never").groups[0].verdict == "no difference shown"


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


def test_groups_that_are_equal_in_every_run():
    found = compare(*table(base=[0.25] * 4, other=[0.25] * 4), baseline="base").groups[0]
    assert (found.p, found.verdict, found.difference) == (1.0, "no difference shown", 0.0)


def test_two_seeds_give_no_verdict():
    rows = table(base=[0.10, 0.11], other=[0.10 - 1 / 300, 0.11 - 1 / 300], third=[9.0, 9.1])
    for pairing in ("auto", "always", "never"):
        found = compare(*rows, baseline="base", pairing=pairing)
        assert {group.verdict for group in found.groups} == {"no difference shown"}
        assert all(group.p == group.p_adjusted == 1 and not group.tested for group in found.groups)
        assert found.to_dict()["groups"][0]["interval"] == [None, None]


def test_equal_counts_are_no_certainty():
    """One test image of 300 apart in each of three seeds: rounding alone could do that."""
    rows = table(base=[30 / 300] * 3, other=[29 / 300] * 3)
    found = compare(*rows, baseline="base")
    assert found.granularity == pytest.approx(1 / 300)
    group = found.groups[0]
    assert group.verdict == "no difference shown"
    assert group.standard_error == pytest.approx(math.sqrt(2 / 12) / 300)


@given(
    st.lists(st.integers(0, 60), min_size=6, max_size=20),
    st.sampled_from([1 / 300, 1 / 1066, 0.25, 25.0, 1.0]),
    st.floats(-10, 10),
)
def test_a_counted_metric_is_found_out(counts, step, start):
    names = {f"g{i % 2}": [] for i in range(2)}
    for i, count in enumerate(counts):
        names[f"g{i % 2}"].append(start + count * step)
    table_ = {name: dict(enumerate(values)) for name, values in names.items()}
    found = detect_granularity(table_)
    if len(set(counts)) < 2:
        assert found == 0
    else:
        assert found / step == pytest.approx(round(found / step), abs=1e-3)
        assert round(found / step) >= 1


def test_a_continuous_metric_has_no_granularity_even_where_two_groups_are_one_run():
    values = normal("continuous", 10)
    assert detect_granularity({"a": dict(enumerate(values)), "b": dict(enumerate(values))}) < 1e-5


def test_squeezed_variances_by_brute_force():
    """The posterior mean of a variance under its inverse chi-square prior, by integration."""
    prior = Prior(variance=np.array(2.0), freedom=np.array(6.0))
    found, worth = squeezed(np.array([0.5, 4.0, 1.0]), np.array([4.0, 4.0, 4.0]), prior)
    precision = np.linspace(1e-4, 8, 400_001)
    for variance, drawn in zip([0.5, 4.0, 1.0], found, strict=True):
        log = (6 / 2 - 1 + 4 / 2) * np.log(precision) - precision * (6 * 2.0 + 4 * variance) / 2
        weight = np.exp(log - log.max())
        assert 1 / ((precision * weight).sum() / weight.sum()) == pytest.approx(drawn, rel=1e-4)
    assert worth.tolist() == [10.0, 10.0, 10.0]


def test_the_prior_is_found_in_many_groups():
    rng = random.generator(0, "prior")
    true = 3.0 * 8 / rng.chisquare(8, 4000)
    variances = true * rng.chisquare(4, 4000) / 4
    prior = estimate_prior(variances, np.full(4000, 4.0))
    assert prior.variance == pytest.approx(3.0, rel=0.06)
    assert 6.5 < prior.freedom < 8.3


def test_equal_scatter_is_worth_much_and_a_single_group_nothing():
    rng = random.generator(0, "equal")
    variances = rng.chisquare(4, 4000) / 4
    assert estimate_prior(variances, np.full(4000, 4.0)).freedom > 50
    assert estimate_prior(variances[:1], np.full(1, 4.0)).freedom == 0


def test_runs_that_diverged_are_an_outcome():
    base, other = normal("a", 20), normal("b", 20)
    lost = [math.nan] * 5 + [math.inf] * 4
    rows = table(base=base, other=[*other[:11], *lost], third=normal("c", 20))
    found = compare(*rows, baseline="base")
    assert [(g.diverged, g.verdict) for g in found.groups] == [(9, "worse"), (0, "no difference shown")]
    known = stats.fisher_exact([[9, 11], [0, 20]]).pvalue
    assert found.groups[0].p_diverged == pytest.approx(known)
    assert found.groups[0].p_diverged_adjusted == pytest.approx(min(1, 4 * known))
    assert found.groups[0].difference == pytest.approx(np.mean(other[:11]) - np.mean(base))


def test_a_group_of_which_nothing_is_left():
    rows = table(base=normal("a", 6), other=[math.nan] * 6)
    found = compare(*rows, baseline="base").to_dict()["groups"][0]
    assert (found["verdict"], found["mean"], found["probability_of_improvement"]) == ("worse", None, 0.0)


metrics = st.lists(
    st.sampled_from([0.1, 0.2, 0.3, math.nan, math.inf, -math.inf]) | st.floats(0, 1), min_size=1
)


@given(metrics, metrics, st.booleans())
def test_the_probability_of_improvement_counts_every_pair(ours, theirs, higher):
    worst = -math.inf if higher else math.inf
    pairs = [
        [value if math.isfinite(value) else worst for value in pair]
        for pair in itertools.product(ours, theirs)
    ]
    won = sum(0.5 if one == other else float((one > other) == higher) for one, other in pairs)
    found = probability_of_improvement(dict(enumerate(ours)), dict(enumerate(theirs)), higher)
    assert found == won / len(pairs)


def test_the_probability_of_improvement_takes_no_memory_for_the_pairs():
    many = {seed: float(seed) for seed in range(300_000)}
    assert probability_of_improvement(many, many, False) == 0.5


def test_the_probability_of_improvement_is_that_of_a_pair():
    rows = table(base=[1.0, 2.0, 3.0], other=[0.5, 2.0, math.nan])
    # 0.5 beats all three, 2.0 beats one and ties with one, the lost run beats none.
    assert compare(*rows, baseline="base").groups[0].probability_of_improvement == pytest.approx(4.5 / 9)
    turned = compare(*rows, baseline="base", higher_is_better=True).groups[0]
    assert turned.probability_of_improvement == pytest.approx(1.5 / 9)


def test_what_is_smaller_than_the_margin_is_equivalent():
    rows = table(base=normal("a", 12), other=normal("b", 12, 0.05), far=normal("c", 12, 4.0))
    found = compare(*rows, baseline="base", margin=2.0).groups
    assert [(g.verdict, g.not_worse) for g in found] == [("equivalent", True), ("worse", False)]
    small = compare(*rows, baseline="base", margin=0.01).groups[0]
    assert (small.verdict, small.not_worse) == ("no difference shown", False)
    assert compare(*rows, baseline="base").groups[0].not_worse is None


def test_seeds_needed_show_the_difference():
    needed = seeds_needed(1.0, 1.5, 0.05, 1)
    error = math.sqrt(2 / needed)
    assert detectable_difference(error, 2 * (needed - 1), 0.05) <= 1.5
    assert detectable_difference(math.sqrt(2 / (needed - 1)), 2 * (needed - 2), 0.05) > 1.5
    assert seeds_needed(1.0, 100.0, 0.05, 1) == 3
    assert seeds_needed(1.0, 0.5, 0.05 / 20, 20) > seeds_needed(1.0, 0.5, 0.05, 1)


def test_an_estimated_scatter_is_allowed_for():
    """The power at the difference that is promised, averaged over the promises of many experiments."""
    rng, seeds = random.generator(0, "promise"), 4
    scatter = np.sqrt(rng.chisquare(seeds - 1, 4000) / (seeds - 1))
    promised = detectable_difference(1.0, seeds - 1, 0.05, estimated=True) * scatter
    plain = detectable_difference(1.0, seeds - 1, 0.05) * scatter
    limit = stats.t.ppf(0.975, seeds - 1) * np.sqrt(rng.chisquare(seeds - 1, 4000) / (seeds - 1))
    chance = rng.normal(0, 1, 4000)
    assert np.mean(chance + promised > limit) == pytest.approx(0.8, abs=0.03)
    assert np.mean(chance + plain > limit) < 0.74
    low, high = detectable_interval(1.0, seeds - 1, 0.05)
    true = detectable_difference(1.0, seeds - 1, 0.05)
    assert np.mean((low * scatter < true) & (true < high * scatter)) == pytest.approx(0.95, abs=0.02)


def test_the_dictionary_is_as_promised():
    found = compare(*table(base=normal("a", 5), other=normal("b", 5)), baseline="base").to_dict()
    assert {"group", "verdict", "difference", "interval", "p_adjusted", "detectable_difference"} <= set(
        found["groups"][0]
    )
    assert isinstance(found["groups"][0]["interval"], list)


@pytest.mark.parametrize(
    ("columns", "baseline", "message"),
    [
        ((["a", "b"], [0, 0], [1.0, 2.0]), "c", "unknown group"),
        ((["a", "a"], [0, 1], [1.0, 2.0]), "a", "no group other than the baseline"),
        ((["a", "a", "b"], [0, 1, 0], [1.0, 2.0, 3.0]), "a", "at least two seeds"),
        ((["a", "a"], [0, 0], [1.0, 2.0]), "a", "occurs twice"),
        ((["a"], [0, 1], [1.0, 2.0]), "a", "one length"),
    ],
)
def test_what_cannot_be_compared_is_refused(columns, baseline, message):
    with pytest.raises(InputError, match=message):
        compare(*columns, baseline=baseline)


@pytest.mark.filterwarnings("error")
@given(
    st.lists(st.sampled_from([0.0, 1e60, -1e60, 1e-60, -1e-60, 1.0, 1 + 2**-52]), min_size=7, max_size=7),
    st.booleans(),
)
def test_no_number_that_is_taken_overflows(values, paired):
    seeds = [0, 1, 2, *([0, 1, 2] if paired else [3, 4, 5]), 6]
    pairing = "always" if paired else "auto"
    found = compare(["a"] * 3 + ["b"] * 4, seeds, values, baseline="a", pairing=pairing)
    (row,) = found.groups
    numbers = [row.difference, row.standard_error, row.p_adjusted, row.detectable_difference, *row.interval]
    assert np.isfinite(numbers).all()
    assert row.p > 0


@pytest.mark.parametrize("value", [1e61, -1e308, 1e-61, 5e-324, "0.1", None, 10**400])
def test_a_metric_that_arithmetic_does_not_bear_is_refused(value):
    with pytest.raises(InputError, match=r"group 'b', seed 1: the metric must be"):
        compare(["a", "a", "b", "b"], [0, 1, 0, 1], [1, 2, 3, value], baseline="a")


def test_seeds_pair_by_value():
    plain = compare(["a", "a", "b", "b"], [0, 1, 0, 1], [1, 2, 3, 4.5], baseline="a")
    arrays = compare(["a", "a", "b", "b"], torch.tensor([0, 1, 0, 1]), [1, 2, 3, 4.5], baseline="a")
    assert plain.to_dict() == arrays.to_dict()
    with pytest.raises(InputError, match="all texts or all numbers"):
        compare(["a", "a", "b", "b"], [0, 1, "0", "1"], [1, 2, 3, 4.5], baseline="a")
    for missing in (None, float("nan")):
        with pytest.raises(InputError, match="a seed is missing"):
            compare(["a", "a", "b", "b"], [0, missing, 0, 1], [1, 2, 3, 4.5], baseline="a")


@pytest.mark.parametrize(
    "setting",
    [{"level": 1.0}, {"pairing": "maybe"}, {"granularity": -1.0}, {"margin": 0.0}, {"margin": math.inf}],
)
def test_settings_out_of_their_range_are_refused_by_name(setting):
    with pytest.raises(InputError, match=next(iter(setting))):
        compare(*table(base=[0.0, 1.0, 2.0], other=[0.0, 1.0, 2.0]), baseline="base", **setting)
