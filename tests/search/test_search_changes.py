"""A search on changed code or data, and one whose examples are augmented at random."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headrace.analysis.subset_search import conclude
from headrace.errors import InputError
from headrace.store.origins import FILE, read_origins
from headrace.subsets.file import Subset
from headrace.training.data import MapData, TensorData

from . import pool_workload
from .test_subset_search import Spec, run

SMALL: dict[str, Any] = {"search.sizes": [0.25, 0.5], "comparison": {"seeds": 1}}

USERS = """
from dataclasses import replace
import pool_workload
import settings_of_mine

def pool():
    plain = pool_workload.pool()
    return replace(plain, build_model=lambda: settings_of_mine.changed(plain.build_model()))
"""
PLAIN = "def changed(model):\n    return model\n"
OTHER = "def changed(model):\n    model[0].weight.data.mul_(1.5)\n    return model\n"


def write(folder: Path, text: str) -> None:
    (folder / "users_pool.py").write_text(USERS)
    (folder / "settings_of_mine.py").write_text(text)
    for name in ("users_pool", "settings_of_mine"):
        sys.modules.pop(name, None)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: Spec) -> Any:
    monkeypatch.syspath_prepend(str(tmp_path))
    write(tmp_path, PLAIN)
    return spec(SMALL | {"workload.name": "users_pool:pool"})


def test_changed_code_is_refused_or_accepted_and_said(users: Any, tmp_path: Path) -> None:
    folder = tmp_path / "search"
    first = run(users, folder)
    runs = {path.parent.name for path in folder.glob("runs/*/run.json")}
    before = files(folder)
    write(tmp_path, OTHER)
    with pytest.raises(InputError) as caught:
        run(users, folder)
    assert "the source of settings_of_mine.py" in str(caught.value)
    assert "the initial values of the model's 0.weight" in str(caught.value)
    assert "--accept-change" in str(caught.value)
    assert files(folder) == before
    # What there is counts on; what is asked for besides is made with the code of now.
    more = users.model_copy(update={"comparison": users.comparison.model_copy(update={"seeds": 2})})
    outcome = run(more, folder, accept_change="better weights")
    assert {path.parent.name for path in folder.glob("runs/*/run.json")} > runs
    assert outcome.trained > first.trained
    [said] = [text for text in conclude(outcome)["conclusions"] if "better weights" in text]
    assert said.startswith(f"{len(runs)} of the runs used here were trained before the workload was changed")
    assert not [text for text in conclude(first)["conclusions"] if "changed" in text]


def test_runs_on_another_workload_are_not_taken_over(users: Any, tmp_path: Path) -> None:
    """The same file of a search, the same data: only the code tells them apart."""
    run(users, tmp_path / "theirs")
    theirs = {path.name for path in (tmp_path / "theirs/runs").iterdir()}
    write(tmp_path, OTHER)
    run(users, tmp_path / "mine")
    mine = {path.name for path in (tmp_path / "mine/runs").iterdir()}
    assert not theirs & mine


def test_a_folder_of_an_older_version_is_continued_with_a_word(
    users: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace.search import memo as work

    folder = tmp_path / "search"
    plain = work.Works._common
    with monkeypatch.context() as older:
        older.setattr(work.Works, "_common", lambda self, digest: plain(self, None))
        first = run(users, folder)
    (folder / FILE).unlink()
    before = files(folder)
    outcome = run(users, folder)
    assert {name for name in files(folder) if name.startswith("runs")} == {
        name for name in before if name.startswith("runs")
    }
    assert outcome.measured == first.measured
    assert [text for text in conclude(outcome)["conclusions"] if "cannot be checked" in text]
    assert read_origins(folder)[""].digests[-1] is None


def drawn(inputs: torch.Tensor) -> torch.Tensor:
    return inputs + 0.3 * torch.randn_like(inputs) + 0.1 * float(np.random.randn())


class Fetched:
    def __init__(self) -> None:
        self.plain = pool_workload.pool().train

    def __len__(self) -> int:
        return len(self.plain)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, targets = self.plain.fetch(torch.tensor([index]))
        return drawn(inputs[0]), targets[0]


def by_transform() -> Any:
    return replace(pool_workload.pool(), train_transform=drawn)


def by_tensors() -> Any:
    plain = pool_workload.pool()
    assert isinstance(plain.train, TensorData)
    return replace(plain, train=TensorData(plain.train.inputs, plain.train.targets, drawn))


def by_items() -> Any:
    return replace(pool_workload.pool(), train=MapData(Fetched()))


@pytest.mark.parametrize("augmented", [by_transform, by_tensors, by_items])
def test_an_augmented_search_is_not_repeated_and_its_subset_fits(
    spec: Spec, tmp_path: Path, augmented: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_workload, "augmented", augmented, raising=False)
    asked = spec(SMALL | {"workload.name": "search.pool_workload:augmented"})
    first = run(asked, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("runs/*/*")}
    again = run(asked, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("runs/*/*")} == before
    assert again.measured == first.measured
    assert first.subset is not None
    subset = Subset.load(first.subset)
    subset.check(augmented().train)
    with pytest.raises(InputError, match="another data set"):
        subset.check(pool_workload.other_pool().train)
    warned = [text for text in conclude(first)["conclusions"] if "differ from fetch to fetch" in text]
    assert bool(warned) == (augmented is not by_transform)
