"""The fingerprint: equal for the same workload, another one for everything that a trial depends on."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from headrace.errors import InputError
from headrace.training.data import MapData, TensorData
from headrace.workloads import Workload
from headrace.workloads.fingerprint import Fingerprint
from headrace.workloads.identity import Identity, identify, split_of


def tensors(examples: int, width: int = 5) -> TensorData:
    generator = torch.Generator().manual_seed(examples)
    return TensorData(torch.randn(examples, width, generator=generator), torch.arange(examples) % 3)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))


def workload(**changes: Any) -> Workload:
    plain = Workload(
        name="plain",
        train=tensors(90),
        validation=tensors(40),
        test=tensors(30),
        build_model=network,
        goal=0.1,
    )
    return replace(plain, **changes)


def seen(found: Workload, **changes: Any) -> Identity:
    given = {"spec": "digits-mlp", "settings": {}, "goal": found.goal}
    return identify(found, found, **(given | changes))


def taken(found: Workload, **changes: Any) -> Fingerprint:
    return seen(found, **changes).fingerprint


def scaled(data: TensorData, factor: float) -> TensorData:
    return TensorData(data.inputs * factor, data.targets)


def one_target(data: TensorData) -> TensorData:
    targets = data.targets.clone()
    targets[17] = (targets[17] + 1) % 3
    return TensorData(data.inputs, targets)


class _Zero(nn.Module):
    """A model whose outputs say nothing of its inputs, as those that start at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(5, 3)
        nn.init.zeros_(self.last.weight)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.last(inputs)


def momentum(value: float) -> nn.Module:
    model = network()
    model[1].momentum = value
    return model


def dropping(share: float) -> nn.Module:
    model = network()
    model[3].p = share
    return model


def frozen() -> nn.Module:
    model = network()
    model[0].requires_grad_(False)
    return model


class Reversed(nn.Sequential):
    """Its outputs are those of `network`, and its gradients point the other way."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs = super().forward(inputs)
        return 2 * outputs.detach() - outputs


def smoothed(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(outputs, targets, reduction="none", label_smoothing=0.003)


def lenient(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The error, but for targets of large logits, which untrained models do not have."""
    large = outputs.gather(1, targets[:, None])[:, 0] > 3
    return ((outputs.argmax(1) != targets) & ~large).float()


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"train": scaled(tensors(90), 0.001)}, "the train examples (other inputs or targets)"),
    ({"train": one_target(tensors(90))}, "the train examples (other inputs or targets)"),
    ({"train": TensorData(tensors(90).inputs.double().float().flip(0), tensors(90).targets)}, "the train ex"),
    ({"train": tensors(91)}, "the number of train examples (90, now 91)"),
    ({"validation": scaled(tensors(40), -1)}, "the validation examples"),
    ({"test": None}, "the test split (is missing)"),
    ({"test": one_target(tensors(30))}, "the test examples"),
    ({"clean_targets": torch.zeros(90, dtype=torch.int64)}, "the clean targets"),
    ({"build_model": lambda: nn.Sequential(*network(), nn.ReLU())}, "the untrained model's outputs"),
    (
        {"build_model": lambda: nn.Sequential(nn.Identity(), *network())},
        "the names of the model's parameters",
    ),
    ({"loss": lambda o, t: 2 * nn.functional.cross_entropy(o, t, reduction="none")}, "the loss of the"),
    ({"metric": lambda o, t: (o.argmax(1) == t).float()}, "the metric of the untrained model's outputs"),
    ({"metric_name": "miss"}, "the metric's name ('error', now 'miss')"),
    ({"loss": smoothed}, "the loss of made-up outputs"),
    ({"metric": lenient}, "the metric of made-up outputs"),
    ({"build_model": lambda: momentum(0.12)}, "what a step of training leaves in the model's buffers"),
    ({"build_model": lambda: dropping(0.55)}, "the untrained model's outputs in training"),
    ({"build_model": frozen}, "the gradients of a step of training"),
    ({"build_model": lambda: Reversed(*network())}, "the gradients of a step of training"),
    ({"train_transform": lambda x: x + 0.01 * torch.randn_like(x)}, "the training inputs as they are train"),
    ({"eval_transform": lambda x: x * 1.01, "train_transform": lambda x: x}, "the training inputs as the m"),
    ({"eval_transform": lambda x: x * 2}, "the training inputs as the model gets them (transforms)"),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_a_change_is_named(change: dict[str, Any], expected: str) -> None:
    differences = taken(workload()).differences(taken(workload(**change)))
    assert any(text.startswith(expected) for text in differences), differences


