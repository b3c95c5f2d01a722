"""Several data sets together, the plan of seeds, and the command's options."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from headrace import random
from headrace.analysis.aggregate import aggregate
from headrace.analysis.comparison import compare
from headrace.analysis.planning import plan_seeds
from headrace.analysis.power import MOST_SEEDS
from headrace.cli.app import execute
from headrace.errors import InputError


def runs(path: str, shift: float, scale: float, seeds: int = 6) -> tuple[list[str], list[int], list[float]]:
    rng = random.generator(0, "data sets", path)
    base, other = rng.normal(scale, 0.05 * scale, (2, seeds))
    return (
        ["base"] * seeds + ["other"] * seeds,
        [*range(seeds)] * 2,
        [*base.tolist(), *(other + shift * scale).tolist()],
    )


def test_a_gain_that_no_data_set_shows_alone_is_shown_by_all_together():
    found = {f"{i}": compare(*runs(f"weak {i}", -0.06, 10.0**i), baseline="base") for i in range(8)}
    together = aggregate(found)[0]
    assert together.verdict == "better"
    alone = [one.groups[0] for one in found.values()]
    assert sum(group.verdict == "better" for group in alone) < 4
    relative = [g.difference / one.baseline_mean for g, one in zip(alone, found.values(), strict=True)]
    assert together.relative_difference == pytest.approx(np.mean(relative))
    assert together.interval[0] < together.relative_difference < together.interval[1] < 0
    assert together.probability_of_improvement == pytest.approx(
        np.mean([group.probability_of_improvement for group in alone])
    )


def test_data_sets_without_a_difference_seldom_show_one_together():
    wrong = 0
    for k in range(150):
        found = {f"{i}": compare(*runs(f"null {k} {i}", 0.0, i + 1.0, 4), baseline="base") for i in range(4)}
        wrong += aggregate(found)[0].verdict != "no difference shown"
    assert wrong / 150 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 150)


def test_groups_without_enough_seeds_are_left_out_of_the_mean():
    rows = runs("few", -0.5, 1.0)
    found = {"a": compare(*rows, baseline="base"), "b": compare(*(r[:8] for r in rows), baseline="base")}
    assert aggregate(found)[0].strata == ("a",)


def test_a_baseline_of_nothing_is_refused():
    found = {"zero": compare(["b"] * 3 + ["o"] * 3, [0, 1, 2] * 2, [-1, 0, 1, 1, 2, 3], baseline="b")}
    with pytest.raises(InputError, match="zero: the baseline's mean is 0"):
        aggregate(found)


def test_the_planned_seeds_show_the_difference_four_times_in_five():
    rng = random.generator(0, "plan")
    groups = [f"g{i % 4}" for i in range(200)]
    plan = plan_seeds(groups, rng.normal(0, 2.0, 200).tolist(), difference=3.0)
    assert plan.scatter == pytest.approx(2.0, rel=0.15)
    assert plan.scatter_interval[0] < 2.0 < plan.scatter_interval[1]
    shown = 0
    for _ in range(150):
        values = rng.normal(0, 2.0, (4, plan.seeds))
        values[1] += 3.0
        names = [f"g{i}" for i in range(4) for _ in range(plan.seeds)]
        seeds = list(range(plan.seeds)) * 4
        found = compare(names, seeds, values.reshape(-1).tolist(), baseline="g0")
        shown += found.groups[0].verdict == "worse"
    assert 0.7 < shown / 150 < 0.92


@pytest.mark.parametrize("difference", [0.0, -1.0, math.nan, math.inf])
def test_a_difference_that_cannot_be_planned_for(difference):
    with pytest.raises(InputError, match="difference: must be a positive finite number"):
        plan_seeds(["a", "a"], [0.0, 1.0], difference=difference)


def test_a_plan_says_whether_the_most_seeds_are_enough():
    groups, metric = ["a", "a", "b", "b"] * 5, [0.0, 1.0, 0.5, 1.5] * 5
    few, many = (plan_seeds(groups, metric, difference=difference) for difference in (2.0, 1e-6))
    assert (few.seeds < MOST_SEEDS, few.seeds_is_at_least) == (True, False)
    assert (many.seeds, many.seeds_is_at_least) == (MOST_SEEDS, True)


def test_no_scatter_to_plan_by():
    with pytest.raises(InputError, match="no group has two seeds"):
        plan_seeds(["a", "b"], [0.0, 1.0], difference=1.0)


TABLE = "data,group,seed,error\n" + "".join(
    f"{data},{group},{seed},{value}\n"
    for data, shift in (("one", 0.0), ("two", 0.1))
    for group, values in {"base": (0.10, 0.11, 0.104, 0.107), "new": (0.09, 0.092, 0.094, 0.091)}.items()
    for seed, value in enumerate(v + shift for v in values)
)


def said(capsys, *arguments: str) -> str:
    assert execute(["compare", "t.csv", "--baseline", "base", "--metric", "error", *arguments]) == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(TABLE)


def test_the_command_compares_every_data_set_and_all_together(capsys):
    found = json.loads(said(capsys, "--by", "data", "--json"))
    assert list(found["strata"]) == ["one", "two"]
    assert found["together"][0]["verdict"] == "better"
    text = said(capsys, "--by", "data")
    assert "mean over 2 values of data" in text
    assert "data one: error against base" in text


def test_the_command_plans(capsys):
    found = json.loads(said(capsys, "--only", "data=one", "--plan", "--difference", "0.002", "--json"))
    assert found["seeds"] > 4
    text = said(capsys, "--only", "data=one", "--plan", "--difference", "0.002")
    assert f"{found['seeds']:,} seeds of each group and of base show a difference of 0.002" in text


def test_the_command_says_what_its_verdicts_rest_on(capsys):
    Path("t.csv").write_text(TABLE + "one,bad,0,nan\none,bad,1,0.1\n")
    text = said(capsys, "--only", "data=one", "--sequential", "--margin", "0.1")
    assert "Fewer than three seeds give no verdict: bad or base need more." in text
    assert "are not part of any mean: 1 of bad." in text
    assert "The metric is counted in steps of 0.001" in text
    assert "equivalent" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--plan",), "--plan and --difference must be given together"),
        (("--difference", "1"), "--plan and --difference must be given together"),
        (("--by", "data", "--figure", "f.png"), "draws one comparison"),
        (("--by", "nothing"), "there is no column 'nothing'"),
        (("--only", "data=one", "--margin", "-1"), "margin: must be a finite number above 0"),
    ],
)
def test_options_that_do_not_go_together(capsys, options, message):
    assert execute(["compare", "t.csv", "--baseline", "base", "--metric", "error", *options]) == 2
    assert message in capsys.readouterr().err
