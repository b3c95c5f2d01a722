"""The curves of this page again, by today's methods, from the trials that are stored here.

    python docs/results/curves.py

Rewrites what is between the markers in README.md, from `results.json` and `figures/search-*.csv` of each
folder, and in parallelism/README.md, from the noise scales that are stored there: no run is made.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headrace import scaling
from headrace.analysis.hyperparameters import RuleCheck, check_rules, effective_learning_rate
from headrace.analysis.noise_course import ratio_interval
from headrace.analysis.surface import Surface, fit_surface, ratio_of

HERE = Path(__file__).parent
MARKERS = "<!-- curves: begin, made by curves.py -->\n", "<!-- curves: end -->"
DATA = {"mnist-fc": "MNIST", "fashion-mnist-fc": "Fashion-MNIST"}
OPTIMIZERS = {"sgd": "SGD", "nesterov": "Nesterov"}
FILES = {"sgd": "search-1-sgd.csv", "nesterov": "search-2-nesterov-momentum.csv"}
HALF_AN_EVALUATION = math.log(1.05) / 2


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One optimizer on one data set: the fit of its fewest steps, its rules, the surface of its trials."""

    fit: scaling.ScalingFit
    rules: RuleCheck
    surface: Surface


def main() -> None:
    """Analyse what is here and write the tables into the page."""
    curves = {(data, name): curve(data, name) for data in DATA for name in OPTIMIZERS}
    tables = [*findings(curves), "", *(line for data in DATA for line in tuned(data, curves))]
    rewrite(HERE / "README.md", MARKERS, tables)
    for data in DATA:
        markers = f"<!-- {data}: begin, made by curves.py -->\n", f"<!-- {data}: end -->"
        rewrite(HERE / "parallelism" / "README.md", markers, list(noise_scales(data, curves)))


def rewrite(page: Path, markers: tuple[str, str], lines: list[str]) -> None:
    """Put lines in the place of what is between two markers."""
    before, _, rest = page.read_text().partition(markers[0])
    _, _, after = rest.partition(markers[1])
    page.write_text(before + markers[0] + "\n" + "\n".join(lines) + "\n" + markers[1] + after)


def curve(data: str, optimizer: str) -> Curve:
    """What one curve's stored trials come to."""
    results = json.loads((HERE / data / "results.json").read_text())
    studies = [study for study in results["studies"] if study["optimizer"] == optimizer]
    surface = surface_of(data, optimizer, studies)
    assert surface is not None
    sizes = [study["configuration"]["batch_size"] for study in studies]
    steps = [study["steps_to_result"] for study in studies]
    values = [study["best_trial"]["hyperparameters"] for study in studies]
    rates = [
        effective_learning_rate(optimizer, found, taken) or math.nan
        for found, taken in zip(values, steps, strict=True)
    ]
    return Curve(
        fit=scaling.fit(sizes, steps, open_above=[study["interval"][1] is None for study in studies]),
        rules=check_rules(sizes, rates),
        surface=surface,
    )


