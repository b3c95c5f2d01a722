"""Hyperparameters up to the ends of their ranges, defaults that stay, and what reaches torch's optimisers."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from headrace.errors import InputError, InputErrors
from headrace.training.budget import budget_steps, evaluation_steps
from headrace.training.data import MapData, Steady, TensorData, Transformed
from headrace.training.noise import two_batch_sizes
from headrace.training.optimizers import build_optimizer, set_learning_rate
from headrace.training.per_example import per_example_pairs
from headrace.training.recipe import HYPERPARAMETERS, RANGES, Range, Recipe, is_number
from headrace.training.registry import OPTIMIZERS
from headrace.training.schedules import check_schedule

TINY = 5e-324
ABOVE_ZERO = ([TINY, 0.5, 1, 7, 1e300, 10**300], [0, 0.0, -TINY, -1])
BELOW_ONE = ([0, 0.0, 0.5, math.nextafter(1, 0)], [-TINY, -1, 1, 1.0, 2])
BOUNDS: dict[str, tuple[list[Any], list[Any]]] = {
    "learning_rate": ABOVE_ZERO,
    "epsilon": ABOVE_ZERO,
    "gradient_clip": ([*ABOVE_ZERO[0], None], ABOVE_ZERO[1]),
    "momentum": BELOW_ONE,
    "beta1": BELOW_ONE,
    "beta2": BELOW_ONE,
    "label_smoothing": BELOW_ONE,
    "weight_decay": ([0, 0.5, 1e300], [-TINY, -1]),
    "warmup_steps": ([0, 1, 10**9], [-1, 0.5, 1.0]),
    "end_factor": ([0, 0.5, 1], [-TINY, math.nextafter(1, 2), 2]),
    "decay_fraction": ([TINY, 0.5, 1], [0, -1, math.nextafter(1, 2)]),
    "warmup_fraction": BELOW_ONE,
    "cooldown_fraction": ([TINY, 0.5, 1], [0, -1, math.nextafter(1, 2)]),
}


@pytest.mark.parametrize("name", RANGES)
def test_hyperparameters_are_taken_up_to_their_ends_and_refused_beyond(name: str) -> None:
    taken, refused = BOUNDS[name]
    given = {"optimizer": "sgd", "learning_rate": 0.1}
    for value in taken:
        assert getattr(Recipe(**given | {name: value}), name) == value
    nothing = [] if name == "gradient_clip" else [None]
    for value in [*refused, *nothing, math.nan, math.inf, -math.inf, True, False, "1", 10**400]:
        with pytest.raises(InputErrors, match=name):
            Recipe(**given | {name: value})


def test_ranges_in_words() -> None:
    assert str(Range(0)) == "a finite number >= 0"
    assert str(Range(0, 1, low_allowed=False)) == "a finite number > 0 and < 1"
    assert str(Range(0, 1, high_allowed=True, whole=True)) == "a whole number >= 0 and <= 1"
    assert is_number(1.7976931348623157e308)
    assert not is_number(math.inf)
    assert not is_number(-(10**309))


def test_defaults_stay() -> None:
    defaults = {field.name: field.default for field in fields(Recipe) if field.default is not MISSING}
    assert defaults == {
        "momentum": 0.9, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0,
        "label_smoothing": 0.0, "schedule": "constant", "end_factor": 0.01, "decay_fraction": 1.0,
        "warmup_steps": 0, "gradient_clip": None, "weight_decay_on": "all", "warmup_fraction": 0.0,
        "cooldown_fraction": 0.2,
    }  # fmt: skip
    always = {"learning_rate", "weight_decay", "label_smoothing", "gradient_clip"}
    always |= {"warmup_steps", "warmup_fraction"}
    uses = {
        "sgd": set(),
        "momentum": {"momentum"},
        "nesterov": {"momentum"},
        "adamw": {"beta1", "beta2", "epsilon"},
        "muon": {"momentum", "beta1", "beta2", "epsilon"},
    }
    assert {name: set(used) for name, used in HYPERPARAMETERS.items()} == {
        n: always | u for n, u in uses.items()
    }


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_setting_reaches_the_optimiser(optimizer: str) -> None:
    recipe = Recipe(
        optimizer=optimizer,
        learning_rate=0.3,
        momentum=0.7,
        beta1=0.6,
        beta2=0.8,
        epsilon=1e-3,
        weight_decay=0.2,
    )
    built = build_optimizer([nn.Parameter(torch.ones(3))], recipe)
    (group,) = built.param_groups
    expected = {"lr": 0.3, "weight_decay": 0.2, "fused": True}
    if optimizer in ("adamw", "muon"):  # Muon leaves vectors to AdamW
        expected |= {"betas": (0.6, 0.8), "eps": 1e-3}
    else:
        expected |= {"momentum": 0 if optimizer == "sgd" else 0.7, "nesterov": optimizer == "nesterov"}
    assert {name: group[name] for name in expected} == expected
    set_learning_rate(built, 0.05)
    assert group["lr"] == 0.05


def test_parameters_of_which_one_is_complex_are_not_fused() -> None:
    mixed = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2, dtype=torch.complex64))]
    assert not build_optimizer(mixed, Recipe(optimizer="sgd", learning_rate=1)).param_groups[0]["fused"]


def test_a_trial_is_evaluated_so_often_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.training.budget.MOST_EVALUATIONS", 5)
    assert evaluation_steps(5, every=1) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(InputError, match="more than 5 times"):
        evaluation_steps(6, every=1)
    assert evaluation_steps(1) == [0, 1]
    assert evaluation_steps(2, every=1) == [0, 1, 2]
    with pytest.raises(InputError, match="ratio must be more than 1"):
        evaluation_steps(2, math.inf)


def test_huge_ratios_and_budgets_end() -> None:
    assert evaluation_steps(10**17, 1e300) == [0, 1, 10**17]


def test_the_smallest_budgets() -> None:
    assert budget_steps(1, 1, steps=1) == 1
    assert budget_steps(4, 4, epochs=1) == 1
    for none in ({"steps": 0}, {"epochs": 0.9}, {"epochs": 0}):
        with pytest.raises(InputError, match="allows no step"):
            budget_steps(4, 4, **none)


@pytest.mark.parametrize(
    ("schedule", "fraction", "last"), [("constant", 1.0, 9), ("linear", 1.0, 9), ("cosine", 0.5, 4)]
)
def test_the_warm_up_ends_before_the_decay(schedule: str, fraction: float, last: int) -> None:
    for steps in (0, last, last + 1):
        recipe = Recipe(
            optimizer="sgd", learning_rate=1, schedule=schedule, decay_fraction=fraction, warmup_steps=steps
        )
        if steps <= last:
            check_schedule(recipe, 10)
            continue
        with pytest.raises(InputError, match=f"before step {last + 1}, the end of the"):
            check_schedule(recipe, 10)


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 6, 100])
def test_gradients_of_examples_do_not_depend_on_how_many_are_held(chunk: int) -> None:
    rng = torch.Generator().manual_seed(0)
    model = nn.Linear(3, 2).double()
    inputs, targets = torch.randn(5, 3, generator=rng, dtype=torch.float64), torch.tensor([0, 1, 1, 0, 1])
    signal, noise = per_example_pairs(model, inputs, targets, chunk=chunk)
    grads = []
    for x, y in zip(inputs, targets, strict=True):
        model.zero_grad()
        nn.functional.cross_entropy(model(x[None]), y[None]).backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]).numpy())
    g = np.array(grads)
    trace = float(((g - g.mean(0)) ** 2).sum() / 4)
    assert noise.mean() == pytest.approx(trace)
    assert signal.mean() == pytest.approx(float((g.mean(0) ** 2).sum()) - trace / 5)


def test_pieces_of_gradients_are_of_at_least_one_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.training.per_example._NUMBERS", 3)
    inputs, targets = torch.eye(3), torch.tensor([0, 1, 0])
    assert per_example_pairs(nn.Linear(3, 2), inputs, targets)[0].shape == (3,)
    for chunk in (0, -1):
        with pytest.raises(InputError, match="chunk: must be at least 1"):
            per_example_pairs(nn.Linear(3, 2), inputs, targets, chunk=chunk)
    for count in (0, 2, 4):
        with pytest.raises(InputError, match=f"targets: must be as many as inputs; got {count}"):
            per_example_pairs(nn.Linear(3, 2), inputs, torch.zeros(count).long())
    with pytest.raises(InputError, match="at least three examples"):
        per_example_pairs(nn.Linear(3, 2), inputs[:2], targets[:2])


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64])
def test_unsigned_words_are_selected(dtype: torch.dtype) -> None:
    data = TensorData(torch.tensor([[1], [40_000]]).to(dtype), torch.tensor([0, 1]).to(dtype))
    inputs, targets = data.fetch(torch.tensor([1]))
    assert (inputs.tolist(), targets.tolist()) == ([[40_000]], [1])


def test_wrapped_data_are_as_long_and_draw_by_their_first_example() -> None:
    data = TensorData(torch.arange(6.0), torch.arange(6))
    noisy = Transformed(data, lambda inputs: inputs + torch.rand(len(inputs)))
    steady = Steady(noisy).to("cpu")
    assert len(noisy) == len(steady) == len(MapData([(1, 2)] * 6)) == 6
    one, other = (steady.fetch(torch.tensor(indices))[0] for indices in ([2, 3], [3, 2]))
    assert steady.fetch(torch.tensor([2, 3]))[0].equal(one)
    assert not one.equal(other.flip(0))
    doubled = Transformed(data, lambda inputs: 2 * inputs).to("cpu")
    assert doubled.fetch(torch.tensor([3]))[0].tolist() == [6.0]


@pytest.mark.parametrize(("small", "large"), [(0, 2), (-1, 2), (2, 2), (3, 2), (0.5, 0.0)])
def test_two_batch_sizes_are_positive_and_differ(small: float, large: float) -> None:
    assert two_batch_sizes(3.0, 2.0, 0.5, 1.0) == (1.0, 1.0)
    with pytest.raises(InputError, match="two different batch sizes"):
        two_batch_sizes(3.0, 2.0, small, large)
