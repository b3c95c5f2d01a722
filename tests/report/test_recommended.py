"""The recommendation in the report: what is shown of an advice, and when nothing is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.made_store import experiment, make_store, two_regimes
from headrace.analysis.advice import Advice, advise
from headrace.analysis.advice_words import table
from headrace.analysis.results import analyse
from headrace.report import write_report
from headrace.report.canvas import WIDE
from headrace.report.figures import Absent
from headrace.report.figures.recommendation import choices, draw, figures, frontier_rows
from headrace.report.style import styled
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
    advice = analyse(load(folder)).advice
    assert isinstance(advice, Advice)
    found = choices(advice)
    assert len(found) == 8
    for choice in found:
        cost = choice.workers * choice.seconds
        beaten = any(
            other.seconds < choice.seconds and other.workers * other.seconds < cost for other in found
        )
        assert not (choice.frontier and beaten)
        assert choice.frontier or not choice.best_as
        assert choice.interval[0] <= choice.seconds <= choice.interval[1]
    best = {name: choice for choice in found for name in choice.best_as}
    assert best["fastest"].seconds == min(choice.seconds for choice in found)
    assert best["cheapest"].workers == 1
    rows = frontier_rows(advice)
    assert [row["option"] for row in rows] == ["SGD, 2 workers", "SGD, 1 worker"]
    assert "best compromise" in "".join(row["best_as"] for row in rows)


def test_the_report_has_it_as_a_paragraph_a_table_and_a_figure(folder: Path) -> None:
    write(folder, measured())
    analysis = analyse(load(folder))
    page = write_report(analysis, folder, formats=("svg",)).read_text()
    found = analysis.advice
    assert isinstance(found, Advice)
    section = page.partition('aria-label="Recommendation"')[2].partition("</section>")[0]
    assert found.paragraph in section
    assert section.count("<tr>") == 1 + len(frontier_rows(found))
    assert 'id="recommendation"' in page
    assert len((folder / "figures/recommendation.csv").read_text().splitlines()) == 9
    sizes = re.findall(
        r"font-size: ([\d.]+)px|font: ([\d.]+)px", (folder / "figures/recommendation.svg").read_text()
    )
    assert sizes
    assert min(float(a or b) for a, b in sizes) >= 12


def test_without_step_times_or_with_those_of_others_there_is_none(folder: Path) -> None:
    assert analyse(load(folder)).advice is None
    assert figures(analyse(load(folder))) == []
    write(folder, measured("adamw"))
    analysis = analyse(load(folder))
    (there,) = figures(analysis)
    assert isinstance(there, Absent)
    assert "no step time of one worker was measured with sgd" in there.reason
    text = write_report(analysis, folder, formats=()).read_text()
    assert 'aria-label="Recommendation"' not in text
    assert "no step time of one worker was measured with sgd" in text


def test_with_tokens_as_the_unit_options_are_in_tokens(folder: Path) -> None:
    stored = load(folder)
    assert stored.facts is not None
    counted = replace(stored, facts=stored.facts.model_copy(update={"tokens_per_example": 64.0}))
    plain, advice = (advise(one, measured()) for one in (stored, counted))
    assert "tokens" not in json.dumps(plain.to_dict())
    found = advice.to_dict()
    assert found["tokens_per_example"] == 64
    for option in found["recommendation"]["options"]:
        assert option["batch_tokens"] == 64 * option["batch_size"]
        assert option["tokens"] == pytest.approx(option["steps"] * option["batch_tokens"], rel=1e-5)
    fastest = advice.found.picks["fastest"].option.batch_size
    assert f"with batch size {fastest:,} ({64 * fastest:,} tokens)" in advice.paragraph
    (row, *_) = table(advice.found, advice.tokens)
    assert row[-2] in {64.0 * size for size in (8, 32, 128, 512)}
    with styled("recommendation"):
        drawn = draw(choices(advice), advice.tokens, WIDE)
    assert drawn.axes[0].get_xlabel() == "batch size (tokens)"
