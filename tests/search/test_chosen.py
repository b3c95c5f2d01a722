"""What a search keeps of what it chose, and what it may not look at for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from headrace.analysis.subset_search import conclude
from headrace.search.runner import search_subset
from headrace.specs.search import SubsetSearch
from headrace.store.chosen import read_chosen, read_table
from headrace.subsets.file import Subset

Spec = Callable[..., SubsetSearch]


def test_the_record_holds_what_the_subset_files_hold(spec: Spec, tmp_path: Path) -> None:
    import pool_workload

    asked = spec({"comparison": {"seeds": 2}, "workload.name": "pool_workload:mislabelled_pool"})
    outcome = search_subset(asked, tmp_path, processes=1)
    chosen, train = outcome.chosen, pool_workload.mislabelled_pool().train
    assert chosen is not None
    assert chosen == read_chosen(tmp_path)
    assert (chosen.whole, chosen.wrong) == (tuple(np.bincount(train.targets).tolist()), 24)
    assert {(t.seed, t.group) for t in chosen.taken} == {
        (seed, group) for seed in (0, 1) for group in ("margin", "random")
    }
    for taken in chosen.taken:
        if taken.group == "random":
            assert taken.different == taken.size
            continue
        path = tmp_path / "subsets" / f"seed-{taken.seed}" / f"{taken.group}-{taken.size}.parquet"
        indices = Subset.load(path).indices
        labels = train.targets[torch.tensor(indices)]
        assert taken.classes == tuple(np.bincount(labels, minlength=3).tolist())
        assert taken.wrong == int((labels != pool_workload.TRUE[torch.tensor(indices)]).sum())
    assert len(conclude(outcome)["chosen"]) == 6


def test_the_examples_shown_are_of_the_first_seeds_last_round(spec: Spec, tmp_path: Path) -> None:
    import pool_workload

    chosen = search_subset(spec({"search.sizes": [0.25, 0.5]}), tmp_path, processes=1).chosen
    assert chosen is not None
    subset, table = Subset.load(tmp_path / "subset.parquet"), read_table(tmp_path, "margin")
    assert table is not None
    assert np.array_equal(np.flatnonzero(table["times"]), subset.indices)
    last = set(subset.indices[subset.rounds == 1].tolist())
    walls = {wall.name: wall.exhibits for wall in chosen.galleries["margin"].walls}
    assert set(walls) == {"wanted", "typical", "left"}
    scores = dict(zip(subset.indices.tolist(), subset.scores.tolist(), strict=True))
    assert [one.score for one in walls["wanted"]] == sorted((scores[i] for i in last), reverse=True)[:12]
    assert {one.example for one in walls["typical"]} <= last
    assert not {one.example for one in walls["left"]} & set(subset.indices.tolist())
    names = pool_workload.pool().classes
    for one in walls["wanted"] + walls["left"]:
        assert one.label == names[one.example % 3]
        assert one.predicted == names[table["predicted"][one.example]]
        assert one.clean is None
        assert one.text == f"pool {one.example}"


def test_it_is_made_again_only_where_something_has_changed(spec: Spec, tmp_path: Path) -> None:
    search_subset(spec(), tmp_path, processes=1)
    path = tmp_path / "chosen" / "chosen.json"
    first, content = path.stat().st_mtime_ns, path.read_bytes()
    search_subset(spec(), tmp_path, processes=1)
    assert path.stat().st_mtime_ns == first
    search_subset(spec({"search.acquisition": ["entropy"]}), tmp_path, processes=1)
    assert path.read_bytes() != content
    search_subset(spec(), tmp_path, processes=1)
    assert path.read_bytes() == content


def test_hidden_labels_stay_hidden(spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels of examples that were not bought may be anything: the record stays the same."""
    import pool_workload

    hidden = {"search.labels": "hidden", "search.oracle": "dataset", "comparison": {"seeds": 1}}
    asked = spec({**hidden, "comparison": None})
    first = search_subset(asked, tmp_path / "true", processes=1).chosen
    assert first is not None
    assert (first.whole, first.wrong) == (None, None)
    bought = Subset.load(tmp_path / "true" / "subset.parquet").indices
    lies = torch.full((240,), 2)
    lies[torch.tensor(bought)] = pool_workload.TRUE[torch.tensor(bought)]
    monkeypatch.setattr(pool_workload, "TARGETS", lies)
    assert search_subset(asked, tmp_path / "lies", processes=1).chosen == first
    by_label = {one.example: one.label for wall in first.galleries["margin"].walls for one in wall.exhibits}
    assert all(
        (label is not None) == (example in set(bought.tolist())) for example, label in by_label.items()
    )


def test_a_strategy_without_scores_has_examples_too(spec: Spec, tmp_path: Path) -> None:
    changes = {"search.methods": [{"select": {"name": "k_center"}}], "search.sizes": [0.25, 0.5]}
    chosen = search_subset(spec(changes), tmp_path, processes=1).chosen
    assert chosen is not None
    (wall,) = chosen.galleries["k_center"].walls
    assert wall.name == "typical"
    assert all(one.score is None for one in wall.exhibits)
