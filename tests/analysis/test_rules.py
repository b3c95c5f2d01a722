"""What carrying a setting by a rule costs: rules by hand, costs where the truth is known, and the verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace import random
from headrace.analysis.alternatives import Alternatives
from headrace.analysis.curves import CurveFit
from headrace.analysis.optimizers import ratios_of, say_ratios
from headrace.analysis.results import analyse
from headrace.analysis.rule_words import say_rules
from headrace.analysis.rules import Carried, Cost, judge, to_dict, verdict_on
from headrace.analysis.surface import Surface, fit_surface
from headrace.report.write import write_report
from headrace.specs.rules import RULES, carried

from .made_store import experiment, make_store, two_regimes

SIZES = 4 * 2.0 ** np.arange(7)
BEST, P, Q = math.log(0.02), 0.75, 6.0
LOWS = math.log(1e-3), math.log(1.0)


def log_steps(sizes: np.ndarray, rates: np.ndarray, left: np.ndarray | float = 0.0, power: float = 0.5):
    """The law, a valley about a best rate that grows as a power, and a parabola of beta2's own."""
    law = np.log(50 * (1 + 40 / sizes))
    off = rates - BEST - power * np.log(sizes / SIZES[0])
    valley = np.logaddexp(math.log(Q) - P * off, math.log(P) + Q * off) - math.log(P + Q)
    return law + valley + 0.2 * np.square(left)


def made(
    power: float, *, beta2: bool = False, scatter: float = 0.05, rates: tuple[float, float] = LOWS
) -> Surface:
    rng = random.generator(0, "rules", str(power), str(beta2))
    sizes = np.repeat(SIZES, 24)
    logs = rng.uniform(*rates, len(sizes))
    lefts = rng.uniform(math.log(1e-3), math.log(0.5), len(sizes)) if beta2 else np.zeros(len(sizes))
    away = lefts - np.log(0.005 * sizes / SIZES[0]) if beta2 else 0.0
    steps = log_steps(sizes, logs, away, power) + scatter * rng.normal(size=len(sizes))
    found = fit_surface(
        sizes,
        np.exp(logs),
        steps,
        np.zeros(len(sizes), bool),
        others=lefts[:, None] if beta2 else None,
        couplings=[0.0] if beta2 else (),
    )
    assert found is not None
    return found


def judged(
    surface: Surface, *rules: str, scales: Mapping[str, str] | None = None, start: int = 4
) -> dict[str, Carried]:
    rng = random.generator(0, "judge")
    return {
        one.rule: one
        for one in judge(
            surface, rules, scales=scales or {}, start=start, rng=rng, curve=("adamw", "full", "shuffle", 1)
        )
    }


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("constant", {}),
        ("square-root", {"learning_rate": 0.02}),
        ("linear", {"learning_rate": 0.04}),
        ("half-life", {"beta2": 0.99**4}),
        ("malladi", {"learning_rate": 0.02, "beta1": 0.6, "beta2": 0.96, "epsilon": 5e-9}),
        ("weight-decay", {"weight_decay": 0.4}),
        ("square-root + half-life", {"learning_rate": 0.02, "beta2": 0.99**4}),
    ],
)
def test_rules_by_hand(rule: str, expected: dict[str, float]) -> None:
    setting = {"learning_rate": 0.01, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8, "weight_decay": 0.1}
    assert carried(rule, setting, 4.0) == pytest.approx(setting | expected)
    assert carried(rule, setting, 1.0) == pytest.approx(setting)
    there = carried(rule, carried(rule, setting, 2.0), 2.0)
    assert there == pytest.approx(setting | expected), "twice the double is four times"


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_rule_by_which_the_best_rate_grows_is_found(power: float) -> None:
    names = {0.0: "constant", 0.5: "square-root", 1.0: "linear"}
    found = judged(made(power, rates=(LOWS[0], math.log(10.0))), *names.values())
    assert [rule for rule, one in found.items() if one.verdict == "holds"] == [names[power]]
    right = found[names[power]]
    assert right.interval is not None
    assert right.interval[0] == 1.0
    assert right.setting["learning_rate"] == pytest.approx(0.02, rel=0.15)
    for one in found.values():
        for cost in one.at:
            true = math.exp(
                log_steps(np.array([cost.batch_size]), np.log([cost.setting["learning_rate"]]), 0, power)[0]
                - math.log(50 * (1 + 40 / cost.batch_size))
            )
            assert cost.interval is not None
            assert cost.interval[0] <= min(true, 10) * 1.03
            assert true <= cost.interval[1] * 1.03