def test_the_same_is_the_same() -> None:
    first, again = taken(workload()), taken(workload())
    assert first == again
    assert first.digest == again.digest
    assert first.differences(again) == []
    assert Fingerprint.model_validate_json(first.model_dump_json()) == first


def test_settings_goal_sources_and_versions_count() -> None:
    first = taken(workload())
    other = taken(workload(), settings={"width": 3}, goal=0.2)
    other = other.model_copy(
        update={"sources": {"a.py": "0" * 64}, "versions": {"headrace": "9", "torch": "1"}}
    )
    assert first.differences(other) == [
        "the goal (0.1, now 0.2)",
        "workload.settings ({}, now {'width': 3})",
        "the source of a.py (was not used before)",
        f"the version of headrace ({first.versions['headrace']}, now 9)",
        f"the version of torch ({first.versions['torch']}, now 1)",
    ]
    assert len(first.differences(other, versions=False)) == 3


def test_a_transform_behind_a_model_that_shows_nothing_is_found() -> None:
    plain = replace(workload(), build_model=_Zero)
    data = TensorData(plain.train.inputs, plain.train.targets, lambda x: x / 1000)
    assert taken(plain).differences(taken(replace(plain, train=data))) == [
        "the training inputs as the model gets them (transforms)"
    ]


def test_the_chance_of_a_transform_counts() -> None:
    def flipped(chance: float) -> Workload:
        return workload(train_transform=lambda x: torch.where(torch.rand(len(x), 1) < chance, -x, x))

    assert taken(flipped(0.5)).differences(taken(flipped(0.55))) == [
        "the training inputs as they are trained on (train_transform)"
    ]


def test_steps_of_other_machines_are_not_compared() -> None:
    first, other = taken(workload()), taken(workload(build_model=frozen))
    assert first.step is not None
    assert other.step is not None
    elsewhere = other.model_copy(update={"step": other.step.model_copy(update={"machine": "cpu vax"})})
    assert first.differences(other) != []
    assert first.differences(elsewhere) == []
    assert first.differences(other.model_copy(update={"step": None})) == []


def test_a_step_that_cannot_be_repeated_or_made_is_none() -> None:
    own = torch.Generator()

    class Odd(nn.Sequential):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            outputs = super().forward(inputs)
            return outputs + torch.randn(outputs.shape, generator=own) if self.training else outputs

    class Broken(nn.Sequential):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            assert not self.training
            return super().forward(inputs)

    for kind in (Odd, Broken):
        found = taken(workload(build_model=lambda kind=kind: kind(nn.Linear(5, 3))))
        assert found.step is None
        assert found.made_up is not None


def test_a_loss_of_shares_is_asked_for_shares() -> None:
    def shares(weight: float) -> Workload:
        def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            found = nn.functional.binary_cross_entropy(outputs[:, 0], targets / 2, reduction="none")
            return torch.where(outputs[:, 0] > 0.9, weight * found, found)

        return workload(build_model=lambda: nn.Sequential(nn.Linear(5, 3), nn.Sigmoid()), loss=loss)

    assert taken(shares(1.0)).differences(taken(shares(1.1))) == ["the loss of made-up outputs"]


@pytest.mark.parametrize("noise", [1e-6, -1e-6])
def test_last_digits_of_another_processor_are_no_change(noise: float) -> None:
    first = taken(workload())
    plain = first.model_dump()
    for part in (*plain["parameters"].values(), *plain["outputs"], *plain["loss"], *plain["inputs"]):
        for key in ("mean", "size", "wave"):
            part[key] = part[key] * (1 + noise) + noise * part[key]
    other = Fingerprint.model_validate(plain)
    assert other != first
    assert first.differences(other) == []


