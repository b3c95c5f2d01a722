"""The subset file: read as it was written, refused where it is damaged or for another data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from headrace.errors import DamagedError, InputError
from headrace.specs.subset_names import check_subset
from headrace.subsets.file import Provenance, Subset
from headrace.subsets.restrict import subset_of
from headrace.subsets.view import Part, checksum
from headrace.training.data import TensorData
from headrace.workloads import Workload

INPUTS = torch.arange(40, dtype=torch.float32).reshape(20, 2)
TARGETS = torch.arange(20) % 2
DATA = TensorData(INPUTS, TARGETS)


def made(kind: str = "known", **changes: object) -> Subset:
    provenance = Provenance(
        workload="made",
        examples=20,
        checksum=checksum(DATA, targets=kind == "known"),
        labels=kind,
        acquisition="entropy",
        members=(("a", "b"),),
    )
    fields = {
        "indices": np.array([2, 5, 11]),
        "weights": np.array([1.0, 2.0, 3.0]),
        "rounds": np.array([0, 1, 1], dtype=np.int32),
        "scores": np.array([np.nan, 0.5, 0.25]),
    }
    return Subset(**(fields | changes), provenance=provenance)  # type: ignore[arg-type]


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    subset = made()
    subset.save(tmp_path / "s.parquet")
    read = Subset.load(tmp_path / "s.parquet")
    for name in ("indices", "weights", "rounds", "scores"):
        np.testing.assert_array_equal(getattr(read, name), getattr(subset, name))
    assert read.labels is None
    assert read.provenance == subset.provenance
    assert pl.read_parquet(tmp_path / "s.parquet")["score"].to_list() == [None, 0.5, 0.25]


def test_labels_that_people_gave_are_kept(tmp_path: Path) -> None:
    made(labels=np.array([1, 0, 1])).save(tmp_path / "s.parquet")
    assert Subset.load(tmp_path / "s.parquet").labels.tolist() == [1, 0, 1]


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    made().save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DamagedError, match="cannot be read"):
        Subset.load(path)


def test_no_flipped_bit_is_taken_for_a_subset(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    subset = made()
    subset.save(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for place, bit in zip(rng.integers(0, len(whole), 300), rng.integers(0, 8, 300), strict=True):
        altered = bytearray(whole)
        altered[place] ^= 1 << bit
        path.write_bytes(altered)
        try:
            found = Subset.load(path)
        except (DamagedError, InputError):
            continue
        # Some bits mean nothing: then everything is as it was.
        np.testing.assert_array_equal(found.indices, subset.indices)
        np.testing.assert_array_equal(found.weights, subset.weights)


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    made().save(path)
    metadata = {"headrace": pl.read_parquet_metadata(path)["headrace"]}
    pl.read_parquet(path).with_columns(pl.col("weight") * 2).write_parquet(path, metadata=metadata)
    with pytest.raises(DamagedError, match="was altered"):
        Subset.load(path)


def test_another_parquet_file_is_no_subset(tmp_path: Path) -> None:
    pl.DataFrame({"index": [1]}).write_parquet(tmp_path / "s.parquet")
    with pytest.raises(InputError, match="this is not a subset file of Headrace"):
        Subset.load(tmp_path / "s.parquet")
    with pytest.raises(InputError, match="the subset file does not exist"):
        Subset.load(tmp_path / "t.parquet")


def test_applied_it_gives_the_chosen_examples_and_weights_of_mean_one() -> None:
    dataset = torch.utils.data.TensorDataset(INPUTS, TARGETS)
    part, weights = made().apply(dataset)
    assert [int(part[i][0][0]) for i in range(3)] == [4, 10, 22]
    assert weights.tolist() == [0.5, 1.0, 1.5]
    assert len(torch.utils.data.DataLoader(part, batch_size=3)) == 1


def test_applied_it_gives_the_labels_that_people_gave() -> None:
    dataset = torch.utils.data.TensorDataset(INPUTS, TARGETS)
    part, _ = made("hidden", labels=np.array([7, 8, 9])).apply(dataset)
    inputs, labels = next(iter(torch.utils.data.DataLoader(part, batch_size=3, num_workers=1)))
    assert labels.tolist() == [7, 8, 9]
    assert inputs[:, 0].tolist() == [4, 10, 22]


@pytest.mark.parametrize(
    "other",
    [
        TensorData(INPUTS[:-1], TARGETS[:-1]),
        TensorData(INPUTS.flip(0), TARGETS.flip(0)),
        TensorData(INPUTS.double(), TARGETS),
        TensorData(INPUTS.index_add(0, torch.tensor([19]), torch.ones(1, 2)), TARGETS),
        TensorData(INPUTS, TARGETS.index_fill(0, torch.tensor([19]), 0)),
    ],
    ids=["shorter", "reordered", "another type", "another input", "another label"],
)
def test_another_data_set_is_refused(other: TensorData) -> None:
    with pytest.raises(InputError, match="this subset was chosen from"):
        made().check(other)


def test_hidden_labels_are_no_part_of_the_data_set() -> None:
    subset = made("hidden")
    subset.check(TensorData(INPUTS, 1 - TARGETS))
    with pytest.raises(InputError, match="another data set"):
        subset.check(TensorData(INPUTS + 1, TARGETS))


def test_a_part_is_its_examples_with_its_labels() -> None:
    part = Part(DATA, torch.tensor([7, 3]), torch.tensor([5, 6]))
    inputs, targets = part.fetch(torch.tensor([1, 0, 1]))
    assert inputs[:, 0].tolist() == [6, 14, 6]
    assert targets.tolist() == [6, 5, 6]


def workload() -> Workload:
    return Workload(
        name="made",
        train=DATA,
        validation=DATA,
        build_model=lambda: torch.nn.Linear(2, 2),
        goal=0.1,
        clean_targets=TARGETS * 10,
    )


def test_a_workload_restricted_by_a_file(tmp_path: Path) -> None:
    made().save(tmp_path / "s.parquet")
    found = subset_of(workload(), str(tmp_path / "s.parquet"), seed=0)
    assert found.workload.train.fetch(torch.arange(3))[0][:, 0].tolist() == [4, 10, 22]
    assert found.workload.clean_targets.tolist() == [0, 10, 10]
    assert found.weights.tolist() == [0.5, 1.0, 1.5]


def test_a_random_share_is_nested_and_belongs_to_the_seed() -> None:
    def chosen(share: float, seed: int) -> set[int]:
        found = subset_of(workload(), f"random:{share}", seed)
        assert found.weights is None
        return set(
            found.workload.train.fetch(torch.arange(len(found.workload.train)))[0][:, 0].int().tolist()
        )

    assert len(chosen(0.25, 0)) == 5
    assert chosen(0.25, 0) < chosen(0.5, 0)
    assert chosen(0.5, 0) != chosen(0.5, 1)
    assert subset_of(workload(), "full", 0).workload.train is DATA


@pytest.mark.parametrize("spec", ["half", "random:", "random:0", "random:1.5", "random:nan"])
def test_other_names_of_subsets_are_refused(spec: str) -> None:
    with pytest.raises(InputError, match="unknown subset"):
        check_subset(spec)