def test_a_half_life_is_told_from_a_beta2_that_stays() -> None:
    found = judged(
        made(0.5, beta2=True), "square-root", "square-root+half-life", scales={"beta2": "one-minus-log"}
    )
    stays, carried_too = found["square-root"].at[-1], found["square-root+half-life"].at[-1]
    assert stays.setting["beta2"] == found["square-root"].setting["beta2"]
    assert carried_too.setting["beta2"] == pytest.approx(
        found["square-root"].setting["beta2"] ** 64, abs=0.02
    )
    assert (stays.factor or 0) > 3
    assert (carried_too.factor or math.inf) < 1.3


def test_what_lies_outside_of_the_searched_space_is_said() -> None:
    found = judged(made(0.5, rates=(LOWS[0], math.log(0.4))), "linear", start=8)
    (one,) = found.values()
    outside = [cost for cost in one.at if cost.outside]
    assert [cost.batch_size for cost in outside] == [128, 256]
    assert all(cost.at_least and cost.interval and math.isinf(cost.interval[1]) for cost in outside)
    # By the border, where the valley still rises: less than the truth, which is at least 3.
    assert 1 < (outside[-1].factor or 0) <= 10
    (said,) = say_rules([one], "tokens")
    assert "At batch size 128 and 256 the carried learning_rate is outside of the searched space" in said
    smaller = one.at[0]
    assert smaller.batch_size == 4, "rules carry to smaller batches too"
    assert smaller.setting["learning_rate"] == pytest.approx(one.setting["learning_rate"] / 2, rel=0.01)


def test_a_momentum_below_zero_cannot_be() -> None:
    surface = made(0.5, beta2=True)
    (one,) = judged(surface, "malladi", scales={"beta2": "one-minus-log"}, start=4).values()
    assert one.unmoved == ("beta1", "epsilon")
    wrong = [cost for cost in one.at if cost.factor is None]
    assert all(cost.outside == ("beta2",) and cost.setting["beta2"] <= 0 for cost in wrong)


def test_what_was_not_searched_is_not_judged() -> None:
    (one,) = judged(made(0.5), "half-life").values()
    assert one.verdict is None
    assert say_rules([one], "examples") == [
        "AdamW, rule half-life: it cannot be judged, because beta2 was not searched."
    ]


@pytest.mark.parametrize(
    ("intervals", "ends", "verdict"),
    [
        ([(0.95, 1.1), (1.0, 1.15)], (1.0, 1.15), "holds"),
        ([(1.0, 1.2)], (1.0, 1.2), "holds"),
        ([(1.0, 1.21)], (1.0, 1.21), "undecided"),
        ([(1.0, 1.1), (1.21, 1.5)], (1.21, 1.5), "fails"),
        ([(1.0, 3.0), (1.19, 1.3)], (1.19, 3.0), "undecided"),
        # Where nothing is known at one batch size, no rule holds; at another it may fail all the same.
        ([(1.0, 1.1), None], (1.0, math.inf), "undecided"),
        ([(1.3, 1.4), None], (1.3, math.inf), "fails"),
    ],
)
def test_the_verdict_is_about_the_batch_size_at_which_a_rule_costs_most(
    intervals: list[tuple[float, float] | None], ends: tuple[float, float], verdict: str
) -> None:
    costs = [_cost(8 << place, one) for place, one in enumerate(intervals)]
    found = verdict_on(costs)
    assert (found["interval"], found["verdict"]) == (ends, verdict)
    assert found["worst"] is max((c for c in costs if c.factor), key=lambda c: c.factor or 0.0)
    assert verdict_on([_cost(8, None)]).keys() == {"reason"}


def _cost(size: int, interval: tuple[float, float] | None) -> Cost:
    factor = None if interval is None else (interval[0] * interval[1]) ** 0.5
    return Cost(
        batch_size=size,
        setting={},
        outside=(),
        factor=factor,
        interval=interval,
        steps=factor,
        steps_interval=interval,
    )


def test_the_results_are_plain_data_in_both_units() -> None:
    found = judged(made(0.5), "square-root", "constant")
    content: dict[str, Any] = Alternatives(rules=tuple(found.values()), tokens=64.0).to_dict()["rules"]
    first = content["verdicts"][0]["at"][0]
    assert first["tokens_to_result"] == pytest.approx(64 * first["examples_to_result"], rel=1e-3)
    assert first["examples_to_result"] == pytest.approx(8 * first["factor"] * made(0.5).steps[1], rel=1e-3)
    assert "tokens_to_result" not in to_dict(found["constant"], None)["at"][0]
    assert Alternatives().to_dict() == {}


