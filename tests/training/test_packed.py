"""Trainings in a pack against the same trainings one by one, and what a row may depend on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from headrace.errors import InputError
from headrace.random import torch_generator, torch_stream
from headrace.sampling.batches import Batch, shuffled_batches
from headrace.training.data import TensorData
from headrace.training.evaluation import evaluator, measures_of
from headrace.training.loop import Measurement, train
from headrace.training.losses import classification_error, cross_entropy
from headrace.training.packed import Lane, new_lane, packed_evaluator, train_packed
from headrace.training.recipe import Recipe
from headrace.training.stacked import Stacked

EXAMPLES, CLASSES, BUDGET = 60, 3, 12
STEPS = [0, 1, 2, 5, 9, BUDGET]
MEASURES = measures_of(cross_entropy, classification_error, None)


def examples(features: int) -> TensorData:
    rng = torch_generator(1, "examples")
    inputs = torch.randn(EXAMPLES, features, generator=rng)
    return TensorData(inputs, torch.randint(0, CLASSES, (EXAMPLES,), generator=rng))


def network(trial: int, features: int, hidden: int) -> nn.Module:
    with torch_stream(0, "initialisation", trial):
        return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES))


@cache
def models(width: int, features: int = 5, hidden: int = 7) -> Stacked:
    """Made once, because recording their operations takes longer than all trainings here."""
    return Stacked(network(0, features, hidden), width=width, loss=cross_entropy)


def batches(trial: int, size: int, *, weighted: bool = False) -> Iterator[Batch]:
    for batch in shuffled_batches(EXAMPLES, size, seed=0, path=("order", trial)):
        weights = torch.linspace(0, 2, size) if weighted else None
        yield Batch(indices=batch.indices, weights=weights)


def recipe(trial: int, optimizer: str = "nesterov", **its: Any) -> Recipe:
    rate = (0.002 if optimizer == "adamw" else 0.05) * (1 + trial)
    return Recipe(optimizer=optimizer, learning_rate=rate, momentum=0.5 + 0.02 * trial, **its)


def packed(
    trials: dict[int, Recipe],
    width: int,
    *,
    features: int = 5,
    hidden: int = 7,
    size: int = 8,
    weighted: bool = False,
    tuned: frozenset[str] = frozenset(),
    steps: Sequence[int] = STEPS,
) -> tuple[dict[int, list[Measurement]], dict[int, Lane]]:
    """Trial -> its measurements, and its lane, whose row is the trial's number modulo the width."""
    stacked = models(width, features, hidden)
    lanes = {
        trial: new_lane(
            stacked,
            network(trial, features, hidden),
            place=trial % width,
            recipe=own,
            batches=batches(trial, size, weighted=weighted),
        )
        for trial, own in trials.items()
    }
    data = examples(features)
    found: dict[int, list[Measurement]] = {trial: [] for trial in trials}
    for measured in train_packed(
        stacked,
        list(lanes.values()),
        data=data,
        tuned=tuned,
        budget_steps=BUDGET,
        evaluation_steps=steps,
        evaluate=packed_evaluator({"validation": data}, MEASURES, batch_size=25),
    ):
        for trial, one in zip(trials, measured, strict=True):
            found[trial].append(one)
    return found, lanes


def alone(trial: int, own: Recipe, *, weighted: bool = False) -> list[Measurement]:
    """The same by the loop for one model."""
    data = examples(5)
    return list(
        train(
            model=network(trial, 5, 7),
            data=data,
            loss=cross_entropy,
            batches=batches(trial, 8, weighted=weighted),
            recipe=own,
            budget_steps=BUDGET,
            evaluation_steps=STEPS,
            evaluate=evaluator({"validation": data}, cross_entropy, classification_error, batch_size=25),
        )
    )


RECIPES: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {}),
    ("sgd", {"weight_decay": 0.03}),
    ("momentum", {"schedule": "linear", "end_factor": 0.1}),
    ("momentum", {"gradient_clip": 0.2}),
    ("nesterov", {"schedule": "cosine", "warmup_steps": 3, "weight_decay": 0.01}),
    ("nesterov", {"schedule": "wsd", "weight_decay": 0.05, "weight_decay_on": "matrices"}),
    ("adamw", {"beta1": 0.8, "beta2": 0.95, "weight_decay": 0.1}),
    ("adamw", {"schedule": "linear", "warmup_fraction": 0.25, "gradient_clip": 0.5}),
]


@pytest.mark.parametrize(("optimizer", "own"), RECIPES)
@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_pack_trains_what_the_loop_trains(optimizer: str, own: dict[str, Any], width: int) -> None:
    trials = {trial: recipe(trial, optimizer, **own) for trial in range(width)}
    found, _ = packed(trials, width, tuned=frozenset(own), weighted=width == 3)
    for trial, its in trials.items():
        for one, other in zip(found[trial], alone(trial, its, weighted=width == 3), strict=True):
            assert (one.step, one.examples_forwarded) == (other.step, other.examples_forwarded)
            assert one.examples_backpropagated == other.examples_backpropagated
            assert one.metrics == pytest.approx(other.metrics, rel=2e-4, abs=1e-5)


def of_trial(found: dict[int, list[Measurement]], lanes: dict[int, Lane], trial: int) -> tuple[Any, ...]:
    """All that a trial came to, to the bit."""
    lane = lanes[trial]
    return str(found[trial]), lane.weights.numpy().tobytes(), [m.numpy().tobytes() for m in lane.moments]