def surface_of(data: str, optimizer: str, studies: list[dict[str, Any]]) -> Surface | None:
    """The surface of all trials: with momentum in two dimensions."""
    decided = {study["configuration"]["batch_size"]: study["decided_at_step"] for study in studies}
    with (HERE / data / "figures" / FILES[optimizer]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    reached = np.array([row["ending"] == "reached the goal" for row in rows])
    sizes = np.array([int(row["batch_size"]) for row in rows])
    # A trial that diverged never arrives: it needs more than the steps at which its study was decided.
    ends = [
        decided[size] if row["ending"] == "diverged" else int(row["steps"])
        for row, size in zip(rows, sizes.tolist(), strict=True)
    ]
    with_momentum = optimizer != "sgd"
    others = np.array([[math.log(1 - float(row["momentum"]))] if with_momentum else [] for row in rows])
    return fit_surface(
        sizes.astype(np.float64),
        np.array([float(row["learning_rate"]) for row in rows]),
        np.log(ends) - np.where(reached, HALF_AN_EVALUATION, 0),
        ~reached,
        others=others.reshape(len(rows), -1),
        couplings=[-1.0] if with_momentum else [],
    )


def findings(curves: dict[tuple[str, str], Curve]) -> Iterator[str]:
    """Critical batch sizes, their ratio, rules: a column for each data set."""
    yield "| | " + " | ".join(DATA.values()) + " |"
    yield "|---|" + "---|" * len(DATA)
    for optimizer, name in OPTIMIZERS.items():
        each = [curves[data, optimizer] for data in DATA]
        yield row(
            f"critical batch size, {name}", [number(c.fit.critical_batch_size, c.fit.interval) for c in each]
        )
        yield row("if no law is believed", [span(c.fit.law_free_interval) for c in each])
        yield row("lack of fit, p", [f"{c.fit.lack_of_fit:.2g}" for c in each])
        surfaces = [c.surface for c in each]
        yield row(
            "by all trials, if the law holds",
            [number(one.critical_batch_size, one.critical_interval) for one in surfaces],
        )
        yield row("perfect scaling up to", [limit(c.fit, "perfect_scaling_limit") for c in each])
        yield row(
            "a larger batch saves less than 20% beyond", [limit(c.fit, "max_useful_batch_size") for c in each]
        )
        yield row(
            "best effective learning rate: power of B",
            [number(c.rules.slope, c.rules.interval) for c in each],
        )
    pairs = [(curves[data, "nesterov"], curves[data, "sgd"]) for data in DATA]
    ratios = [scaling.critical_ratio(one.fit, base.fit) for one, base in pairs]
    yield row(
        "**critical batch size, Nesterov over SGD**", [f"**{number(*r)}**" if r else "" for r in ratios]
    )
    for ends, name in ((slice(0, 3), "three smallest"), (slice(-3, None), "three largest")):
        found = [ratio_of(one.surface, base.surface, one.surface.batch_sizes[ends]) for one, base in pairs]
        yield row(
            f"steps at the best hyperparameters, Nesterov over SGD, {name} B", [number(*r) for r in found]
        )


def tuned(data: str, curves: dict[tuple[str, str], Curve]) -> Iterator[str]:
    """Steps at the best hyperparameters, a row for each batch size."""
    yield f"### {DATA[data]}: steps at the best hyperparameters\n"
    yield "| batch size | " + " | ".join(OPTIMIZERS.values()) + " |"
    yield "|---:|" + "---|" * len(OPTIMIZERS)
    surfaces = [curves[data, optimizer].surface for optimizer in OPTIMIZERS]
    for place, size in enumerate(surfaces[0].batch_sizes):
        yield row(f"{size:,.0f}", [number(s.steps[place], s.intervals[place]) for s in surfaces])
    yield ""


def limit(fit: scaling.ScalingFit, name: str) -> str:
    """One of the two limits and its interval."""
    return number(getattr(fit, name), getattr(fit, f"{name}_interval"))


def noise_scales(data: str, curves: dict[tuple[str, str], Curve]) -> Iterator[str]:
    """The noise scale of each trial against the critical batch size of its curve."""
    yield (
        "| optimizer, batch size of the trial | noise scale at the first step, lowest, at the goal "
        "| mean over progress | measured critical batch size | ratio |"
    )
    yield "|---|---|---|---|---|"
    with (HERE / "parallelism" / "noise-scale" / f"{data}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    trials = dict.fromkeys((found["curve"], found["batch_size"]) for found in rows)
    for name, size in trials:
        course = [found for found in rows if (found["curve"], found["batch_size"]) == (name, size)]
        scales = [float(found["noise_scale"]) for found in course]
        predicted = float(course[0]["predicted_critical_batch_size"])
        ends = float(course[0]["predicted_low"]), float(course[0]["predicted_high"])
        fit = curves[data, "sgd" if name == "SGD" else "nesterov"].fit
        assert fit.interval is not None
        ratio = predicted / fit.critical_batch_size
        interval = ratio_interval(predicted, ends, fit.critical_batch_size, fit.interval)
        shown = number(ratio, interval)
        yield row(
            f"{name.removesuffix(' momentum')}, {int(size):,}",
            [
                ", ".join(digits(scale) for scale in (scales[0], min(scales), scales[-1])),
                number(predicted, ends),
                number(fit.critical_batch_size, fit.interval),
                shown if interval[0] <= 1 <= interval[1] else f"**{shown}**",
            ],
        )


def row(name: str, cells: list[str]) -> str:
    """One line of a table."""
    return f"| {name} | " + " | ".join(cells) + " |"


def number(value: float, ends: tuple[float, float] | None) -> str:
    """A number and its interval."""
    return f"{digits(value)} {span(ends)}"


def span(ends: tuple[float, float] | None) -> str:
    """An interval; an end without a bound is said to be that."""
    if ends is None:
        return "no interval"
    low, high = ends
    if math.isinf(high):
        return "(not bounded)" if low <= 0 else f"(at least {digits(low)})"
    return f"({digits(low)} to {digits(high)})" if low > 0 or high < 1 else f"(at most {digits(high)})"


def digits(value: float) -> str:
    """Three digits, thousands apart; a batch size in full."""
    if value == round(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{float(f'{value:.3g}'):,g}" if abs(value) < 1e6 else f"{value:.3g}"


if __name__ == "__main__":
    main()
