"""The recommendation in the report: what is shown of an advice, and when nothing is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis.made_store import experiment, make_store, two_regimes
from headrace.analysis.results import analyse
from headrace.report import write_report
from headrace.report.figures import Absent
from headrace.report.recommended import recommended
from headrace.store.experiments import load
from headrace.store.throughput import Exchange, Throughput, Timing, write

SPREAD = (0.97, 0.98, 0.99, 1.0, 1.01, 1.02, 1.03)


def timing(batch_size: int, workers: int) -> Timing:
    seconds = 9e-3 + 3e-4 * batch_size / workers + (4e-3 if workers > 1 else 0)
    return Timing(
        optimizer="sgd",
        batch_size=batch_size,
        workers=workers,
        steps_per_block=1,
        seconds_per_step=tuple(seconds * factor for factor in SPREAD),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_store(tmp_path, experiment([8, 32, 128, 512]), two_regimes(lambda _: 0.1))
    return tmp_path


def measured(optimizer: str = "sgd") -> Throughput:
    timings = [timing(size, workers) for workers in (1, 2) for size in (8, 32, 128, 512)]
    return Throughput(
        workload="digits-mlp",
        device="cpu",
        machine="made",
        parameters=7,
        timings=tuple(t.model_copy(update={"optimizer": optimizer}) for t in timings),
        exchanges=(Exchange(workers=2, seconds=(4e-3,) * 7),),
    )


def test_the_frontier_is_what_nothing_beats_and_holds_the_best(folder: Path) -> None:
    write(folder, measured())
    found = recommended(folder)
    assert found is not None
    assert len(found.choices) == 8
    for choice in found.choices:
        cost = choice.workers * choice.seconds
        beaten = any(
            other.seconds < choice.seconds and other.workers * other.seconds < cost for other in found.choices
        )
        assert not (choice.frontier and beaten)
        assert choice.frontier or not choice.best_as
        assert choice.interval[0] <= choice.seconds <= choice.interval[1]
    best = {name: choice for choice in found.choices for name in choice.best_as}
    assert best["fastest"].seconds == min(choice.seconds for choice in found.choices)
    assert best["cheapest"].workers == 1
    assert [row["option"] for row in found.rows] == ["SGD, 2 workers", "SGD, 1 worker"]
    assert "best compromise" in "".join(row["best_as"] for row in found.rows)


def test_the_report_has_it_as_a_paragraph_a_table_and_a_figure(folder: Path) -> None:
    write(folder, measured())
    page = write_report(analyse(load(folder)), folder, formats=("svg",)).read_text()
    found = recommended(folder)
    assert found is not None
    section = page.partition('aria-label="Recommendation"')[2].partition("</section>")[0]
    assert found.paragraph in section
    assert section.count("<tr>") == 1 + len(found.rows)
    assert 'id="recommendation"' in page
    assert len((folder / "figures/recommendation.csv").read_text().splitlines()) == 9
    sizes = re.findall(
        r"font-size: ([\d.]+)px|font: ([\d.]+)px", (folder / "figures/recommendation.svg").read_text()
    )
    assert sizes
    assert min(float(a or b) for a, b in sizes) >= 12


def test_without_step_times_or_with_those_of_others_there_is_none(folder: Path) -> None:
    assert recommended(folder) is None
    write(folder, measured("adamw"))
    there = recommended(folder)
    assert isinstance(there, Absent)
    assert "no step time of one worker is known with sgd" in there.reason
    text = write_report(analyse(load(folder)), folder, formats=()).read_text()
    assert 'aria-label="Recommendation"' not in text
    assert "no step time of one worker is known with sgd" in text
