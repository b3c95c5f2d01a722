"""Subsets that a run searches for itself: their form, what is refused, and that nothing is searched twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.cli.app import execute
from headrace.errors import InputError, InputErrors
from headrace.experiments.searched import folder_of, is_found, searches, with_found
from headrace.specs.experiment import Experiment

SEARCH = """
seed = 0
[workload]
name = "digits-mlp"
[search]
sizes = [0.2, 0.4]
acquisition = ["mutual_information"]
[training]
runs = 1
checkpoints = 2
batch_size = 64
hyperparameters = { learning_rate = 0.1 }
budget = { steps = 20 }
"""
ASKED = """
seed = 0
[workload]
name = "digits-mlp"
goal = 0.5
[grid]
batch_size = [64]
subset = ["full", "some"]
[subsets]
some = { search = "search.toml" }
[search]
trials = 2
[search.space]
learning_rate = { low = 0.05, high = 0.5, scale = "log" }
[training]
budget = { steps = 40 }
[report]
portrait_epochs = 0
"""


def files(folder: Path, *, search: str = SEARCH, asked: str = ASKED) -> Path:
    (folder / "search.toml").write_text(search)
    (folder / "asked.toml").write_text(asked)
    return folder / "asked.toml"


def test_the_subset_is_found_once_and_trained_on(tmp_path, capsys):
    asked, out = files(tmp_path), tmp_path / "out"
    command = ["run", str(asked), "--out", str(out), "--processes", "1", "--json"]
    assert execute(command) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["subsets"]["some"]["examples"] == round(0.4 * results["subsets"]["full"]["examples"])
    subset = out / "subsets" / "some" / "subset.parquet"
    before = subset.stat().st_mtime_ns
    assert execute(command) == 0
    assert subset.stat().st_mtime_ns == before
    assert json.loads(capsys.readouterr().out) == results
    # The folder's own file names the subset that was found, so that it can be run without the search's file.
    assert Experiment.from_toml(out / "experiment.toml").subsets == {"some": str(subset.resolve())}
    # A report of the search is there too.
    assert (out / "subsets" / "some" / "report.html").is_file()
    # Another search gives another subset, which the folder refuses.
    files(tmp_path, search=SEARCH.replace("seed = 0", "seed = 1"))
    assert execute(command) == 2
    assert "the file of 'some' has changed since this folder was made" in capsys.readouterr().err


def test_both_forms_name_the_same_search_and_paths_are_relative_to_the_file(tmp_path):
    first = Experiment.from_toml(files(tmp_path))
    second = Experiment.from_toml(
        files(tmp_path, asked=ASKED.replace('{ search = "search.toml" }', '"search.toml"'))
    )
    assert first == second
    assert first.subsets == {"some": str(tmp_path / "search.toml")}
    (spec,) = searches(first).values()
    assert spec.search.sizes == (0.2, 0.4)
    assert not is_found(tmp_path / "out", "some", spec)
    assert with_found(first, tmp_path / "out").subsets == {
        "some": str(folder_of(tmp_path / "out", "some") / "subset.parquet")
    }
    # Where a subset is from is not part of an experiment.
    assert with_found(first, tmp_path / "out").digest() == first.digest()


@pytest.mark.parametrize(
    ("search", "said"),
    [
        (SEARCH.replace("digits-mlp", "mnist-fc"), "searches mnist-fc, and the experiment trains digits-mlp"),
        (
            SEARCH.replace("[training]", 'labels = "hidden"\noracle = "people"\nshow = "a:b"\n[training]'),
            "waits for labels that people give",
        ),
    ],
)
def test_a_search_that_does_not_fit_is_refused_before_anything_is_trained(search, said, tmp_path):
    asked = Experiment.from_toml(files(tmp_path, search=search))
    with pytest.raises(InputErrors, match=said):
        searches(asked)


@pytest.mark.parametrize(
    "value",
    ['{ search = "some.parquet" }', '{ find = "search.toml" }', "{}", "3", '"some.csv"', "{ search = 1 }"],
)
def test_other_forms_are_refused_by_name(value, tmp_path):
    with pytest.raises((InputError, InputErrors), match=r"subsets\.some"):
        Experiment.from_toml(files(tmp_path, asked=ASKED.replace('{ search = "search.toml" }', value)))


def test_a_search_file_that_is_not_there_is_named(tmp_path, capsys):
    asked = files(tmp_path)
    (tmp_path / "search.toml").unlink()
    assert execute(["run", str(asked), "--out", str(tmp_path / "out")]) == 2
    assert "search.toml" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
