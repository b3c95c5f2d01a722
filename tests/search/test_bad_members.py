"""Checkpoints, models and losses that cannot be used: one clear error each, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from headrace.errors import HeadraceError
from headrace.search.runner import search_subset
from headrace.specs.search import SubsetSearch

Spec = Callable[..., SubsetSearch]
GOOD = {"layer.weight": torch.zeros(3, 6), "layer.bias": torch.zeros(3)}


def asked(spec: Spec, build: str, *paths: Path) -> SubsetSearch:
    members = {"checkpoints": [str(path) for path in paths], "build": f"pool_workload:{build}"}
    return spec(
        {"members": members, "training": None, "search.sizes": [0.25], "search.acquisition": ["entropy"]}
    )


@pytest.mark.parametrize(
    ("build", "changes", "says"),
    [
        (
            "moody",
            {"layer.weight": torch.zeros(3, 5)},
            r"does not fit the model that was built: layer.weight has the shape \(3, 5\) and the model's has",
        ),
        (
            "moody",
            {"layer.bias": torch.full((3,), 6.0)},
            r"members must agree on \[batch, classes\]; .* gives \(240, 3\); got \(240, 6\)",
        ),
        ("not_a_number", {}, r"example 0: a probability is NaN"),
        ("no_module", {}, "build must return a torch module; got 'int'"),
        (
            "raising",
            {},
            r"making an untrained model .* raised ValueError: no weights today \(.*pool_workload",
        ),
    ],
)
def test_members_that_cannot_vote(
    spec: Spec, tmp_path: Path, build: str, changes: dict[str, Any], says: str
) -> None:
    paths = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_file(GOOD, paths[0])
    save_file(GOOD | changes, paths[1])
    with pytest.raises(HeadraceError, match=says):
        search_subset(asked(spec, build, *paths), tmp_path / "run", processes=1)
    assert not (tmp_path / "run" / "subset.parquet").exists()


def test_a_checkpoint_that_is_cut_off(spec: Spec, tmp_path: Path) -> None:
    save_file(GOOD, tmp_path / "a.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(content[:-8])
    with pytest.raises(HeadraceError, match="the checkpoint cannot be read"):
        search_subset(asked(spec, "moody", tmp_path / "a.safetensors"), tmp_path / "run", processes=1)


def test_a_search_goes_on_where_members_were_mended(spec: Spec, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file(GOOD | {"layer.weight": torch.zeros(3, 5)}, path)
    with pytest.raises(HeadraceError, match="does not fit"):
        search_subset(asked(spec, "moody", path), tmp_path / "run", processes=1)
    save_file(GOOD, path)
    assert search_subset(asked(spec, "moody", path), tmp_path / "run", processes=1).subset is not None


def test_what_the_users_loss_raises_is_told_with_its_place(spec: Spec, tmp_path: Path) -> None:
    changes = {"workload": {"name": "pool_workload:untrainable_pool"}}
    says = r"an untrained model .*raised ArithmeticError: no loss today \(.*pool_workload.py, line \d+\)"
    with pytest.raises(HeadraceError, match=says):
        search_subset(spec(changes), tmp_path, processes=1)