def test_the_same_trials_give_the_same_verdict() -> None:
    first, again = (to_dict(judged(made(0.5), "linear")["linear"], None) for _ in range(2))
    assert first == again
    assert set(RULES) >= {"constant", "square-root", "linear", "half-life", "malladi", "weight-decay"}


def curve(name: str, surface: Surface | None, sizes: np.ndarray = SIZES) -> CurveFit:
    class Study:
        def __init__(self, size: float) -> None:
            self.batch_size = int(size)
            self.result = type("Result", (), {"steps": 10})

    studies: Any = tuple(Study(size) for size in sizes)
    return CurveFit(
        curve=(name, "full", "shuffle", 1), studies=studies, fit=None, rules=None, surface=surface
    )


def test_the_ratio_of_two_optimizers_and_its_change() -> None:
    rng = random.generator(0, "ratio")
    sizes = np.repeat(SIZES, 24)
    rates = rng.uniform(*LOWS, len(sizes))
    noise = 0.05 * rng.normal(size=(2, len(sizes)))
    growing = 0.4 + 0.1 * np.log(sizes / SIZES[0])
    surfaces = [
        fit_surface(sizes, np.exp(rates), log_steps(sizes, rates) + off, np.zeros(len(sizes), bool))
        for off in (noise[0] + growing, noise[1])
    ]
    (found,) = ratios_of([curve("adamw", surfaces[0]), curve("muon", surfaces[1]), curve("sgd", None)])
    for ratio in found.at:
        true = math.exp(0.4 + 0.1 * math.log(ratio.batch_size / 4))
        assert ratio.interval[0] < true < ratio.interval[1]
        assert ratio.value == pytest.approx(true, rel=0.1)
    assert found.change is not None
    assert found.change[1][0] < 64**0.1 < found.change[1][1]
    (said,) = say_ratios([found], "tokens")
    assert said.startswith("AdamW takes ")
    assert "times the tokens of Muon to the goal" in said
    assert found.to_dict()["optimizers"] == ["adamw", "muon"]


def test_rules_of_a_stored_experiment_are_in_its_results_and_its_report(tmp_path: Path) -> None:
    asked = experiment(
        [8, 32, 128, 512], trials=12, optimizer=["sgd", "adamw"],
        report={"rules": ["square-root", "constant"], "rules_from": 32},
        space={"learning_rate": {"low": 1e-3, "high": 1.0, "scale": "log"}},
    )  # fmt: skip
    analysis = analyse(make_store(tmp_path, asked, two_regimes(lambda size: 0.1 * (size / 32) ** 0.5)))
    found = analysis.results["rules"]["verdicts"]
    assert [(one["optimizer"], one["rule"]) for one in found] == [
        ("sgd", "square-root"), ("sgd", "constant"), ("adamw", "square-root"), ("adamw", "constant"),
    ]  # fmt: skip
    assert all(one["from"] == 32 and [at["batch_size"] for at in one["at"]] == [8, 128, 512] for one in found)
    assert found[0]["worst"]["factor"] < found[1]["worst"]["factor"]
    said = [text for text in analysis.results["conclusions"] if "rule square-root" in text]
    assert len(said) == 2
    (ratios,) = analysis.results["optimizer_ratios"]
    assert all(one["interval"][0] < 1 < one["interval"][1] for one in ratios["ratios"]), "the same law"
    json.dumps(analysis.results, allow_nan=False)
    page = write_report(analysis, tmp_path).read_text(encoding="utf-8")
    assert "What rules across batch sizes would have cost" in page
    assert "times the examples of full tuning" in page


def test_without_rules_nothing_is_added(tmp_path: Path) -> None:
    asked = experiment([8, 32, 128], trials=4, optimizer=["sgd", "adamw"])
    found = analyse(make_store(tmp_path, asked, two_regimes(lambda _: 0.1))).results
    assert not {"rules", "optimizer_ratios"} & found.keys()


def test_a_batch_size_at_which_no_trial_reached_the_goal_is_left_out(tmp_path: Path) -> None:
    def law(study, values) -> float:
        steps = two_regimes(lambda _: 0.1)(study, values)
        return 1e9 if study.configuration.batch_size == 8 else steps

    for start, judged_from in ((None, 32), (8, None)):
        report = {"rules": ["constant"]} | ({} if start is None else {"rules_from": start})
        asked = experiment([8, 32, 128, 512], trials=12, report=report)
        folder = tmp_path / str(start)
        (one,) = analyse(make_store(folder, asked, law)).results["rules"]["verdicts"]
        if judged_from is None:
            assert one["verdict"] is None
            assert one["reason"] == "no trial reached the goal at batch size 8"
        else:
            assert one["from"] == judged_from
            assert [cost["batch_size"] for cost in one["at"]] == [128, 512]
