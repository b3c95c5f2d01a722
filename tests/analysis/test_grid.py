"""The verdict on a grid: its lines, what they are of, and how many there may be."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.special import stdtrit

from headrace import random
from headrace.analysis.grid import Cell, baselines_of, cells_of, read_grid
from headrace.analysis.verdict import AIMS, MOST_LINES, lines, losses

from .test_replicate_verdicts import replicated

SIZES = (16, 64, 256, 1024, 4096)


def cells(policies, subsets, effects, *, workers=("1",), seeds=5, sigma=0.15, seed=0, missed=()):
    rng, found = random.generator(seed, "grid"), []
    for policy, subset, count, size in product(policies, subsets, workers, SIZES):
        shift = sum(by for levels, by in effects.items() if set(levels) <= {policy, subset, count})
        mean = shift + math.log(60 * (1 + 300 / size))
        log_steps = tuple(mean + sigma * rng.normal(size=seeds))
        lost = 2 if (policy, subset, size) in missed else 0
        levels = {"optimizer": "sgd", "policy": policy, "subset": subset, "workers": count}
        found.append(
            Cell(levels=levels, batch_size=size, log_steps=log_steps[lost:], missed=lost, work=float(size))
        )
    return found


def grid(*args, sizes=None, **keywords):
    found = read_grid(cells(*args, **keywords), seed=0, sizes=sizes)
    assert found is not None
    return found


def test_a_gain_is_found_named_and_recommended():
    found = grid(("shuffle", "infobatch"), ("full", "half"), {("infobatch",): -0.4})
    kinds = [line.kind for line in found.lines]
    assert kinds == sorted(kinds, key=["use", "difference", "no difference", "not tested"].index)
    differences = [line.text for line in found.lines if line.kind == "difference"]
    assert len(differences) == 1
    assert differences[0].startswith("Policy: infobatch takes 0.6")
    assert {pick.choice.levels["policy"] for pick in found.picks} == {"infobatch"}
    by_aim = {pick.aim: pick for pick in found.picks}
    assert by_aim["fastest"].choice.batch_size == 4096
    assert by_aim["cheapest"].choice.batch_size == 16
    assert 16 < by_aim["balanced"].choice.batch_size < 4096
    for pick in found.picks:
        assert pick.interval[0] < pick.steps < pick.interval[1]
        truth = 60 * (1 + 300 / pick.choice.batch_size) * math.exp(-0.4)
        assert pick.interval[0] < truth < pick.interval[1]
        assert 0 <= pick.share <= pick.near <= 1


def test_what_was_not_shown_is_one_line_that_names_all_of_it():
    found = grid(("shuffle", "infobatch"), ("full", "half"), {})
    (line,) = (line.text for line in found.lines if line.kind == "no difference")
    assert "infobatch" in line
    assert "half" in line
    assert "infobatch with half" in line
    assert "Would have been shown, four times in five: a factor of 1." in line
    assert not any(line.kind == "difference" for line in found.lines)


def test_without_a_difference_the_headline_says_that_the_plain_configuration_may_do_as_well():
    found = grid(("shuffle", "infobatch"), ("full", "half"), {("infobatch",): -0.5})
    nothing = tuple(replace(effect, verdict="no difference shown") for effect in found.effects)
    (balanced,) = (pick for pick in found.picks if pick.aim == "balanced")
    assert balanced.choice.levels["policy"] == "infobatch"
    plain = "policy shuffle, all examples may do as well."
    assert not found.headline.endswith(plain)
    assert replace(found, effects=nothing).headline.endswith(f"show a difference: {plain}")
    base = replace(balanced, choice=replace(balanced.choice, levels=found.baselines))
    assert replace(found, effects=nothing, picks=(base,)).headline.endswith("show a difference.")


def test_lines_grow_with_findings_and_never_beyond_ten():
    policies = ("shuffle", "a", "b", "c")
    subsets = ("full", "half", "random:0.5")
    effects = {(level,): by for level, by in zip("abc", (-0.5, 0.5, 0.9), strict=True)}
    effects |= {("half",): -0.4, ("2",): 0.4, ("a", "half"): 0.5, ("b", "2"): -0.6, ("half", "2"): 0.5}
    many = grid(policies, subsets, effects, workers=("1", "2"), sigma=0.05)
    none = grid(policies, subsets, {}, workers=("1", "2"), sigma=0.05)
    assert len(many.lines) <= MOST_LINES
    assert len(none.lines) < len(many.lines)
    texts = [line.text for line in many.lines]
    assert len(set(texts)) == len(texts)


def test_a_chosen_subset_is_compared_with_a_random_one_as_large():
    sizes = {"full": 1000, "half": 500, "random:0.5": 500, "random:0.2": 200}
    found = grid(("shuffle",), tuple(sizes), {("half",): 0.1, ("random:0.5",): 0.5}, sizes=sizes)
    sides = {effect.side for effect in found.effects}
    assert (("subset", "half", "random:0.5"),) in sides
    assert (("subset", "half", "random:0.2"),) not in sides
    told = next(
        e for e in found.effects if e.side == (("subset", "half", "random:0.5"),) and e.what == "steps"
    )
    assert told.verdict == "less"
    assert told.ratio == pytest.approx(math.exp(-0.4), rel=0.15)


def test_which_subsets_are_compared():
    """Each with the whole, and chosen ones with random ones as large: never random ones with each other."""
    sizes = {"full": 1000, "half": 500, "mine": 200, "random:0.5": 500, "random:0.48": 480, "random:0.2": 200}
    found = grid(("shuffle",), tuple(sizes), {}, sizes=sizes)
    against_chance = {("half", "random:0.5"), ("half", "random:0.48"), ("mine", "random:0.2")}
    against_all = {(name, "full") for name in sizes if name != "full"}
    assert {effect.side for effect in found.effects} == {
        (("subset", *pair),) for pair in against_chance | against_all
    }


def test_what_each_aim_weighs_and_how_often_draws_agree():
    """Steps, examples, or their geometric mean; near is what needs at most a tenth more than the least."""
    effects = {("a",): -0.15, ("half",): 0.1}
    found = grid(("shuffle", "a", "b"), ("full", "half"), effects, sigma=0.3)
    work = np.array([choice.work for choice in found.choices])
    drawn = np.exp(found.joint.draws(4000, random.generator(1, "agree")))
    for pick in found.picks:
        power = {"fastest": 0.0, "cheapest": 1.0, "balanced": 0.5}[pick.aim]
        needs = np.exp(found.joint.log_steps) * work**power
        more = np.exp(losses(found.joint, found.choices, pick.aim))
        assert more == pytest.approx(needs / needs.min())
        best = int(needs.argmin())
        assert pick.choice is found.choices[best]
        relative = drawn * work**power / (drawn * work**power).min(axis=1, keepdims=True)
        assert pick.near == pytest.approx((relative[:, best] <= 1.1).mean(), abs=0.05)
        assert pick.share == pytest.approx((relative[:, best] == 1).mean(), abs=0.05)
        assert pick.near > pick.share + 0.1
        assert pick.examples == pytest.approx(pick.steps * pick.choice.work)


@pytest.mark.parametrize(("passes", "worth"), [(1, 1.0), (3, 1 + 2 / 3), (4, 2.0)])
def test_an_example_that_is_only_forwarded_is_a_third_of_the_work(passes, worth):
    one = replicated([100.0, 200.0, None], size=32, passes=passes)
    (cell,) = cells_of({one.study.key.name: one})
    assert cell.work == pytest.approx(32 * worth)
    assert (len(cell.log_steps), cell.missed) == (2, 1)


def test_work_decides_what_is_cheap():
    some = cells(("shuffle", "costly"), ("full",), {("costly",): -0.1}, sigma=0.02)
    dear = [
        Cell(**{**vars(cell), "work": cell.work * (1 + 2 * (cell.levels["policy"] == "costly"))})
        for cell in some
    ]
    found = read_grid(dear, seed=0)
    assert found is not None
    by_aim = {pick.aim: pick.choice.levels["policy"] for pick in found.picks}
    assert by_aim["fastest"] == "costly"
    assert by_aim["cheapest"] == "shuffle"


def test_a_study_that_most_replicates_missed_is_left_out_and_named():
    found = grid(("shuffle", "a"), ("full", "half"), {}, seeds=5, missed={("a", "full", 64)})
    assert len(found.joint.points) == 4 * len(SIZES) - 1
    assert found.left_out == ("policy a, all examples at batch size 64 (3 of 5 replicates reached the goal)",)
    assert found.left_out[0] in found.lines[-1].text


def test_the_baselines_are_the_plain_levels_or_the_first():
    some = cells(("a", "shuffle"), ("x.parquet", "half"), {})
    assert baselines_of(some) == {"policy": "shuffle", "subset": "x.parquet"}
    assert read_grid([c for c in some if c.levels == some[0].levels], seed=0) is None


def test_the_same_grid_gives_the_same_plain_json():
    first, second = (grid(("shuffle", "a"), ("full",), {("a",): -0.3}) for _ in range(2))
    assert json.dumps(first.to_dict(), allow_nan=False) == json.dumps(second.to_dict(), allow_nan=False)
    assert set(first.to_dict()["picks"]) == set(AIMS)


def test_draws_of_the_model_have_its_middle_and_its_errors():
    found = grid(("shuffle", "a"), ("full",), {})
    drawn = found.joint.draws(4000, random.generator(1, "draws"))
    assert np.median(drawn, axis=0) == pytest.approx(found.joint.log_steps, abs=0.02)
    for column, point in enumerate(found.joint.points):
        told = found.joint.estimate("steps", [(point.levels, point.batch_size, 1.0)])
        low, high = np.quantile(drawn[:, column], [0.025, 0.975])
        # A study is known as well as its own mean or the model knows it, whichever knows it better.
        most = stdtrit(found.joint.freedom, 0.975) * min(told.error, point.error)
        assert (high - low) / 2 < 1.6 * most


def test_a_study_far_off_the_model_is_said_to_be_where_it_was_measured():
    some = cells(("shuffle", "a"), ("full", "half"), {}, sigma=0.02)
    odd = [
        Cell(**{**vars(c), "log_steps": tuple(y + 0.8 for y in c.log_steps)}) if i == 7 else c
        for i, c in enumerate(some)
    ]
    found = read_grid(odd, seed=0)
    assert found is not None
    place = next(
        i for i, p in enumerate(found.joint.points) if p.log_steps == pytest.approx(np.mean(odd[7].log_steps))
    )
    assert found.joint.log_steps[place] == pytest.approx(np.mean(odd[7].log_steps), abs=0.05)
    # And it is known about as well as its own replicates know it.
    low, high = np.quantile(found.joint.draws(4000, random.generator(1, "draws"))[:, place], [0.025, 0.975])
    own = stdtrit(found.joint.freedom, 0.975) * found.joint.points[place].error
    assert 0.7 * own < (high - low) / 2 < 1.6 * own


def test_aims_that_come_to_one_choice_share_a_line():
    found = grid(("shuffle", "a"), ("full",), {})
    one = [replace(pick, choice=found.picks[0].choice) for pick in found.picks]
    (line,) = lines(one, (), (), found.baselines)
    assert line.text.startswith(
        "Fewest steps, so fastest if workers are many, fewest examples, so cheapest and balanced between both"
    )
    assert [f"({aim})" in line.text for aim in AIMS] == [True] * 3
