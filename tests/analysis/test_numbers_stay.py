"""The numbers of fixed tables, digit by digit: what was reported once is reported for ever.

The laws are held elsewhere. Here is every constant and rule on which they leave a choice: a change of it is a
change of what users were told. If one is wanted, `python -m tests.analysis.test_numbers_stay` writes the file
anew, and the change log says whose results differ.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from headrace.analysis import (
    hyperparameters,
    moderation,
    noise_course,
    planning,
    power,
    recommendation,
    roc,
    scaling,
    step_time,
    steps_to_result,
    surface,
)
from headrace.analysis.advice import advise
from headrace.analysis.aggregate import aggregate
from headrace.analysis.comparison import compare
from headrace.analysis.results import analyse
from headrace.random import generator
from headrace.specs.experiment import Experiment
from headrace.store.throughput import Exchange, Throughput, Timing

from .made_store import make_store, two_regimes

KEPT = Path(__file__).with_name("numbers.json")


def plain(value: Any) -> Any:
    """As JSON has it, numbers to ten digits; what is infinite or undefined by its name."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, pl.DataFrame):
        return plain(value.to_dict(as_series=False))
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(entry) for entry in value]
    return value if isinstance(value, str | bool | int | None) else str(value)


def runs(groups: int = 4, seeds: int = 6, counted: bool = False) -> tuple[list[str], list[int], list[float]]:
    """A table of runs in which seeds matter, one group is better, one is worse, and one run diverged."""
    rng = generator(0, "numbers", "runs")
    shared = rng.normal(0, 0.02, seeds)
    rows = [
        (f"group {g}", s, 0.2 + (0, -0.03, 0.001, 0.05)[g % 4] + shared[s] + rng.normal(0, 0.008))
        for g in range(groups)
        for s in range(seeds)
    ]
    names, numbers, values = (list(column) for column in zip(*rows, strict=True))
    values = [round(value * 300) / 300 for value in values] if counted else values
    values[2 * seeds + 1] = math.nan
    return names, numbers, values


def comparisons() -> dict[str, Any]:
    found = {}
    for name, settings in {
        "auto": {},
        "always": {"pairing": "always"},
        "never": {"pairing": "never"},
        "sequential": {"sequential": True},
        "margin": {"margin": 0.02, "level": 0.9},
        "turned": {"higher_is_better": True},
        "counted": {"granularity": 0.01},
    }.items():
        found[name] = compare(*runs(), baseline="group 0", **settings)
    found["found out"] = compare(*runs(counted=True), baseline="group 0")
    found["few"] = compare(*runs(groups=3, seeds=3), baseline="group 1")
    together = aggregate({"one": found["auto"], "other": found["never"]})
    return {**{name: one.to_dict() for name, one in found.items()}, "aggregate": together}


def powers() -> dict[str, Any]:
    groups, _, values = runs()
    return {
        "detectable": [
            power.detectable_difference(0.3, freedom, alpha, estimated=estimated)
            for freedom in (2, 7.3, 60)
            for alpha in (0.05, 0.001)
            for estimated in (False, True)
        ],
        "interval": power.detectable_interval(0.3, 8, 0.05),
        "seeds": [power.seeds_needed(1.0, d, 0.05, groups) for d in (0.1, 1, 3) for groups in (1, 4)],
        "plan": planning.plan_seeds(groups, values, difference=0.03),
        "scatter": moderation.interval_of_scatter(0.1, 7),
    }