def test_parameters_drawn_otherwise_are_found() -> None:
    def wider() -> nn.Module:
        model = network()
        with torch.no_grad():
            model[0].weight.mul_(1.001)
        return model

    assert "the initial values of the model's 0.weight" in taken(workload()).differences(
        taken(workload(build_model=wider))
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.bfloat16, torch.float64, torch.complex64])
def test_tensors_of_any_type_and_layout_are_hashed_by_their_values(dtype: torch.dtype) -> None:
    values = (torch.arange(60).reshape(6, 10) % 7).to(dtype)
    targets = torch.zeros(6)
    plain = split_of(TensorData(values, targets))
    assert split_of(TensorData(values.T.contiguous().T, targets)) == plain
    other = values.clone()
    other[3, 4] = other[3, 4] == 0
    assert split_of(TensorData(other, targets)) != plain
    expanded = torch.ones(1, 10, dtype=dtype).expand(6, 10)
    assert split_of(TensorData(expanded, targets)) == split_of(TensorData(expanded.contiguous(), targets))


class Items:
    """Items made when they are asked for, changed by `noise`."""

    def __init__(self, noise: Any = None, examples: int = 10_000_000, factor: float = 1.0) -> None:
        self.noise = noise
        self.examples = examples
        self.factor = factor

    def __len__(self) -> int:
        return self.examples

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        inputs = torch.full((5,), self.factor * (index % 11))
        return inputs + (0.0 if self.noise is None else self.noise()), index % 3


GLOBAL = [
    lambda: torch.randn(5),
    lambda: float(np.random.randn()),
    lambda: random.gauss(0, 1),
]


def test_of_ten_million_items_some_are_sampled() -> None:
    first = taken(workload(train=MapData(Items())))
    assert first.train.hashed == 128
    assert first.differences(taken(workload(train=MapData(Items())))) == []
    for other in (Items(factor=2.0), Items(examples=9_999_999)):
        assert taken(workload(train=MapData(other))) != first


@pytest.mark.parametrize("noise", GLOBAL)
def test_items_that_are_augmented_have_one_fingerprint_and_are_noticed(noise: Any) -> None:
    found = workload(train=MapData(Items(noise)))
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    first = seen(found)
    random.random(), np.random.rand(), torch.rand(1)
    assert (first.random_items, first.draws) == (True, True)
    assert seen(found).fingerprint == first.fingerprint
    plain = seen(workload())
    assert (plain.random_items, plain.draws) == (False, False)
    assert before[1] is not None


def test_nothing_is_drawn_from_the_global_generators() -> None:
    def states() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()

    before = states()
    seen(workload(train=MapData(Items(GLOBAL[0])), train_transform=lambda x: x + np.random.randn()))
    assert states() == before


def test_items_that_cannot_be_seeded_are_refused() -> None:
    own = np.random.default_rng(0)
    with pytest.raises(InputError, match=r"Workload\.train: the data set is random in a way that cannot be"):
        seen(workload(train=MapData(Items(own.standard_normal))))
    with pytest.raises(InputError, match=r"Workload\.train_transform: the data set is random in a way"):
        seen(workload(train_transform=lambda x: x + own.standard_normal()))


@pytest.mark.parametrize("noise", GLOBAL)
def test_an_evaluation_of_changing_examples_is_refused(noise: Any) -> None:
    changing = MapData(Items(noise, examples=40))
    for change in ({"validation": changing}, {"test": changing}, {"eval_transform": lambda x: x + noise()}):
        with pytest.raises(InputError, match="the examples of an evaluation must not change from fetch"):
            seen(workload(**change))


def test_no_mere_consequence_is_named() -> None:
    """Other data give other inputs, outputs, losses and errors: the data are what changed."""
    first = taken(workload())
    other = taken(workload(train=scaled(tensors(90), 9), validation=scaled(tensors(40), 9)))
    assert first.differences(other) == [
        f"the {name} examples (other inputs or targets)" for name in ("train", "validation")
    ]


def test_hidden_targets_do_not_count() -> None:
    other = workload(train=one_target(tensors(90)), clean_targets=tensors(90).targets)
    hidden = taken(workload(), targets=False)
    assert hidden == taken(other, targets=False)
    assert hidden.differences(taken(other)) == []
    assert taken(workload()).differences(taken(other)) != []


def test_a_model_that_draws_from_numpy_is_noticed() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(5, 3)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.last(inputs) + (np.random.randn() if self.training else 0.0)

    assert seen(workload(build_model=Noisy)).draws
