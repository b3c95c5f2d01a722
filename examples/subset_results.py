"""What came of a subset search: tables and figures for a page, from the folder of `headrace subset`.

    headrace subset search.toml --out runs/mine
    python examples/subset_results.py runs/mine --out results/mine
    headrace compare results/mine/errors-6875.csv --baseline random --metric error

In the folder, for the search's own model and, with a name before, for every transfer:

    errors-SIZE.csv   group, seed, error: what `headrace compare` reads; the full set is in every file
    differences.csv   size, group, error, difference from random with interval and verdict; the same from full
    differences.png   each method's difference from random at each size
    errors.png        error against size
    labels.csv        with hidden labels: how many reach a share of the accuracy of everything, against random
    flipped.csv       with label noise: the share of flipped labels in each subset
    flipped.png       that share
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headrace.report.canvas import Canvas
from headrace.report.forest import MARKS
from headrace.report.render import saved
from headrace.report.style import FAINT, INK, mark, styled
from headrace.specs.search import SubsetSearch
from headrace.subsets.file import Subset

Rows = list[dict[str, Any]]
Errors = dict[tuple[str, int], np.ndarray]
"""(group, size) -> the error of every seed, in their order."""
SHARES = (0.9, 0.95)
"""Of the accuracy of everything, that labels are counted to."""
COLOURED = [look for look in map(mark, range(112)) if look.colour != "#000000"]
"""Black is for random."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a finished search")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    results = json.loads((asked.run / "results.json").read_bytes())
    spec = SubsetSearch.from_toml(asked.run / "search.toml")
    tell(results, asked.run / "comparison.csv", asked.out, "")
    for other in results["transfers"]:
        name = other["name"]
        tell(results | other, asked.run / f"comparison-{name}.csv", asked.out, f"{name}-")
    if spec.search.labels == "hidden":
        write(asked.out / "labels.csv", needed(read(asked.run / "comparison.csv"), results["examples"]))
    if spec.workload.settings.get("label_noise"):
        rows = list(flipped(spec, asked.run / "subsets"))
        write(asked.out / "flipped.csv", rows)
        draw(asked.out / "flipped.png", lambda: flipped_picture(rows, results["examples"]))


def tell(results: Mapping[str, Any], comparison: Path, out: Path, prefix: str) -> None:
    """The tables and figures of one comparison."""
    errors, examples = read(comparison), results["examples"]
    for size in sorted({size for _, size in errors} - {examples}):
        rows = [
            {"group": group, "seed": seed, "error": error}
            for (group, own), values in errors.items()
            if own in (size, examples)
            for seed, error in enumerate(values)
        ]
        write(out / f"{prefix}errors-{size}.csv", rows)
    rows = differences(results)
    if rows:
        # With fewer than three seeds nothing was compared.
        write(out / f"{prefix}differences.csv", rows)
        draw(out / f"{prefix}differences.png", lambda: differences_picture(rows, examples))
    draw(out / f"{prefix}errors.png", lambda: errors_picture(errors, examples))


def read(path: Path) -> Errors:
    """The errors of `comparison.csv`, which holds the seeds of a group and size in order."""
    found: dict[tuple[str, int], list[float]] = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault((row["group"], int(row["size"])), []).append(float(row["metric"]))
    return {cell: np.array(values) for cell, values in found.items()}


def differences(results: Mapping[str, Any]) -> Rows:
    """Each group and size beside random, and beside everything, with the search's own verdicts."""
    cells: dict[tuple[int, str], dict[str, Any]] = {}
    for comparison in results["comparisons"]:
        base = comparison["baseline"]
        for group in comparison["groups"]:
            if base == "full" and group["group"] in ("random", "rs2"):
                continue
            row = cells.setdefault((comparison["size"], group["group"]), {})
            low, high = group["interval"]
            row |= {
                "size": comparison["size"],
                "group": group["group"],
                "error": group["mean"],
                base: comparison["baseline_mean"],
                f"difference_from_{base}": group["difference"],
                f"{base}_low": low,
                f"{base}_high": high,
                f"{base}_p_adjusted": group["p_adjusted"],
                f"{base}_verdict": group["verdict"],
            }
    return list(cells.values())


def first_below(sizes: Sequence[int], errors: np.ndarray, goal: float) -> float:
    """The size at which the error first falls to the goal, between sizes along a line over log size.

    Infinite where no size reaches it; the smallest size where that one does.
    """
    for place, error in enumerate(errors):
        if error <= goal:
            if place == 0:
                return float(sizes[0])
            before = errors[place - 1]
            part = (before - goal) / (before - error)
            return float(sizes[place - 1] * (sizes[place] / sizes[place - 1]) ** part)
    return float("inf")


