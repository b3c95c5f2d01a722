"""People search data that Headrace split: every question is of the right row, and every label gets to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from headrace.analysis.subset_search import write
from headrace.errors import InputError
from headrace.specs.search import SubsetSearch
from headrace.store.chosen import read_chosen
from headrace.subsets.file import Subset
from headrace.subsets.restrict import subset_of

from . import rows_workload
from .test_subset_search import run

Spec = Callable[..., SubsetSearch]


@pytest.fixture(params=["row", "key"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def named(kind: str, row: int) -> Any:
    return row if kind == "row" else rows_workload.key(row)


def asked(spec: Spec, kind: str) -> SubsetSearch:
    return spec(
        {
            "workload.name": f"rows_workload:by_{kind}",
            "search": {"sizes": [0.1, 0.2, 0.4], "labels": "hidden", "oracle": "people"},
            "search.show": f"rows_workload:show_{kind}",
            "training.runs": 1,
        }
    )


def answered(tasks: Path, kind: str, path: Path) -> list[int]:
    """Answer every question by the row that is seen; the rows."""
    rows: list[int] = []
    with path.open("w", encoding="utf-8") as file:
        for task in json.loads(tasks.read_text(encoding="utf-8")):
            data = task["data"]
            assert data["index"] == named(kind, data["seen"])
            rows.append(data["seen"])
            label = rows_workload.CLASSES[rows_workload.TRUE[data["seen"]]]
            file.write(json.dumps({"index": data["index"], "label": label}) + "\n")
    return rows


def test_every_label_gets_to_the_row_that_was_seen(spec: Spec, kind: str, tmp_path: Path) -> None:
    search, folder = asked(spec, kind), tmp_path / "s"
    outcome, rows = run(search, folder), []
    while outcome.waiting is not None:
        rows += answered(outcome.waiting.tasks[0], kind, tmp_path / "a.jsonl")
        outcome = run(search, folder, answers=tmp_path / "a.jsonl")
    write(outcome)
    assert len(rows) == len(set(rows)) == 48

    labels = json.loads((folder / "labels.json").read_text())["labels"]
    assert labels == {str(named(kind, row)): int(rows_workload.TRUE[row]) for row in rows}

    subset = Subset.load(folder / "subset.parquet")
    assert subset.ids is not None
    by_name = {named(kind, row): row for row in range(rows_workload.ROWS)}
    places = np.array([by_name[name] for name in subset.ids.tolist()])
    assert subset.labels is not None
    np.testing.assert_array_equal(subset.labels, rows_workload.TRUE[places])
    workload = getattr(rows_workload, f"by_{kind}")()
    chosen, _ = workload.train.fetch(torch.from_numpy(subset.indices.copy()))
    np.testing.assert_array_equal(chosen.numpy(), rows_workload.pictures()[places])

    part = subset_of(workload, str(folder / "subset.parquet"), 0).workload
    assert part.example_ids is not None
    assert part.example_ids.tolist() == subset.ids.tolist()
    table = pl.read_parquet(folder / "chosen" / "margin.parquet")
    assert table["id"].to_list() == workload.example_ids.tolist()
    chosen = read_chosen(folder)
    assert chosen is not None
    shown = [one for group in chosen.galleries.values() for wall in group.walls for one in wall.exhibits]
    assert shown
    for one in shown:
        assert (one.example if one.id is None else one.id) == workload.example_ids[one.example]


def test_a_subset_of_examples_with_other_ids_is_refused(tmp_path: Path) -> None:
    from subsets.test_subset_file import DATA, made

    path = tmp_path / "s.parquet"
    made(ids=np.array([12, 15, 111])).save(path)
    subset = Subset.load(path)
    ids = np.arange(10, 30)
    with pytest.raises(InputError, match=r"the example 11 has the id 111 in this .*; got 21"):
        subset.check(DATA, ids)
    ids[11] = 111
    subset.check(DATA, ids)
    subset.check(DATA)
