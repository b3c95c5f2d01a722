"""What users call their examples stays theirs through every split that Headrace draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headrace.errors import InputError
from headrace.ids import checked
from headrace.subsets.restrict import subset_of
from headrace.training.data import MapData, TensorData
from headrace.workloads import Workload, from_folder, from_tensors
from headrace.workloads.models import logistic
from headrace.workloads.showing import shower


def rows_in_pictures(examples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures [1 4 4] whose first pixel is their own row, and classes."""
    pictures = torch.zeros(examples, 1, 4, 4)
    pictures[:, 0, 0, 0] = torch.arange(examples)
    return pictures, torch.arange(examples) % 3


@settings(max_examples=15, deadline=None)
@given(st.integers(30, 90), st.sampled_from(["rows", "integers", "texts"]))
def test_every_training_example_keeps_the_name_of_its_row(examples: int, kind: str) -> None:
    inputs, targets = rows_in_pictures(examples)
    ids = {
        "rows": None,
        "integers": [7 * row + 3 for row in range(examples)],
        "texts": [f"p/{row}" for row in range(examples)],
    }[kind]
    workload = from_tensors(inputs, targets, model=logistic, goal=0.1, ids=ids)
    rows = workload.train.fetch(torch.arange(len(workload.train)))[0][:, 0, 0, 0].long().tolist()
    assert workload.example_ids is not None
    assert workload.example_ids.tolist() == [row if ids is None else ids[row] for row in rows]
    assert rows != list(range(len(rows)))


def test_show_is_given_the_id_and_parts_keep_it() -> None:
    inputs, targets = rows_in_pictures(60)
    asked: list[object] = []
    workload = from_tensors(
        inputs, targets, model=logistic, goal=0.1, ids=[f"k{row}" for row in range(60)], show=asked.append
    )
    part = subset_of(workload, "random:0.25", 3).workload
    rows = part.train.fetch(torch.arange(len(part.train)))[0][:, 0, 0, 0].long().tolist()
    for index in range(len(rows)):
        shower(part)(index)
    assert asked == [f"k{row}" for row in rows]


def test_a_part_of_a_data_set_without_ids_is_called_by_the_indices_of_the_whole() -> None:
    inputs, targets = rows_in_pictures(40)
    data = TensorData(inputs, targets)
    whole = Workload(
        name="whole", train=data, validation=data, build_model=lambda: torch.nn.Linear(16, 3), goal=0.1
    )
    part = subset_of(whole, "random:0.5", 0).workload
    rows = part.train.fetch(torch.arange(len(part.train)))[0][:, 0, 0, 0].long().tolist()
    assert whole.example_ids is None
    assert part.example_ids is not None
    assert part.example_ids.tolist() == rows


def test_pictures_are_called_by_their_paths(tmp_path: Path) -> None:
    for place, (name, shade) in enumerate((c, s) for c in ("cat", "dog") for s in range(12)):
        path = tmp_path / "pets" / name / f"{shade:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), place).save(path)
    workload = from_folder(tmp_path / "pets", model=logistic, goal=0.1, mode="L")
    assert isinstance(workload.train, TensorData)
    shades = workload.train.inputs[:, 0, 0, 0].tolist()
    expected = [f"{'cat' if shade < 12 else 'dog'}/{shade % 12:02d}.png" for shade in shades]
    assert workload.example_ids is not None
    assert workload.example_ids.tolist() == expected
    called = from_folder(tmp_path / "pets", model=logistic, goal=0.1, mode="L", ids=lambda path: f"x-{path}")
    assert called.example_ids is not None
    assert called.example_ids[0] == f"x-{expected[0]}"


def test_pictures_of_given_splits_are_called_from_the_folder_that_was_given(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for number in range(3):
            path = tmp_path / split / "abc"[number] / f"{number}.png"
            path.parent.mkdir(parents=True)
            Image.new("L", (4, 4), number).save(path)
    workload = from_folder(tmp_path, model=logistic, goal=0.1, mode="L")
    assert workload.example_ids is not None
    assert workload.example_ids.tolist() == ["train/a/0.png", "train/b/1.png", "train/c/2.png"]


@pytest.mark.parametrize(
    ("ids", "what"),
    [
        ([1, 2], "one id per example, so 3; got '2 ids'"),
        ([1, 2, 1], "two examples must not have the same id, but 0 and 2 have; got 1"),
        (["a", "b", "b"], "same id, but 1 and 2 have; got 'b'"),
        ([1, "2", 3], "all of one kind; got 'int, str'"),
        ([1.0, 2.0, 3.0], "all of one kind; got 'float'"),
        ([True, False, 2], "all of one kind; got 'bool, int'"),
        ([None, 1, 2], "all of one kind; got 'NoneType, int'"),
        (["a", "", "b"], r"ids\[1\]: an id must not be empty"),
        ([0, 2**53 + 1, 1], "at most 2 to the power of 53"),
        (["a", "\udcff", "b"], "that UTF-8 can hold"),
        ("abc", "must be a list with one id per example; got 'str'"),
        (7, "must be a list with one id per example; got 'int'"),
    ],
)
def test_ids_that_cannot_name_examples_are_refused(ids: object, what: str) -> None:
    with pytest.raises(InputError, match=what):
        checked(ids, 3, where="TensorData")


@pytest.mark.parametrize(
    "ids",
    [[5, 3, 4], (5, 3, 4), np.array([5, 3, 4], dtype=np.int16), torch.tensor([5, 3, 4]), {5: 0, 3: 0, 4: 0}],
    ids=["list", "tuple", "array", "tensor", "keys"],
)
def test_ids_of_any_plain_container_are_taken(ids: object) -> None:
    data = TensorData(torch.zeros(3, 2), torch.zeros(3), ids=ids)
    for moved in (data, data.to("cpu"), MapData([(0, 0)] * 3, ids=ids).to("cpu")):
        assert moved.ids is not None
        assert moved.ids.tolist() == [5, 3, 4]


def test_ids_given_twice_must_agree() -> None:
    data = TensorData(torch.zeros(3, 2), torch.zeros(3), ids=[5, 3, 4])

    def made(ids: object) -> Workload:
        return Workload(
            name="w", train=data, validation=data, build_model=lambda: torch.nn.Linear(2, 2), goal=0, ids=ids
        )

    assert made([5, 3, 4]).example_ids is not None
    with pytest.raises(InputError, match="the ids differ from those of train"):
        made([5, 4, 3])
