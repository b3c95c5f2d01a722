"""What is done alike with arrays of NumPy and of torch: the same numbers, shapes and types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from headrace.histories.arrays import alike, highest, positions, stacked, total, upright

ROWS = np.array([[3.0, -1.0, 2.0], [5.0, 4.0, -7.0]], np.float32)
KINDS: dict[str, Callable[[np.ndarray], Any]] = {"numpy": np.array, "torch": torch.tensor}


TYPES = [("float32", "float64"), ("float64", "float32"), ("int64", "int32", "bool")]


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_reduced_and_rows_turned(kind: str) -> None:
    rows = KINDS[kind](ROWS)
    for found, expected in (
        (highest(rows), ROWS.max(0)),
        (total(rows), ROWS.sum(0)),
        (upright(rows), ROWS.T),
    ):
        assert type(found) is type(rows)
        assert found.tolist() == expected.tolist()
    for dtype in ("int32", "int64"):
        places = positions(rows, dtype)
        assert (places.tolist(), str(places.dtype).removeprefix("torch.")) == ([0, 1], dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "types", [("float32", "float64"), ("float64", "float32"), ("int64", "int32", "bool")]
)
def test_stacked_rows_have_the_type_of_the_first(kind: str, types: tuple[str, ...]) -> None:
    rows = tuple(KINDS[kind](np.array([number, 1], dtype)) for number, dtype in enumerate(types))
    found = stacked(rows)
    assert str(found.dtype).removeprefix("torch.") == types[0]
    assert found.tolist() == [[min(n, 1) if t == "bool" else n, 1] for n, t in enumerate(types)]


def test_tensors_become_arrays_beside_arrays_and_stay_tensors_beside_tensors() -> None:
    tensor = torch.arange(3.0)
    array, nothing = alike(ROWS, tensor, None)
    array[0] = 7.0
    assert (tensor[0].item(), nothing) == (7.0, None)
    assert alike(torch.tensor(ROWS), tensor, None)[0] is tensor
