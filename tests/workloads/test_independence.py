"""A loss or metric that measures an example by others of its batch is refused before training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from headrace import Workload
from headrace.errors import InputError
from headrace.training.data import TensorData
from headrace.training.losses import cross_entropy, squared_error
from headrace.workloads.inspection import inspected

N = 21
RNG = torch.Generator().manual_seed(11)
INPUTS = torch.randn(N, 4, generator=RNG)
NUMBERS = torch.randn(N, generator=RNG)
CLASSES = torch.randint(0, 3, (N,), generator=RNG)


def looked_at(
    targets: Tensor, outputs: int, *, inputs: Tensor = INPUTS, then: Any = (), **other: Any
) -> None:
    data = TensorData(inputs, targets)
    workload = Workload(
        name="w",
        train=data,
        validation=data,
        build_model=lambda: nn.Sequential(nn.Linear(4, outputs), *then),
        goal=1e-9,
        **other,
    )
    inspected(workload, workload.build_model())


def broadcast(axis: int) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda outputs, targets: (outputs - targets).square().mean(axis)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    ("targets", "outputs", "then"), [(NUMBERS, 1, ()), (NUMBERS[:, None], 1, [nn.Flatten(0)])]
)
def test_a_column_against_a_row_is_refused(axis: int, targets: Tensor, outputs: int, then: Any) -> None:
    with pytest.raises(InputError, match=r"loss of an example changes .*squeeze\(1\)"):
        looked_at(targets, outputs, then=then, loss=broadcast(axis), metric=broadcast(axis))
    with pytest.raises(InputError, match=r"metric of an example changes .*squeeze\(1\)"):
        looked_at(targets, outputs, then=then, loss=squared_error, metric=broadcast(axis))


def test_means_over_the_batch_that_are_spread_over_it_are_refused() -> None:
    def spread(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, targets).expand(len(targets))

    def by_all_tokens(outputs: Tensor, targets: Tensor) -> Tensor:
        losses = functional.cross_entropy(outputs, targets, reduction="none").sum(1)
        return losses / (targets != -100).sum()

    with pytest.raises(InputError, match=r"loss of an example changes .*Leave out means"):
        looked_at(CLASSES, 3, loss=spread)
    with pytest.raises(InputError, match=r"loss of an example changes .*mean_over"):
        looked_at(
            CLASSES[:, None] * torch.ones(2, dtype=torch.int64),
            6,
            then=[nn.Unflatten(1, (3, 2))],
            loss=by_all_tokens,
        )


def noisy(outputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(outputs + 0.1 * torch.randn_like(outputs), targets)


@pytest.mark.parametrize(
    "loss",
    [
        noisy,
        nn.CrossEntropyLoss(reduction="none", weight=torch.tensor([1.0, 5.0, 1.0])),
        lambda outputs, targets: functional.multi_margin_loss(outputs, targets, reduction="none"),
        lambda outputs, targets: cross_entropy(outputs, targets, label_smoothing=0.1),
    ],
)
def test_what_measures_each_example_alone_is_taken(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    looked_at(CLASSES, 3, loss=loss)
    looked_at(CLASSES[:2], 3, inputs=INPUTS[:2], loss=loss)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_one_input_that_is_not_finite_is_found_in_any_place(wrong: float) -> None:
    many = torch.zeros(1_000, 4)
    many[777, 2] = wrong
    targets = torch.arange(1_000) % 3
    with pytest.raises(
        InputError, match=r"train, example 777: 1 examples have inputs that are NaN or infinite"
    ):
        looked_at(targets, 3, inputs=many)


def test_a_model_that_takes_missing_numbers_is_not_refused_for_them() -> None:
    class Filled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.nan_to_num()

    many = torch.zeros(100, 4)
    many[55, 2] = float("nan")
    data = TensorData(many, torch.arange(100) % 3)
    workload = Workload(
        name="w",
        train=data,
        validation=data,
        build_model=lambda: nn.Sequential(Filled(), nn.Linear(4, 3)),
        goal=0.1,
    )
    assert inspected(workload, workload.build_model()).targets == "classes"


def test_a_model_in_place_of_a_function_and_arrays_in_place_of_tensors_are_named() -> None:
    data: Any = TensorData(INPUTS, CLASSES)
    model: Any = nn.Linear(4, 3)
    with pytest.raises(InputError, match=r"build_model must be a function .*lambda"):
        Workload(name="w", train=data, validation=data, build_model=model, goal=0.1)
    array: Any = INPUTS.numpy()
    with pytest.raises(InputError, match=r"inputs must be a tensor; got 'ndarray'.*torch\.as_tensor"):
        TensorData(array, CLASSES)
