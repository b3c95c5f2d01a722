"""Tokens as the unit: budgets, results, sentences and figures of a language model's experiment."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.analysis.results import analyse
from headrace.engines.registry import ENGINES
from headrace.errors import InputErrors
from headrace.experiments.runner import run
from headrace.report.figures.examples import figures
from headrace.report.write import write_report
from headrace.specs.experiment import Experiment
from headrace.store.experiments import load

from .inline_engine import Given, InlineEngine
from .tiny_language import WINDOW

CHANGES: dict[str, Any] = {
    "workload": {"name": "tiny_language:letters"},
    "grid": {"batch_size": [2, 4, 8, 16], "optimizer": ["adamw"]},
    "search": {"trials": 4, "space": {"learning_rate": {"low": 0.1, "high": 1.0, "scale": "log"}}},
    "training.budget": {"tokens": 1_999},
    "report": {"portrait_epochs": 0.0, "rules": ["square-root", "constant"]},
}


def run_it(content: Callable[..., dict[str, Any]], folder: Path, changes: dict[str, Any]) -> dict[str, Any]:
    run(Experiment.from_dict(content({**copy.deepcopy(CHANGES), **changes})), folder, processes=1)
    return analyse(load(folder)).results


@pytest.fixture(autouse=True)
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))


@pytest.mark.usefixtures("tiny")
def test_budgets_and_results_are_in_tokens(content: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    found = run_it(content, tmp_path, {})
    assert found["tokens_per_example"] == WINDOW
    for study in found["studies"]:
        size = study["configuration"]["batch_size"]
        assert study["batch_tokens"] == size * WINDOW
        assert study["budget_steps"] == 1_999 // (size * WINDOW), "no step goes beyond the budget"
        assert study["tokens_to_result"] == study["examples_to_result"] * WINDOW
        assert study["tokens_to_result"] == study["steps_to_result"] * size * WINDOW
        assert study["tokens_interval"][0] == study["tokens_to_result"]
    said = next(text for text in found["conclusions"] if "in tokens" in text)
    assert "(4 per example)" in said
    first = found["studies"][0]
    assert f"took {first['tokens_to_result']:,} tokens to the goal at 8 tokens per step" in said

    for rule in found["rules"]["verdicts"]:
        assert rule["from"] == 2
        for cost in rule["at"]:
            assert cost["tokens_to_result"] == pytest.approx(WINDOW * cost["examples_to_result"], rel=1e-3)
    assert sum("rule " in text and "times the tokens" in text for text in found["conclusions"]) == 2

    analysis = analyse(load(tmp_path))
    (picture,) = figures(analysis)
    assert picture.words.title == "What the goal costs in tokens"
    page = write_report(analysis, tmp_path).read_text(encoding="utf-8")
    assert "batch size (tokens)" in page
    assert re.search(r'<th scope="col">tokens</th>', page)
    assert f"<td>{first['tokens_to_result']:,}</td>" in page


@pytest.mark.usefixtures("tiny")
def test_a_goal_that_was_not_reached_comes_with_the_best_value(
    content: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    never = {"grid.batch_size": [4], "workload.settings": {"metric": "perplexity"}, "workload.goal": 1.01}
    found = run_it(content, tmp_path, never)
    (said,) = [text for text in found["warnings"] if "the best ended at" in text]
    assert "validation/perplexity below 1.01" in said
    assert 1.01 < float(said.partition("ended at ")[2].rstrip(".")) < 4


@pytest.mark.usefixtures("tiny")
def test_windows_that_are_not_full_count_by_their_mean(
    content: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    within = {"grid.batch_size": [4], "workload.settings": {"packing": "within", "goal": 1.2}}
    found = run_it(content, tmp_path, within)
    mean = found["tokens_per_example"]
    assert 1 < mean < WINDOW
    (study,) = found["studies"]
    assert study["budget_steps"] == int(1_999 / (4 * mean))
    assert study["tokens_to_result"] == pytest.approx(study["examples_to_result"] * mean, rel=1e-5)


@pytest.mark.usefixtures("tiny")
def test_a_budget_in_tokens_needs_tokens(content: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(InputErrors, match=r"budget\.tokens: a budget in tokens needs a workload that counts"):
        run_it(content, tmp_path / "a", {"workload": {"name": "tiny_workload:blobs"}})
    with pytest.raises(InputErrors, match="budget allows no step"):
        run_it(content, tmp_path / "b", {"training.budget": {"tokens": 15.0}})


def test_results_of_other_workloads_have_no_tokens() -> None:
    # Held in full by the folders of before (tests/house); here only that nothing is added without a unit.
    from headrace.analysis.conclusions import conclude

    assert conclude([]) == conclude([], {}, tokens=4.0) == []


@pytest.mark.usefixtures("tiny")
def test_rules_are_added_to_a_finished_folder_without_training(
    content: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run_it(content, tmp_path, {"report": {"portrait_epochs": 0.0}})
    assert "rules" not in plain
    submit, jobs = InlineEngine.submit, list[str]()

    def noted(engine: InlineEngine, worker: int, job: Any) -> None:
        jobs.append(type(job).__name__)
        submit(engine, worker, job)

    monkeypatch.setattr(InlineEngine, "submit", noted)
    asked = run_it(content, tmp_path, {})
    assert "Advance" not in jobs
    assert [one["rule"] for one in asked.pop("rules")["verdicts"]] == ["square-root", "constant"]
    told = [text for text in asked.pop("conclusions") if ", rule " not in text]
    assert told == plain.pop("conclusions")
    assert asked == plain