def fits() -> dict[str, Any]:
    rng = generator(0, "numbers", "fits")
    batch = [8, 16, 32, 64, 128, 256, 512]
    steps = [round(100 * (1 + 60 / b) * math.exp(rng.normal(0, 0.06))) for b in batch]
    draws = np.array(steps) * np.exp(rng.normal(0, 0.1, (200, len(batch))))
    draws[:3, :6] = math.inf
    kinds = {
        "plain": scaling.fit(batch, steps),
        "replicates": scaling.fit([*batch, *batch], [*steps, *(int(1.05 * s) for s in steps)]),
        "draws": scaling.fit(batch, steps, draws=draws),
        "open": scaling.fit(batch, steps, open_above=[False] * 5 + [True, False]),
        "perfect": scaling.fit(batch[:4], [1000, 500, 251, 124]),
        "flat": scaling.fit(batch[:4], [100, 104, 99, 101]),
        "bent": scaling.fit(batch, [100, 400, 90, 300, 80, 250, 90]),
        "two": scaling.fit(batch[:2], [100, 80], overhead=0.5, reference_batch=4, tolerance=0.1, level=0.8),
    }
    return {
        **{name: one.to_dict() for name, one in kinds.items()},
        "ratio": scaling.critical_ratio(kinds["plain"], kinds["two"]),
        "ratio of intervals": scaling.critical_ratio(kinds["plain"], kinds["replicates"]),
        "rules": hyperparameters.check_rules(
            batch, [0.1 * math.sqrt(b) * math.exp(rng.normal(0, 0.1)) for b in batch]
        ),
        "surface": surfaces(),
        "area": roc.area_under_roc(rng.normal(size=40) + (np.arange(40) % 3 == 0), np.arange(40) % 3 == 0),
    }


def surfaces() -> Any:
    rng = generator(0, "numbers", "surface")
    batch = np.repeat(4 * 2.0 ** np.arange(5), 12)
    rate = np.exp(np.tile(np.linspace(math.log(1e-3), math.log(10), 12), 5))
    off = np.log(rate) - math.log(0.1) - 0.5 * np.log(batch / 32)
    steps = np.log(40 * (1 + 50 / batch)) + 0.1 * off**2 + 0.05 * rng.normal(size=60)
    found = surface.fit_surface(batch, rate, np.minimum(steps, 6.5), steps > 6.5)
    assert found is not None
    ahead = found.expected(50, generator(0, "numbers", "ahead"))
    numbers = {**vars(found), "critical_interval": found.critical_interval, "fitted": None}
    # The parameters themselves are read off by these.
    numbers["ahead"] = [ahead.learning_rates, ahead.steps, ahead.draws[:3]]
    return {name: value for name, value in numbers.items() if not callable(value)}


def times() -> dict[str, Any]:
    made = [
        step_time.StepTime(optimizer="sgd", batch_size=b, workers=w, seconds=s, low=0.9 * s, high=1.1 * s)
        for b, w, s in ((8, 1, 0.011), (64, 1, 0.016), (256, 1, 0.034), (64, 2, 0.014), (256, 4, 0.019))
    ]
    model = step_time.fit_model(made, [(2, 0.002), (4, 0.0035), (1, 9.0)], optimizer="sgd")
    reached = [(90, 3), (100, 1), (120, 7), (150, 2), (400, 5)]
    result = steps_to_result.summarise(reached, 9)
    return {
        "median": [step_time.median_interval([1.0, 5, 2, 8, 3, 4, 9, 7][:n], 0.9) for n in (1, 3, 6, 8)],
        "model": model,
        "at": [step_time.at(made, model, "sgd", b, w) for b, w in ((64, 1), (128, 1), (128, 8))],
        "result": result,
        "draws": steps_to_result.draws(result, 20, generator(0, "numbers", "draws")),
        "probabilities": steps_to_result.best_of_probabilities(5),
        "ratio": noise_course.ratio_interval(300.0, (200.0, 500.0), 100.0, (60.0, 180.0)),
        "prediction": noise_course.prediction(
            np.array([[1.0, 0.5, -0.1, 0.2]]),
            np.array([[30.0, 40.0, 50.0, 60.0]]),
            np.array([0, 10, 30, 70]),
            16,
        ),
    }


