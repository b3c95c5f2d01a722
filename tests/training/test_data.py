"""Example data: rows in order, transforms, and map-style data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from headrace.errors import InputError
from headrace.training.data import MapData, TensorData

indices = torch.tensor([3, 0, 3])


def test_rows_come_in_the_order_asked_for() -> None:
    data = TensorData(torch.arange(8).reshape(4, 2), torch.arange(4) * 10)
    inputs, targets = data.fetch(indices)
    assert len(data) == 4
    assert inputs.tolist() == [[6, 7], [0, 1], [6, 7]]
    assert targets.tolist() == [30, 0, 30]


def test_the_transform_sees_the_fetched_batch_only() -> None:
    pixels = torch.tensor([[0], [255], [51], [102]], dtype=torch.uint8)
    data = TensorData(pixels, torch.zeros(4), transform=lambda batch: batch.float() / 255).to("cpu")
    assert data.inputs.dtype == torch.uint8
    assert data.fetch(indices)[0].flatten().tolist() == pytest.approx([0.4, 0.0, 0.4])


def test_map_data_collates_items() -> None:
    data = MapData([(torch.tensor([float(i), 1.0]), i % 2) for i in range(4)]).to("cpu")
    inputs, targets = data.fetch(indices)
    assert len(data) == 4
    assert inputs.tolist() == [[3.0, 1.0], [0.0, 1.0], [3.0, 1.0]]
    assert targets.tolist() == [1, 0, 1]


def test_data_that_cannot_be_used() -> None:
    with pytest.raises(InputError, match="one row per example each; got '2 inputs and 3 targets'"):
        TensorData(torch.zeros(2), torch.zeros(3))
    with pytest.raises(InputError, match="at least one example"):
        TensorData(torch.zeros(0), torch.zeros(0))
    with pytest.raises(InputError, match="at least one example"):
        MapData([])


class Items:
    """Items by a function, and a length that may lie."""

    def __init__(self, make: Callable[[int], Any], length: int = 6) -> None:
        self.make, self.length = make, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        return self.make(index)


def test_dict_items_by_their_keys() -> None:
    items = Items(lambda i: {"pixel_values": np.full(2, i, dtype="f4"), "label": i % 3, "id": str(i)})
    inputs, targets = MapData(items, keys=("pixel_values", "label")).to("cpu").fetch(indices)
    assert inputs.tolist() == [[3.0, 3.0], [0.0, 0.0], [3.0, 3.0]]
    assert targets.tolist() == [0, 0, 0]


def test_places_of_longer_tuples() -> None:
    inputs, targets = MapData(Items(lambda i: (f"name {i}", i, float(i))), keys=(2, 1)).fetch(indices)
    assert (inputs.tolist(), targets.tolist()) == ([3.0, 0.0, 3.0], [3, 0, 3])


def raising(index: int) -> Any:
    if index == 3:
        raise OSError("truncated")
    return torch.zeros(2), 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda i: {"image": 1, "label": i}, r"item 3: items must be pairs.*a dict with image, label.*keys="),
        (lambda i: (torch.zeros(2), i, i), r"pairs.*\(Tensor \(2,\), int, int\)"),
        (lambda _: torch.zeros(2), r"pairs.*Tensor \(2,\)"),
        (lambda i: (Image.new("L", (4, 4)), i), r"item 3 to 3: items cannot be collated.*Image"),
        (lambda i: (torch.zeros(2 + i), i), r"collated.*Tensor \(2,\).*Tensor \(5,\).*one shape"),
        (
            lambda i: (torch.zeros(2), f"class {i}"),
            r"two tensors.*\[Tensor|two tensors.*Tensor \(3, 2\), \(str, str, str\)",
        ),
        (
            raising,
            r"item 3: the data set, whose length is 6, raised OSError: truncated \(.*test_data.py, line",
        ),
        (lambda i: [(torch.zeros(1), 0)][i], "item 3: .*length is 6, raised IndexError"),
    ],
)
def test_items_that_are_no_pairs_of_tensors_are_named(make: Callable[[int], Any], words: str) -> None:
    with pytest.raises(InputError, match=f"(?s)MapData, .*{words}"):
        MapData(Items(make)).fetch(indices)


def test_keys_that_items_lack() -> None:
    data = MapData(Items(lambda i: {"image": torch.zeros(1), "fine_label": i}), keys=("image", "label"))
    with pytest.raises(InputError, match=r"KeyError.*Each item must have 'image' and 'label'"):
        data.fetch(indices)


def test_an_iterable_data_set_has_no_items_by_index() -> None:
    class Endless(torch.utils.data.IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return iter([(torch.zeros(1), 0)])

    with pytest.raises(InputError, match="a length and items by index; got 'Endless'"):
        MapData(Endless())  # pyright: ignore[reportArgumentType]
