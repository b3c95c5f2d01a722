"""Example data: rows in order, transforms, and map-style data sets."""

from __future__ import annotations

import pytest
import torch

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