def needed(errors: Errors, examples: int) -> Rows:
    """Labels until a seed's accuracy is a share of that of everything, and how many times fewer than random.

    Reckoned for each seed by itself; the mean of the logs and Student's interval of it are shown. (Drawing
    five seeds with replacement gives 95% intervals that hold the truth in 83 of 100 cases.) A seed that is
    good enough at the smallest size may have been so before: there the interval begins at 0, and how many
    times fewer is not known.
    """
    seeds = len(errors["full", examples])
    groups = list(dict.fromkeys(group for group, _ in errors if group != "full"))
    sizes = sorted({size for _, size in errors} - {examples})
    rows: Rows = []
    for share in SHARES:
        goals = 1 - share * (1 - errors["full", examples])
        counts = {
            group: np.array(
                [
                    first_below(sizes, np.array([errors[group, size][seed] for size in sizes]), goals[seed])
                    for seed in range(seeds)
                ]
            )
            for group in groups
        }
        for group, labels in counts.items():
            centre, low, high = interval(labels)
            low = 0.0 if (labels == sizes[0]).any() else low
            with np.errstate(invalid="ignore"):
                known = (labels > sizes[0]) & (counts["random"] > sizes[0])
                times, fewer, more = interval(np.where(known, counts["random"] / labels, np.nan))
            rows.append(
                {"share": share, "error": float(goals.mean()), "group": group, "labels": centre, "low": low}
                | {"high": high, "times_fewer": times, "times_low": fewer, "times_high": more}
            )
    return rows


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """The geometric mean over seeds and Student's 95% interval of it.

    Where a seed reaches the goal at no size, what was found is a lower limit, open above; where it is not
    known at all (two such divided), nothing is.
    """
    from scipy.special import stdtrit

    if np.isnan(values).any():
        return float("nan"), float("nan"), float("nan")
    if np.isinf(values).any():
        return float("inf"), float(values.min()), float("inf")
    if (values == 0).any():
        return 0.0, 0.0, float(values.max())
    logs = np.log(values)
    half = float(stdtrit(len(logs) - 1, 0.975)) * float(logs.std(ddof=1)) / len(logs) ** 0.5
    return tuple(np.exp([logs.mean(), logs.mean() - half, logs.mean() + half]).tolist())


def flipped(spec: SubsetSearch, folder: Path) -> Iterator[dict[str, Any]]:
    """The share of flipped labels in each subset, and in what was chosen by scores alone."""
    import torch

    from headrace.workloads.registry import load_workload

    workload = load_workload(spec.workload.name, spec.workload.settings)
    assert workload.clean_targets is not None
    _, targets = workload.train.fetch(torch.arange(len(workload.train)))
    wrong = (targets != workload.clean_targets).numpy()
    for seed in spec.repeats:
        for path in sorted((folder / f"seed-{seed}").glob("*.parquet")):
            group, _, size = path.stem.rpartition("-")
            subset = Subset.load(path)
            taken = wrong[subset.indices]
            last = taken[subset.rounds == subset.rounds.max()]
            row = {"group": group, "size": int(size), "seed": seed, "share": taken.mean()}
            yield row | {"share_of_last": last.mean(), "in_all": wrong.mean()}


def differences_picture(rows: Rows, examples: int) -> Figure:
    """A panel a size: each group's difference from random, the best at the largest size on top."""
    sizes = sorted({row["size"] for row in rows})
    cells = {(row["group"], row["size"]): row for row in rows}
    groups = sorted(
        {row["group"] for row in rows if row["group"] != "full"},
        key=lambda group: np.mean([cells[group, size]["difference_from_random"] for size in sizes]),
    )
    names = 14 + int(7.4 * max(map(len, groups)))
    panel, gap, top, height = 230, 22, 58, 22 * len(groups)
    canvas = Canvas(names + len(sizes) * (panel + gap), top + height + 56)
    for place, size in enumerate(sizes):
        axes = canvas.axes(names + place * (panel + gap), top, panel, height)
        axes.axvline(0, color=INK, linewidth=1.2)
        full = next((row for row in rows if row["size"] == size and "full" in row), None)
        if full is not None:
            axes.axvline(
                100 * (full["full"] - full["random"]), color=FAINT, linewidth=1.4, linestyle=(0, (4, 3))
            )
        for height_of, group in enumerate(groups):
            row = cells[group, size]
            look = MARKS[row["random_verdict"]]
            ends = (100 * row["random_low"], 100 * row["random_high"])
            axes.plot(ends, (height_of, height_of), color=look.colour, linewidth=1.8)
            axes.plot([100 * row["difference_from_random"]], [height_of], linestyle="none", **look.style())
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_yticks(range(len(groups)), groups if place == 0 else [""] * len(groups))
        axes.tick_params(axis="y", length=0)
        axes.set_title(f"{100 * size / examples:.3g} %", loc="left")
        axes.set_xlabel("points of error above random")
    handles = [
        Line2D([], [], label=verdict, linewidth=1.8, **look.style()) for verdict, look in MARKS.items()
    ]
    canvas.legend([*handles, Line2D([], [], label="everything", color=FAINT, linestyle=(0, (4, 3)))])
    return canvas.figure


