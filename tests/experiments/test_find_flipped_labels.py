"""The example that finds flipped labels: its arithmetic by hand, and the whole of it on the digits."""

from __future__ import annotations

import csv
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from headrace.analysis.comparison import compare
from headrace.analysis.tables import read_comparison_table

EXAMPLE = Path(__file__).parents[2] / "examples" / "find_flipped_labels.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE), run_name="find_flipped_labels")


def test_found_counts_among_as_many_as_were_flipped(example) -> None:
    flipped = np.array([True, True, False, False, True])
    assert example["found"](np.array([5.0, 4.0, 3.0, 2.0, 1.0]), flipped) == pytest.approx(2 / 3)


def test_names_keep_their_distance(example) -> None:
    placed = example["spread"]({0.9: "a", 0.89: "b", 0.2: "c", 0.88: "d"}, gap=0.1)
    assert [name for _, name in placed] == ["a", "b", "d", "c"]
    assert [height for height, _ in placed] == pytest.approx([0.9, 0.8, 0.7, 0.2])


def test_on_the_digits(example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [
        str(EXAMPLE),
        "--workload",
        "digits-mlp",
        "--epochs",
        "4",
        "--batch-size",
        "32",
        "--seeds",
        "2",
    ]
    monkeypatch.setattr(sys, "argv", [*command, "--out", str(tmp_path)])
    example["main"]()
    with (tmp_path / "summary.csv").open() as file:
        areas = {row["score"]: float(row["area"]) for row in csv.DictReader(file)}
    assert areas["mean_loss"] > 0.95
    assert areas["difficulty"] == areas["easiness"] == areas["confidence"] > 0.95
    with (tmp_path / "epochs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4 * 2 * len(areas)
    table = read_comparison_table(tmp_path / "areas.csv", metric="area")
    found = compare(*table, baseline="mean_loss", higher_is_better=True, pairing="always")
    assert {group.test for group in found.groups} == {"paired"}
    assert (tmp_path / "flipped.png").read_bytes().startswith(b"\x89PNG")
