"""The tables of this page and the figures beside them, from every `runs.csv` that is here.

    python docs/results/policies/tables.py

Rewrites what stands between the two markers in README.md, and draws each data set's figures.
"""

from __future__ import annotations

import ast
import csv
from pathlib import Path

from headrace.analysis.comparison import Comparison, GroupResult, compare
from headrace.analysis.tables import read_comparison_table
from headrace.experiments import Experiment
from headrace.report.forest import write_forest

HERE = Path(__file__).parent
MARKERS = "<!-- tables: begin, made by tables.py -->\n", "<!-- tables: end -->"
DATA = {
    "mnist-noisy": "MNIST, labels flipped",
    "mr": "MR",
    "fashion-mnist": "Fashion-MNIST",
    "mnist": "MNIST",
}
METRICS = {
    "test_error": ("Test error at the budget", "percentage points", 100.0, "+.2f"),
    "steps": ("Steps to the goal", "steps", 1.0, "+.0f"),
    "forwarded": (
        "Examples forwarded to the goal, selection passes and hold-out models included",
        "thousands",
        1e-3,
        "+.0f",
    ),
}
FIGURES = ("test_error", "steps")


def main() -> None:
    """Compare what is here, draw it, and write the tables into the page."""
    there = [name for name in DATA if (HERE / name / "runs.csv").exists()]
    compared = {(name, metric): comparison(name, metric) for name in there for metric in METRICS}
    for (name, metric), found in compared.items():
        if metric in FIGURES:
            write_forest(HERE / name / f"{metric}.png", found, metric)
    tables = [table(metric, {name: compared[name, metric] for name in there}) for metric in METRICS]
    page = HERE / "README.md"
    before, _, rest = page.read_text().partition(MARKERS[0])
    _, _, after = rest.partition(MARKERS[1])
    page.write_text(before + MARKERS[0] + "\n" + "\n".join(tables) + "\n" + MARKERS[1] + after)


def comparison(name: str, metric: str) -> Comparison:
    """One data set by one metric."""
    rows = read_comparison_table(HERE / name / "runs.csv", metric=metric)
    return compare(*rows, baseline="shuffle")


def table(metric: str, compared: dict[str, Comparison]) -> str:
    """One metric: a row for each policy, a column for each data set."""
    title, unit, scale, form = METRICS[metric]
    policies = Experiment.from_toml(HERE / "mnist-noisy" / "experiment.toml").grid.policy
    lines = [
        f"### {title}: difference from `shuffle`, {unit}\n",
        "| policy | " + " | ".join(DATA[name] for name in compared) + " |",
        "|---|" + "---|" * len(compared),
        "| mean of `shuffle` | "
        + " | ".join(f"{found.baseline_mean * scale:{form[1:]}}" for found in compared.values())
        + " |",
    ]
    for policy in policies:
        if policy != "shuffle":
            cells = [
                cell(group, scale, form, shares_rate(name, policy))
                for name, found in compared.items()
                for group in found.groups
                if group.group == policy
            ]
            lines.append(f"| `{policy}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def shares_rate(name: str, policy: str) -> bool:
    """Whether the policy was kept at the learning rate at which plain shuffling was kept."""
    kept = {"shuffle": (float("inf"), 0.0), policy: (float("inf"), 0.0)}
    with (HERE / name / "tuning.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["policy"] in kept:
                tried = float(row["validation"]), float(ast.literal_eval(row["values"])["learning_rate"])
                kept[row["policy"]] = min(kept[row["policy"]], tried)
    return abs(kept[policy][1] / kept["shuffle"][1] - 1) < 0.05


def cell(group: GroupResult, scale: float, form: str, shared: bool) -> str:
    """Difference and interval; in bold, with the verdict, if there is one; marked if it may be the rate's."""
    values = [f"{value * scale:{form}}" for value in (group.difference, *group.interval)]
    text = f"{values[0]} [{values[1]}, {values[2]}]".replace("-", "\N{MINUS SIGN}")
    if group.verdict == "no difference shown":
        return text
    return f"**{text}** {group.verdict}" + ("" if shared else "\N{DAGGER}")


if __name__ == "__main__":
    main()
