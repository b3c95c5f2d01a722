"""Where each class is a yes or no of its own: Bernoulli scores, and what cannot be used is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.special import entr

from headrace import selection
from headrace.errors import InputErrors
from headrace.search.runner import search_subset
from headrace.specs.search import SubsetSearch
from headrace.subsets.file import Subset

from . import pool_workload

SEVERAL: dict[str, Any] = {
    "workload": {"name": "pool_workload:several_pool"},
    "search.sizes": [0.125, 0.25],
}
Spec = Callable[..., SubsetSearch]


def entropies(p: np.ndarray) -> np.ndarray:
    return (entr(p) + entr(1 - p)).sum(-1)


@pytest.mark.parametrize("labels", ["known", "hidden"])
@pytest.mark.parametrize("name", ["entropy", "mutual_information"])
def test_a_round_takes_the_highest_bernoulli_scores(
    spec: Spec, tmp_path: Path, name: str, labels: str
) -> None:
    hidden = {"search.labels": "hidden", "search.oracle": "dataset"} if labels == "hidden" else {}
    search_subset(spec({**SEVERAL, **hidden, "search.acquisition": [name]}), tmp_path, processes=1)
    subset = Subset.load(tmp_path / "subset.parquet")
    inputs = pool_workload.several_pool().train.inputs
    p = []
    for member in subset.provenance.members[0]:
        model = pool_workload.model().eval()
        model.load_state_dict(load_file(tmp_path / "runs" / f"{member}.safetensors"))
        with torch.no_grad():
            p.append(model(inputs).double().sigmoid().numpy())
    score = entropies(np.mean(p, axis=0))
    if name == "mutual_information":
        score = score - entropies(np.stack(p)).mean(0)
    left = np.setdiff1d(np.arange(240), subset.indices[subset.rounds == 0])
    expected = np.sort(selection.top_k(score, 30, candidates=left))
    assert subset.indices[subset.rounds == 1].tolist() == expected.tolist()
    np.testing.assert_allclose(subset.scores[subset.rounds == 1], score[expected], atol=1e-6)


def test_what_needs_one_class_an_example_is_refused(spec: Spec, tmp_path: Path) -> None:
    methods = [
        {"acquisition": "margin"},
        {"acquisition": "entropy", "select": {"name": "class_balanced"}},
        {"select": {"name": "badge"}},
        {"select": {"name": "batch_bald"}},
        {"select": {"name": "k_center"}},
    ]
    with pytest.raises(InputErrors) as caught:
        search_subset(spec({**SEVERAL, "search.methods": methods}), tmp_path, processes=1)
    assert [str(error).partition(":")[0] for error in caught.value.errors] == [
        "margin",
        "entropy+class_balanced",
        "badge",
        "batch_bald",
    ]
    assert not (tmp_path / "runs").exists()


def test_a_comparison_and_features_work(spec: Spec, tmp_path: Path) -> None:
    changes = {**SEVERAL, "search.select": {"name": "k_center"}, "comparison": {"seeds": 2}}
    outcome = search_subset(spec(changes), tmp_path, processes=1)
    assert {m.group for m in outcome.measured} == {"k_center", "random", "full"}