@settings(max_examples=10, deadline=None)
@given(
    width=st.sampled_from([3, 8]),
    companions=st.sets(st.integers(0, 23), max_size=8),
    trial=st.integers(0, 23),
    shape=st.sampled_from([(5, 7, 8), (13, 9, 1)]),
    optimizer=st.sampled_from(["sgd", "nesterov", "adamw"]),
)
def test_what_a_trial_comes_to_does_not_depend_on_its_companions(
    width: int, companions: set[int], trial: int, shape: tuple[int, int, int], optimizer: str
) -> None:
    features, hidden, size = shape
    made: dict[str, Any] = {
        "features": features,
        "hidden": hidden,
        "size": size,
        "tuned": frozenset({"weight_decay"}),
    }
    rows = {trial % width: trial}
    for other in sorted(companions):
        rows.setdefault(other % width, other)
    own = recipe(trial, optimizer, weight_decay=0.01)
    by_itself = packed({trial: own}, width, **made)
    # Companions of all kinds: with other rates, without weight decay, and such as diverge.
    others = {t: recipe(t, optimizer, weight_decay=0.01 * (t % 2)) for t in rows.values() if t != trial}
    wild = {t: replace(r, learning_rate=1e6) if t % 5 == 0 else r for t, r in others.items()}
    together = packed({**wild, trial: own}, width, **made)
    assert of_trial(*by_itself, trial) == of_trial(*together, trial)


def trained(stacked: Stacked, lanes: list[Lane], steps: Sequence[int]) -> list[list[Measurement]]:
    data = examples(5)
    return list(
        train_packed(
            stacked,
            lanes,
            data=data,
            tuned=frozenset(),
            budget_steps=BUDGET,
            evaluation_steps=steps,
            evaluate=packed_evaluator({"validation": data}, MEASURES, batch_size=25),
        )
    )


def lane(trial: int, width: int, **changes: Any) -> Lane:
    its: dict[str, Any] = {"place": trial % width, "recipe": recipe(trial), "batches": batches(trial, 8)}
    return new_lane(models(width), network(trial, 5, 7), **(its | changes))


def test_a_trial_that_changes_its_pack_comes_to_the_same() -> None:
    """Trial 1 is trained to step 5 with 0 and 2, then with 3 of another pack that is at its step."""
    straight = packed({trial: recipe(trial) for trial in range(4)}, 8)
    lanes = {trial: lane(trial, 8) for trial in range(4)}
    first = trained(models(8), [lanes[0], lanes[1], lanes[2]], STEPS[:4])
    trained(models(8), [lanes[3]], STEPS[:4])
    second = trained(models(8), [lanes[3], lanes[1]], STEPS)
    found = [row[1] for row in first] + [row[1] for row in second]
    assert (str(found), lanes[1].weights.numpy().tobytes()) == of_trial(*straight, 1)[:2]


def test_training_may_be_abandoned_and_is_then_as_measured() -> None:
    one, data = lane(1, 3), examples(5)
    evaluate = packed_evaluator({"validation": data}, MEASURES)
    with closing(
        train_packed(
            models(3),
            [one],
            data=data,
            tuned=frozenset(),
            budget_steps=BUDGET,
            evaluation_steps=STEPS,
            evaluate=evaluate,
        )
    ) as measurements:
        (measured,) = next(m for m in measurements if m[0].step == 5)
    assert one.step == 5
    own = evaluator({"validation": data}, cross_entropy, classification_error)(models(3).model(one.weights))
    assert {"train/loss": measured.metrics["train/loss"]} | own == pytest.approx(measured.metrics, rel=1e-5)


def test_what_was_trained_on_is_recorded_by_lane() -> None:
    seen: dict[int, list[int]] = {0: [], 2: []}

    def recorder(trial: int) -> Any:
        def record(indices: Tensor, outputs: Tensor, targets: Tensor) -> None:
            assert outputs.shape == (8, CLASSES)
            assert torch.equal(targets, examples(5).targets[indices])
            seen[trial] += indices.tolist()

        return record

    trained(models(3), [lane(trial, 3, record=recorder(trial)) for trial in seen], [0, 2])
    for trial, indices in seen.items():
        fed = [batch.indices for batch in islice(batches(trial, 8), 2)]
        assert indices == torch.cat(fed).tolist()


def test_data_that_fetch_otherwise_are_trained_on_as_tensors_are() -> None:
    """Examples that are transformed as they are fetched, a batch of one lane at a time."""
    straight = trained(models(3), [lane(1, 3), lane(2, 3)], STEPS)
    data = examples(5)
    double = TensorData(data.inputs / 2, data.targets, transform=lambda inputs: inputs * 2)
    found = list(
        train_packed(
            models(3),
            [lane(1, 3), lane(2, 3)],
            data=double,
            tuned=frozenset(),
            budget_steps=BUDGET,
            evaluation_steps=STEPS,
            evaluate=packed_evaluator({"validation": data}, MEASURES, batch_size=25),
        )
    )
    assert str(found) == str(straight)


def test_batches_of_other_sizes_are_refused() -> None:
    lanes = [lane(0, 3), lane(1, 3, batches=batches(1, 9))]
    with pytest.raises(InputError, match="must have one size"):
        trained(models(3), lanes, [0, 2])
