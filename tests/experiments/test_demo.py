"""The demo and the example of two optimizers: what ships runs as it is, here made small."""

from __future__ import annotations

import json
from functools import partial
from importlib import resources
from pathlib import Path

import pytest
from tests.experiments.inline_engine import Given, InlineEngine

from headrace import report
from headrace.analysis.results import analyse
from headrace.cli.app import execute
from headrace.engines.registry import ENGINES
from headrace.experiments.runner import run
from headrace.experiments.searched import searches
from headrace.specs.experiment import Experiment

DEMO = Path(str(resources.files("headrace.experiments") / "demo"))
EXAMPLE = Path(__file__).parents[2] / "examples/sgd_and_nesterov.toml"
SMALL = {
    "batch_size = [16, 32, 64, 128, 256, 512]": "batch_size = [64, 128, 512]",
    '"weight-prediction-variance", ': "",
    ', "random:0.5"]': "]",
    "goal = 0.05 ": "goal = 0.6 ",
    "trials = 8": "trials = 1",
    "seeds = 5 ": "seeds = 3 ",
    "sizes = [0.125, 0.25, 0.5]": "sizes = [0.25, 0.5]",
    "budget = { steps = 200 }": "budget = { steps = 20 }",
    "checkpoints = 5": "checkpoints = 1",
    "runs = 2": "runs = 1",
}


def test_the_demo_asks_what_it_says():
    demo = Experiment.from_toml(DEMO / "experiment.toml")
    assert len(demo.studies()) == 6 * 3 * 3
    assert demo.grid.subset == ("full", "half", "random:0.5")
    assert demo.replicates is not None
    assert demo.replicates.seeds == 5
    assert searches(demo)["half"].search.sizes[-1] == 0.5


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's files with fewer and easier trials, in the place of the demo's."""
    folder = tmp_path / "package/demo"
    folder.mkdir(parents=True)
    unused = set(SMALL)
    for file in DEMO.iterdir():
        text = file.read_text()
        for old, new in SMALL.items():
            unused -= {old} if old in text else set()
            text = text.replace(old, new)
        (folder / file.name).write_text(text)
    assert not unused
    files = resources.files
    ours = "headrace.experiments"
    monkeypatch.setattr(resources, "files", lambda of: folder.parent if of == ours else files(of))
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    for name in ("write_report", "write_search_report"):
        # Figures as files of three formats each are most of the time, and nothing that is asked here.
        monkeypatch.setattr(report, name, partial(getattr(report, name), formats=()))
    return tmp_path / "out"


def test_the_demo_searches_its_half_and_ends_in_a_verdict(small, capsys):
    assert execute(["demo", "--out", str(small), "--processes", "1"]) == 0
    told = capsys.readouterr().out
    results = json.loads((small / "results.json").read_text())
    assert (small / "subsets/half/subset.parquet").is_file()
    assert results["subsets"]["half"]["examples"] == round(results["subsets"]["full"]["examples"] / 2)
    lines = results["grid"]["lines"]
    assert lines
    assert told.index(lines[0]["text"]) < told.index("The report: ")
    assert lines[0]["text"] in (small / "report.html").read_text()


def test_the_example_of_two_optimizers_runs(tmp_path, monkeypatch):
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    content = Experiment.from_toml(EXAMPLE).model_dump(exclude_none=True)
    content["workload"]["goal"] = 0.4
    content["grid"]["batch_size"] = [256]
    content["search"]["trials"] = 2
    content["training"]["budget"] = {"steps": 200}
    content["report"] = {"portrait_epochs": 0}
    analysis = analyse(run(Experiment.from_dict(content), tmp_path / "out", processes=1))
    assert {study["optimizer"] for study in analysis.results["studies"]} == {"sgd", "nesterov"}
    assert any(study["steps_to_result"] for study in analysis.results["studies"])
