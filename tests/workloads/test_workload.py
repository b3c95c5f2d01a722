from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
import torch

from headrace import Workload
from headrace.errors import InputError
from headrace.training.data import TensorData

DATA = TensorData(torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64))


def workload(**changes: Any) -> Workload:
    fields: dict[str, Any] = {
        "name": "mine",
        "train": DATA,
        "validation": DATA,
        "build_model": lambda: torch.nn.Linear(2, 2),
        "goal": 0.1,
    }
    return Workload(**{**fields, **changes})


def test_defaults_are_those_of_classification() -> None:
    made = workload()
    outputs = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    targets = torch.tensor([0, 0])
    assert made.metric(outputs, targets).tolist() == [0.0, 1.0]
    assert made.loss(outputs, targets).tolist() == pytest.approx([0.126928, 2.126928], abs=1e-6)
    assert made.metric_name == "error"
    assert made.test is None


def test_a_workload_is_frozen_and_its_copies_are_checked() -> None:
    with pytest.raises(FrozenInstanceError):
        workload().goal = 0.2  # pyright: ignore[reportAttributeAccessIssue]
    assert replace(workload(), goal=0.2).goal == 0.2
    with pytest.raises(InputError, match="goal must be a finite number"):
        replace(workload(), goal=float("nan"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "Workload: name must be a text that is not empty; got ''"),
        ({"metric_name": "top 5"}, "metric_name must be one word"),
        ({"metric_name": "loss"}, "metric_name is the name under which the loss is recorded"),
        ({"goal": "low"}, "goal must be a finite number; got 'low'"),
        ({"goal": True}, "goal must be a finite number"),
        ({"goal": float("inf")}, "goal must be a finite number"),
        ({"build_model": torch.tensor(1)}, "build_model must be a function; got 'Tensor'"),
        ({"loss": None}, "loss must be a function; got None"),
        ({"train": [1, 2]}, "train is not ExampleData: it has no fetch, to; got 'list'. Wrap tensors in"),
        ({"validation": None}, "validation is not ExampleData"),
        ({"test": 3}, "test is not ExampleData: it has no __len__, fetch, to; got 3"),
        ({"clean_targets": torch.zeros(3)}, "clean_targets must have one target for each of 4 examples"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        workload(**changes)
    assert message in str(caught.value)


def test_an_empty_split_is_refused() -> None:
    class Empty:
        def __len__(self) -> int:
            return 0

        def fetch(self, indices: torch.Tensor) -> Any:
            raise AssertionError

        def to(self, device: Any) -> Any:
            return self

    with pytest.raises(InputError, match="validation has no examples"):
        workload(validation=Empty())
