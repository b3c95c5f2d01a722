"""The folder of a search: what lies there is checked, can be told, and is not written over by other work."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from headrace.analysis.subset_search import write
from headrace.errors import DamagedError, InputError
from headrace.sealed_tables import read_table, write_table
from headrace.search.progress import SearchState, progress_of
from headrace.specs.experiment import Experiment
from headrace.store.experiments import create

from .test_subset_search import Spec, files, run


def test_an_altered_file_of_the_folder_is_made_again_or_refused(spec: Spec, tmp_path: Path) -> None:
    asked = spec({"search.sizes": [0.25, 0.5]})
    write(run(asked, tmp_path))
    before = files(tmp_path)
    record = next(tmp_path.glob("runs/*/run.json"))
    record.write_bytes(record.read_bytes()[:20])
    write(run(asked, tmp_path))
    assert files(tmp_path) == before
    scores = next(tmp_path.glob("scores/*/from-0.parquet"))
    flipped = bytearray(scores.read_bytes())
    flipped[len(flipped) // 2] ^= 16
    scores.write_bytes(flipped)
    with pytest.raises(DamagedError, match="the scores"):
        run(asked, tmp_path)
    assert files(tmp_path) == before
    scores.unlink()
    write(run(asked, tmp_path))
    assert files(tmp_path) == before
    scores.unlink()
    # A run that is a member: those of the comparison keep none.
    weights = next(tmp_path.glob("runs/*/step-*.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-4] + bytes(byte ^ 1 for byte in whole[-4:]))
    with pytest.raises(DamagedError, match="the weights"):
        run(asked, tmp_path)
    weights.unlink()
    write(run(asked, tmp_path))
    assert files(tmp_path) == before


def test_other_values_or_times_in_a_whole_table_are_found_out(tmp_path: Path) -> None:
    path, values = tmp_path / "t.parquet", {"score": np.array([0.1, np.nan]), "predicted": np.array([1, 0])}
    write_table(path, values, {"seconds": "1.5"})
    frame, metadata = read_table(path, "the scores")
    assert metadata == {"seconds": "1.5"}
    np.testing.assert_array_equal(frame["score"].to_numpy(), values["score"])
    stored = pl.read_parquet_metadata(path)
    kept = {key: stored[key] for key in ("seconds", "sha256")}
    for other, told in (
        (frame.with_columns(pl.col("predicted") + 1), kept),
        (frame.reverse(), kept),
        (frame, {**kept, "seconds": "2.5"}),
        (frame, {"seconds": "1.5"}),
    ):
        other.write_parquet(path, metadata=told)
        with pytest.raises(DamagedError, match="the scores are truncated or were altered"):
            read_table(path, "the scores")


def test_a_folder_of_something_else_is_not_written_over(spec: Spec, tmp_path: Path) -> None:
    run(spec({"search.sizes": [0.25, 0.5]}), tmp_path)
    with pytest.raises(InputError, match="a search on another workload; got 'pool_workload:pool'"):
        run(spec({"workload.name": "pool_workload:mislabelled_pool"}), tmp_path)
    experiment = Experiment.from_dict(
        {
            "workload": {"name": "digits-mlp"},
            "grid": {"batch_size": [8]},
            "search": {"trials": 1, "space": {"learning_rate": 0.1}},
            "training": {"budget": {"steps": 1}},
        }
    )
    with pytest.raises(InputError, match="the folder of a subset search"):
        create(tmp_path, experiment)
    create(tmp_path / "experiment", experiment)
    with pytest.raises(InputError, match="the folder of an experiment"):
        run(spec(), tmp_path / "experiment")


def test_how_far_a_search_is_can_be_told_at_any_time(spec: Spec, tmp_path: Path) -> None:
    asked = spec({"search.sizes": [0.25, 0.5]})
    seen: list[SearchState] = []
    outcome = run(asked, tmp_path, progress=lambda *_: seen.append(progress_of(tmp_path)))
    assert [(state.subsets, state.of) for state in seen][-1] == (1, 2)
    assert seen[-1].process == str(os.getpid())
    assert not seen[-1].finished
    write(outcome)
    state = progress_of(tmp_path)
    assert (state.subsets, state.runs, state.process, state.finished) == (2, 2, None, True)
