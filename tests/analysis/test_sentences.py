"""Every number in a conclusion is a count, a setting, or has its interval: those of many experiments."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace import random
from headrace.analysis.results import Analysis, analyse
from headrace.specs.experiment import Experiment
from headrace.specs.studies import StudyKey

from .made_store import Law, make_store, two_regimes

RATE = {"low": 1e-3, "high": 10.0, "scale": "log"}
MOMENTUM = {"low": 0.5, "high": 0.99, "scale": "one-minus-log"}
WHOLE = r"\d{1,3}(?:,\d{3})+|\d+"
NUMBER = re.compile(rf"(?<![\w.])(?:{WHOLE})(?:\.\d+)?(?:e[+-]?\d+)?%?(?!\w)")
END = rf"(?:-?(?:{WHOLE})(?:\.\d+)?(?:e[+-]?\d+)?)"
INTERVALS = (
    # A number and the interval that follows it, perhaps in brackets or with words between.
    rf"{END} (?:times as large, 95% interval |\(95% interval )?\[{END}, {END}\]\)?",
    rf"{END} \((?:95% interval )?(?:at least|at most) {END}\)",
    rf"{END}(?: times as large, 95% interval| \(95% interval) (?:not bounded|at (?:least|most) {END})\)?",
    # An interval alone.
    rf"within 20%\) \(95% interval \[{END}, {END}\]\)",
    rf"\[{END}, {END}\] \(95%\)",
    rf"(?:at least|at most) {END} \(95%\)",
    # What the best of half as many trials would have been, as the upper end of the fewest steps'.
    r"might have taken up to [\w, ]+ \(95%\)",
    # Said to have none.
    r"is [\d,.]+ by two points, with no interval",
    r"(?:95% intervals?|p = [\d.e-]+)",
)
COUNTS = (
    r"of \d+ pairs of trials", r"\d+ needed fewer steps", r"corrected for \d+ comparisons",
    r"With \d+ trials per study", r"over \d+ hyperparameters", r"fewer than the \d+ trials asked for",
    r"forwards [\d.]+(?: to [\d.]+)? examples for each", r"\([\d,]+ examples\)", r"\(step 0\)",
    # The goal is a setting, and the best end of these very trials was measured.
    r"\d+ of \d+ trials reached the goal, \S+ below [\d.]+; the best ended at [\d.]+",
)  # fmt: skip
SETTINGS = (r"\(power [\d.]+\)", r"within 20%", r"less than 20% of the steps", r"of its range \([\d.]+\)",
            r"critical/batch size\)", r"fewest \(1 \+ ", r"random:0\.5", r"seeds = \d+")  # fmt: skip


def unexplained(sentence: str, settings: set[str], measured: set[str]) -> list[str]:
    """The numbers that are neither counts nor settings and have no interval."""
    rest = sentence
    for pattern in (*INTERVALS, *COUNTS, *SETTINGS):
        rest = re.sub(pattern, "_", rest)
    rest = re.sub(r"the luckiest run of each search took ([\d,]*\d) and ([\d,]*\d)", _if(measured), rest)
    rest = re.sub(r"(?:batch sizes?|[Bb]eyond|up to|tested,|and|at|from|to) ([\d,]*\d)", _if(settings), rest)
    return NUMBER.findall(rest)


def _if(known: set[str]) -> Callable[[re.Match[str]], str]:
    return lambda match: "_" if set(match.groups()) <= known else match[0]


def test_a_bare_estimate_is_found_out() -> None:
    known = {"8", "64"}
    for bare in (
        "SGD: the critical batch size is 19.6.",
        "It took 1.3 times as many steps.",
        "the learning rate would have missed the best one found by up to 237 times.",
        "To the goal it forwarded 1.29 times as many examples.",
        "the luckiest run of each search took 517 and 97",
        "Beyond 128 a larger batch saved less than 20% of the steps in all.",
    ):
        assert unexplained(bare, known, {"517"}), bare
    for fine in ("at batch size 8 and 64", "is 19.6 [6.95, 61.4].", "It is at least 30 (95%)."):
        assert unexplained(fine, known, set()) == []


def experiment(**changes: Any) -> Experiment:
    grid = {"batch_size": [8, 32, 128, 512], **changes.get("grid", {})}
    return Experiment.from_dict(
        {
            "seed": 5,
            "workload": {"name": "digits-mlp"},
            "grid": grid,
            "search": {
                "trials": changes.get("trials", 16),
                "space": {"learning_rate": RATE, **changes.get("space", {})},
            },
            "training": {"budget": {"steps": changes.get("budget", 50_000)}},
        }
    )


def scattered(law: Law, sigma: float) -> Law:
    """The same with seeds that scatter."""

    def noisy(study: StudyKey, values: dict[str, Any]) -> float:
        rng = random.generator(1, "sentences", study.name, str(values["learning_rate"]))
        return law(study, values) * math.exp(sigma * rng.normal())

    return noisy


SQUARE_ROOT = two_regimes(lambda batch: 0.05 * (batch / 8) ** 0.5)
POLICIES = {"policy": ["shuffle", "sample-difficulty", "rs2"]}


def worlds() -> Iterator[tuple[str, Experiment, Law]]:
    yield "one optimizer", experiment(), scattered(SQUARE_ROOT, 0.2)
    yield "without scatter", experiment(), SQUARE_ROOT
    two = {"optimizer": ["sgd", "nesterov"]}
    yield "momentum", experiment(grid=two, space={"momentum": MOMENTUM}), scattered(SQUARE_ROOT, 0.2)
    unscaled = {"momentum": {**MOMENTUM, "scale": "linear"}}
    yield "without a surface", experiment(grid=two, space=unscaled), scattered(SQUARE_ROOT, 0.2)
    yield "policies", experiment(grid=POLICIES), scattered(SQUARE_ROOT, 0.2)
    yield "few of policies", experiment(grid=POLICIES, trials=4), scattered(SQUARE_ROOT, 0.2)
    yield "subsets", experiment(grid={"subset": ["full", "random:0.5"]}), scattered(SQUARE_ROOT, 0.2)
    yield "two sizes", experiment(grid={"batch_size": [8, 64]}), scattered(SQUARE_ROOT, 0.1)
    yield "one size", experiment(grid={"batch_size": [8]}, trials=6), scattered(SQUARE_ROOT, 0.1)
    yield "a small budget", experiment(budget=500, trials=8), scattered(SQUARE_ROOT, 0.2)
    perfect = two_regimes(lambda _: 0.1, steps_min=0.1, critical=100_000)
    yield "perfect scaling", experiment(), scattered(perfect, 0.05)
    yield "no scaling", experiment(), scattered(two_regimes(lambda _: 0.1, critical=0.01), 0.05)
    border = two_regimes(lambda _: 8.0)
    yield "at the border", experiment(), scattered(border, 0.1)


@pytest.mark.parametrize(("name", "asked", "law"), list(worlds()), ids=[name for name, _, _ in worlds()])
def test_every_number_is_a_count_or_a_setting_or_has_an_interval(
    tmp_path: Path, name: str, asked: Experiment, law: Law
) -> None:
    found: Analysis = analyse(make_store(tmp_path, asked, law))
    settings = {f"{size:,}" for size in asked.grid.batch_size}
    measured = {f"{study['steps_to_result']:,}" for study in found.results["studies"] if study["best_trial"]}
    sentences = found.results["conclusions"]
    assert sentences
    bare = {text: left for text in sentences if (left := unexplained(text, settings, measured))}
    assert bare == {}
    for text in sentences:
        assert "the same steps" not in text
        assert "no limit" not in text
