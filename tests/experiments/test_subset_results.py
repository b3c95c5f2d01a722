"""The example that tells of a subset search: its arithmetic by hand, and the whole of it on the digits."""

from __future__ import annotations

import csv
import math
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from headrace.analysis.comparison import compare
from headrace.analysis.subset_search import write
from headrace.analysis.tables import read_comparison_table
from headrace.search.runner import search_subset
from headrace.specs.search import SubsetSearch

EXAMPLE = Path(__file__).parents[2] / "examples" / "subset_results.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE), run_name="subset_results")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_size_at_which_the_goal_is_met_lies_on_the_line_over_log_size(example) -> None:
    first = example["first_below"]
    assert first([100, 200, 400], np.array([0.4, 0.3, 0.1]), 0.2) == pytest.approx(200 * math.sqrt(2))
    assert first([100, 200, 400], np.array([0.4, 0.3, 0.1]), 0.3) == pytest.approx(200)
    assert first([100, 200], np.array([0.1, 0.3]), 0.2) == 100
    assert first([100, 200], np.array([0.4, 0.3]), 0.2) == math.inf
    assert first([100, 200, 400, 800], np.array([0.5, 0.2, 0.4, 0.1]), 0.35) == pytest.approx(
        200 / math.sqrt(2)
    )


def test_where_seeds_agree_the_labels_needed_are_certain(example) -> None:
    errors = {("full", 1000): np.full(3, 0.1)}
    for place, size in enumerate((100, 200, 400)):
        errors["random", size] = np.full(3, (0.5, 0.3, 0.1)[place])
        errors["better", size] = np.full(3, (0.3, 0.1, 0.1)[place])
    found = {(row["share"], row["group"]): row for row in example["needed"](errors, 1000)}
    row = found[0.9, "better"]
    assert row["error"] == pytest.approx(1 - 0.9 * 0.9)
    # 0.19 lies 11/20 of the way from 0.3 to 0.1.
    assert row["labels"] == pytest.approx(100 * 2**0.55)
    assert row["low"] == row["high"] == pytest.approx(row["labels"])
    assert row["times_fewer"] == row["times_low"] == row["times_high"] == pytest.approx(2)


def test_labels_needed_are_the_mean_over_seeds_with_students_interval(example) -> None:
    rng = np.random.default_rng(0)
    errors = {("full", 800): np.full(5, 0.1)}
    for size in (100, 200, 400):
        errors["random", size] = 0.6 - 0.15 * np.log2(size / 50) + 0.02 * rng.standard_normal(5)
    (row,) = (r for r in example["needed"](errors, 800) if r["share"] == 0.9)
    each = [
        example["first_below"](
            [100, 200, 400], np.array([errors["random", s][i] for s in (100, 200, 400)]), 0.19
        )
        for i in range(5)
    ]
    logs = np.log(each)
    half = stats.t.ppf(0.975, 4) * stats.sem(logs)
    assert row["labels"] == pytest.approx(np.exp(logs.mean()))
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.exp([logs.mean() - half, logs.mean() + half])))


def test_intervals_of_five_seeds_hold_the_truth_nineteen_times_in_twenty(example) -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(1000):
        _, low, high = example["interval"](100 * np.exp(0.3 * rng.standard_normal(5)))
        held += low < 100 < high
    assert 0.93 < held / 1000 < 0.97


def test_labels_that_are_only_limits_are_said_to_be_limits(example) -> None:
    errors = {("full", 1000): np.full(3, 0.1)}
    for place, size in enumerate((100, 200)):
        errors["random", size] = np.array([0.5, 0.5, (0.5, 0.1)[place]])
        errors["at once", size] = np.full(3, 0.1)
    found = {row["group"]: row for row in example["needed"](errors, 1000) if row["share"] == 0.9}
    assert (found["random"]["labels"], found["random"]["high"]) == (math.inf, math.inf)
    assert 100 < found["random"]["low"] < 200
    assert (found["at once"]["low"], found["at once"]["high"]) == (0, pytest.approx(100))
    assert math.isnan(found["at once"]["times_fewer"])


@pytest.fixture(scope="module")
def told(tmp_path_factory, example) -> Path:
    """The tables of a small search with flipped labels."""
    folder = tmp_path_factory.mktemp("subset-results")
    spec = SubsetSearch.from_dict(
        {
            "workload": {"name": "digits-mlp", "settings": {"hidden": [8], "label_noise": 0.2}},
            "search": {"sizes": [0.1, 0.2, 0.4], "acquisition": ["entropy", "error_count"]},
            "training": {
                "runs": 1,
                "checkpoints": 2,
                "batch_size": 32,
                "hyperparameters": {"learning_rate": 0.05},
                "budget": {"steps": 30},
            },
            "comparison": {"seeds": 3},
        }
    )
    write(search_subset(spec, folder / "run", processes=1))
    argv, sys.argv = sys.argv, ["subset_results.py", str(folder / "run"), "--out", str(folder / "out")]
    try:
        example["main"]()
    finally:
        sys.argv = argv
    return folder / "out"


def test_the_tables_hold_the_verdicts_that_compare_gives(told: Path) -> None:
    for row in rows(told / "differences.csv"):
        if row["group"] == "random":
            continue
        groups, seeds, errors = read_comparison_table(told / f"errors-{row['size']}.csv", metric="error")
        kept = [place for place, group in enumerate(groups) if group != "full"]
        again = compare(
            [groups[i] for i in kept], [seeds[i] for i in kept], [errors[i] for i in kept],
            baseline="random", level=1 - 0.05 / 2,
        )  # fmt: skip
        (mine,) = (group for group in again.groups if group.group == row["group"])
        assert mine.verdict == row["random_verdict"]
        assert mine.difference == pytest.approx(float(row["difference_from_random"]), abs=2e-5)


def test_flipped_labels_are_counted_in_every_subset(told: Path) -> None:
    table = rows(told / "flipped.csv")
    assert len(table) == 2 * 3 * 3
    # The start is the same for both, and near the fifth that was flipped.
    starts = {(row["seed"], row["share"]) for row in table if row["size"] == "120"}
    assert len(starts) == 3
    assert all(0.05 < float(share) < 0.4 for _, share in starts)
    assert all(0.15 < float(row["in_all"]) < 0.25 for row in table)


def test_the_figures_are_there(told: Path) -> None:
    for name in ("differences.png", "errors.png", "flipped.png"):
        assert (told / name).read_bytes().startswith(b"\x89PNG")
