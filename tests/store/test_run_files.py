"""`run.json` of a search: whole and its own, or the run is done again; weights are those that were kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headrace.analysis.subset_search import write
from headrace.errors import DamagedError
from headrace.specs.search import SubsetSearch
from headrace.store.runs import RunRecord, read_run, write_run
from search.test_subset_search import files, run

Spec = Callable[..., SubsetSearch]
RECORD = RunRecord(
    key="k", examples_trained=160, metrics={"test/error": 0.25}, seconds=1.5, weights={"20": "a"}
)


def test_no_altered_byte_of_a_record_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "k"
    write_run(folder, RECORD)
    assert read_run(folder) == RECORD
    path, rng = folder / "run.json", np.random.default_rng(0)
    whole = path.read_bytes()
    for place, bit in zip(rng.integers(0, len(whole), 300), rng.integers(0, 8, 300), strict=True):
        altered = bytearray(whole)
        altered[place] ^= 1 << int(bit)
        path.write_bytes(altered)
        assert read_run(folder) is None


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", "3", '{"format": 1}', "[" * 10**5, '{"sha256": 1}']
)
def test_hostile_contents_are_no_records(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    assert read_run(tmp_path) is None
    assert read_run(tmp_path / "none") is None


def test_a_record_of_before_is_read_and_one_of_another_run_is_not(tmp_path: Path) -> None:
    older = {"format": 1, "examples_trained": 160, "metrics": {}, "seconds": 1.5, "sha256": {"20": "a"}}
    (tmp_path / "run.json").write_text(json.dumps(older, indent=1))
    found = read_run(tmp_path)
    assert found is not None
    assert (found.weights, found.examples_trained) == ({"20": "a"}, 160)
    write_run(tmp_path / "k", RECORD)
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "k" / "run.json", tmp_path / "other")
    assert read_run(tmp_path / "other") is None


def test_a_search_does_again_what_an_altered_record_says(spec: Spec, tmp_path: Path) -> None:
    asked = spec({"search.sizes": [0.25, 0.5], "training.budget": {"steps": 6}})
    write(run(asked, tmp_path))
    before = files(tmp_path)
    for record in tmp_path.glob("runs/*/run.json"):
        record.write_bytes(b"{}")
    write(run(asked, tmp_path))
    assert files(tmp_path) == before


def test_a_warm_start_from_other_weights_is_refused(spec: Spec, tmp_path: Path) -> None:
    changes = {"search.start": "warm", "training.budget": {"steps": 6}, "training.runs": 1}
    run(spec(changes | {"search.sizes": [0.125, 0.25]}), tmp_path)
    for weights in tmp_path.glob("runs/*/step-*.safetensors"):
        other = tmp_path / "other" / weights.parent.name
        other.mkdir(parents=True, exist_ok=True)
        content = bytearray(weights.read_bytes())
        content[-2] ^= 1
        weights.write_bytes(content)
    with pytest.raises(DamagedError, match="the weights are not those that were kept"):
        run(spec(changes | {"search.sizes": [0.125, 0.25, 0.5]}), tmp_path)