def errors_picture(errors: Errors, examples: int) -> Figure:
    """Error against size, a mean over seeds with its standard error for each group."""
    groups = list(dict.fromkeys(group for group, _ in errors if group != "full"))
    rows = -(-len(groups) // 4)
    canvas = Canvas(680, 430 + 21 * rows)
    axes = canvas.axes(60, 34 + 21 * rows, 600, 330)
    handles: list[Line2D] = []
    for place, group in enumerate(sorted(groups, key=lambda name: name != "random")):
        cells = sorted((size, values) for (own, size), values in errors.items() if own == group)
        sizes = [100 * size / examples for size, _ in cells]
        means = [100 * values.mean() for _, values in cells]
        bars = [100 * values.std(ddof=1) / len(values) ** 0.5 for _, values in cells]
        look = (
            {"color": INK, "marker": "o", "linewidth": 2.6}
            if group == "random"
            else COLOURED[place - 1].style(6)
        )
        axes.errorbar(sizes, means, bars, linewidth=look.pop("linewidth", 1.3), **look)
        handles.append(Line2D([], [], label=group, **look))
    if ("full", examples) in errors:
        axes.axhline(100 * errors["full", examples].mean(), color=FAINT, linestyle=(0, (4, 3)))
        handles.append(Line2D([], [], label="everything", color=FAINT, linestyle=(0, (4, 3))))
    axes.set_xscale("log", base=2)
    ticks = sorted({100 * size / examples for _, size in errors} - {100.0})
    axes.set_xticks(ticks, [f"{round(tick, 2):g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("share of the training set, %")
    axes.set_ylabel("test error, %")
    canvas.legend(handles)
    return canvas.figure


def flipped_picture(rows: Rows, examples: int) -> Figure:
    """The share of flipped labels in the subsets, a point a seed, beside that of chance."""
    sizes = sorted({row["size"] for row in rows})[1:]
    means = {
        group: np.mean([row["share"] for row in rows if row["group"] == group and row["size"] == sizes[0]])
        for group in {row["group"] for row in rows}
    }
    groups = sorted(means, key=lambda group: means[group])
    names = 14 + int(7.4 * max(map(len, groups)))
    canvas = Canvas(names + 460, 58 + 24 * len(groups) + 56)
    axes = canvas.axes(names, 34, 430, 24 * len(groups))
    axes.axvline(100 * rows[0]["in_all"], color=INK, linewidth=1.2)
    handles = [Line2D([], [], label="chance", color=INK, linewidth=1.2)]
    for place, size in enumerate(sizes):
        look = mark(place).style()
        for height, group in enumerate(groups):
            shares = [100 * row["share"] for row in rows if row["group"] == group and row["size"] == size]
            axes.plot(shares, [height] * len(shares), linestyle="none", **look)
        handles.append(Line2D([], [], label=f"{100 * size / examples:.3g} %", linestyle="none", **look))
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_yticks(range(len(groups)), groups)
    axes.set_xlabel("flipped labels in the subset, %")
    canvas.legend(handles)
    return canvas.figure


def draw(path: Path, picture: Callable[[], Figure]) -> None:
    """Draw into a PNG file."""
    with styled(path.stem):
        path.write_bytes(saved(picture(), "png", title=path.stem))


def _text(value: object) -> object:
    """Five significant digits; nothing for what is not known."""
    if not isinstance(value, float):
        return value
    return "" if np.isnan(value) else f"{value:.5g}"


def write(path: Path, rows: Rows) -> None:
    """A CSV file of five significant digits."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: _text(v) for k, v in row.items()})


if __name__ == "__main__":
    main()