ASKED = {
    "seed": 3,
    "workload": {"name": "digits-mlp"},
    "grid": {
        "batch_size": [8, 32, 128, 512], "optimizer": ["sgd"], "policy": ["shuffle", "sample-difficulty"],
        "subset": ["full", "random:0.5"],
    },
    "search": {"trials": 10, "space": {"learning_rate": {"low": 1e-3, "high": 10.0, "scale": "log"}}},
    "training": {"budget": {"steps": 2000}},
}  # fmt: skip


def stored() -> dict[str, Any]:
    """All that a report is made of: every table, every conclusion, and what to train with."""
    slower = {"shuffle": 1.0, "sample-difficulty": 1.3}
    law = two_regimes(lambda batch: 0.05 * (batch / 8) ** 0.7)
    timing = tuple(
        Timing(optimizer="sgd", batch_size=b, steps_per_block=1, seconds_per_step=(1e-3 + 1e-5 * b,) * 7)
        for b in (8, 32, 128, 512)
    )
    measured = Throughput(
        workload="digits-mlp", device="cpu", machine="made", parameters=7, timings=timing,
        exchanges=(Exchange(workers=2, seconds=(2e-3,)),),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(
            Path(folder) / "store",
            Experiment.from_dict(ASKED),
            lambda study, values: law(study, values) * slower[study.configuration.policy],
        )
        analysis = analyse(store)
        advice = advise(store, measured, workers=[1, 2, 8])
    frames = {name: value for name, value in vars(analysis).items() if isinstance(value, pl.DataFrame)}
    found = recommendation.to_dict(advice.found)
    return {
        # Sentences may be worded better.
        "results": {k: v for k, v in analysis.results.items() if k not in ("conclusions", "warnings")},
        "sentences": {name: len(analysis.results[name]) for name in ("conclusions", "warnings")},
        "frames": {name: frame if len(frame) <= 16 else digest(frame) for name, frame in frames.items()},
        "advice": found | {"options": [*found["options"][::5], len(found["options"])]},
    }


def digest(frame: pl.DataFrame) -> dict[str, Any]:
    """A long table, a few numbers a column: what there is, its sum, and its sum weighed by the place."""
    columns: dict[str, Any] = {}
    for column in frame:
        there = [(place, value) for place, value in enumerate(column, 1) if value is not None]
        if column.dtype.is_numeric() or column.dtype == pl.Boolean:
            sums = [math.fsum(value * place**power for place, value in there) for power in (0, 1)]
            columns[column.name] = [len(there), *sums]
        else:
            columns[column.name] = [
                len(there),
                [place for place, _ in there][:3],
                sorted({str(v) for _, v in there}),
            ]
    return columns


PARTS: dict[str, Callable[[], Any]] = {
    "comparisons": comparisons,
    "powers": powers,
    "fits": fits,
    "times": times,
    "stored": stored,
}


def differences(kept: Any, found: Any, place: str = "") -> list[str]:
    """Where two are not the same but for what optimisers leave open."""
    if isinstance(kept, dict) and isinstance(found, dict) and kept.keys() == found.keys():
        return [line for key in kept for line in differences(kept[key], found[key], f"{place}/{key}")]
    if isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        return [line for i, one in enumerate(kept) for line in differences(one, found[i], f"{place}/{i}")]
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (kept, found))
    same = math.isclose(kept, found, rel_tol=1e-5, abs_tol=1e-9) if numbers else kept == found
    return [] if same else [f"{place}: {kept!r}, now {found!r}"]


@pytest.mark.parametrize("part", PARTS)
def test_numbers_stay(part: str) -> None:
    found = differences(json.loads(KEPT.read_text())[part], plain(PARTS[part]()), part)
    assert not found, "\n".join(found[:20])


if __name__ == "__main__":
    KEPT.write_text(
        json.dumps({name: plain(make()) for name, make in PARTS.items()}, separators=(",", ":")) + "\n"
    )
