"""The loop against closed forms, and what it promises of micro-batches, weights, hooks and random state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from headrace.errors import InputError
from headrace.sampling.batches import Batch, shuffled_batches
from headrace.training.data import TensorData
from headrace.training.evaluation import evaluator
from headrace.training.gradients import Chosen
from headrace.training.loop import Measurement, train
from headrace.training.losses import classification_error, cross_entropy, squared_error
from headrace.training.recipe import Recipe
from headrace.training.stream import TorchStream

EXAMPLES, FEATURES, CLASSES = 40, 5, 3


def examples() -> TensorData:
    rng = torch.Generator().manual_seed(1)
    inputs = torch.randn(EXAMPLES, FEATURES, generator=rng, dtype=torch.float64)
    return TensorData(inputs, torch.randint(0, CLASSES, (EXAMPLES,), generator=rng))


def network(dropout: float = 0.0) -> nn.Module:
    with torch.random.fork_rng():
        layers = [nn.Linear(FEATURES, 7), nn.Tanh(), nn.Dropout(dropout), nn.Linear(7, CLASSES)]
    model = nn.Sequential(*layers).double()
    rng = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.5, generator=rng)
    return model


def run(model: nn.Module, steps: Sequence[int] = (0, 1, 3, 6), **changes: Any) -> Iterator[Measurement]:
    settings: dict[str, Any] = {
        "data": examples(),
        "loss": cross_entropy,
        "batches": shuffled_batches(EXAMPLES, 8, seed=0, path=("t",)),
        "recipe": Recipe(optimizer="nesterov", learning_rate=0.3, momentum=0.8),
        "budget_steps": steps[-1],
        "evaluate": evaluator({"validation": examples()}, cross_entropy, classification_error),
    }
    return train(model=model, evaluation_steps=steps, **{**settings, **changes})


def candidates(train_on: int) -> Iterator[Batch]:
    for batch in shuffled_batches(EXAMPLES, 8, seed=0, path=("t",)):
        yield replace(batch, train_on=train_on)


def weights(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def trained(**changes: Any) -> Tensor:
    model = network(changes.pop("dropout", 0.0))
    for _ in run(model, **changes):
        pass
    return weights(model)


def test_gradient_descent_on_a_quadratic_has_its_closed_form() -> None:
    """Full batches, loss mean((x w - y)^2): w_t - w* = (I - 2 lr X'X / N)^t (w_0 - w*)."""
    rng = torch.Generator().manual_seed(3)
    X = torch.randn(20, 3, generator=rng, dtype=torch.float64)
    best = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    data = TensorData(X, X @ best)
    model = nn.Linear(3, 1, bias=False, dtype=torch.float64)
    start = weights(model).clone()
    contraction = torch.eye(3, dtype=torch.float64) - 2 * 0.1 * X.T @ X / 20
    evaluate = evaluator({"validation": data}, squared_error, squared_error, metric_name="mse")
    for measured in run(
        model,
        steps=(0, 1, 2, 17),
        data=data,
        loss=squared_error,
        batches=cycle([Batch(indices=torch.arange(20))]),
        recipe=Recipe(optimizer="sgd", learning_rate=0.1),
        evaluate=evaluate,
    ):
        error = torch.linalg.matrix_power(contraction, measured.step) @ (start - best)
        assert (weights(model) - best).tolist() == pytest.approx(error.tolist(), rel=1e-10)
        assert measured.metrics["validation/mse"] == pytest.approx(
            float((X @ error).square().mean()), rel=1e-9
        )


def test_it_is_the_loop_that_one_would_write() -> None:
    recipe = Recipe(
        optimizer="momentum",
        learning_rate=0.4,
        momentum=0.6,
        weight_decay=0.01,
        label_smoothing=0.1,
        schedule="linear",
        end_factor=0.1,
        gradient_clip=0.2,
    )
    model, data = network(), examples()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.4, momentum=0.6, weight_decay=0.01)
    batches = shuffled_batches(EXAMPLES, 8, seed=0, path=("t",))
    losses: list[float] = []
    for step, batch in enumerate(islice(batches, 6)):
        optimizer.param_groups[0]["lr"] = 0.4 * (1 - 0.9 * step / 6)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(
            model(data.inputs[batch.indices]), data.targets[batch.indices], label_smoothing=0.1
        )
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.2)
        optimizer.step()
        losses.append(loss.item())
    ours = network()
    measured = list(run(ours, recipe=recipe))
    assert weights(ours).tolist() == pytest.approx(weights(model).tolist(), rel=1e-12)
    assert [m.step for m in measured] == [0, 1, 3, 6]
    assert [m.examples_backpropagated for m in measured] == [0, 8, 24, 48]
    assert [m.examples_forwarded for m in measured] == [0, 8, 24, 48]
    assert "train/loss" not in measured[0].metrics
    means = [sum(losses[a:b]) / (b - a) for a, b in ((0, 1), (1, 3), (3, 6))]
    assert [m.metrics["train/loss"] for m in measured[1:]] == pytest.approx(means, rel=1e-12)


@pytest.mark.parametrize("microbatch", [1, 3, 4, 8, 100])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adamw"])
def test_micro_batches_give_the_result_of_the_whole_batch(
    microbatch: int, weighted: bool, optimizer: str
) -> None:
    def batches() -> Iterator[Batch]:
        for batch in shuffled_batches(EXAMPLES, 8, seed=0, path=("w",)):
            given = torch.linspace(0.1, 3.0, 8, dtype=torch.float64) if weighted else None
            yield Batch(indices=batch.indices, weights=given)

    recipe = Recipe(optimizer=optimizer, learning_rate=0.05)
    whole = trained(batches=batches(), recipe=recipe)
    parts = trained(batches=batches(), recipe=recipe, microbatch=microbatch)
    assert (whole - parts).abs().max() < 1e-12


def test_a_weight_of_two_is_the_example_twice_in_a_batch_of_the_same_size() -> None:
    recipe = Recipe(optimizer="sgd", learning_rate=0.3)
    twice = cycle([Batch(indices=torch.tensor([4, 4, 9]))])
    weighed = cycle([Batch(indices=torch.tensor([4, 30, 9]), weights=torch.tensor([2.0, 0.0, 1.0]))])
    one, other = trained(batches=twice, recipe=recipe), trained(batches=weighed, recipe=recipe)
    assert (one - other).abs().max() < 1e-12
    assert not torch.allclose(
        one, trained(batches=cycle([Batch(indices=torch.tensor([4, 30, 9]))]), recipe=recipe)
    )


def test_record_sees_what_is_trained_on() -> None:
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    model, data = network(), examples()
    first = model(data.inputs).detach()
    list(run(model, steps=(0, 2), microbatch=3, record=lambda *given: seen.append(given)))
    indices = torch.cat([given[0] for given in seen])
    expected = torch.cat([b.indices for b in islice(shuffled_batches(EXAMPLES, 8, seed=0, path=("t",)), 2)])
    assert indices.equal(expected)
    assert [len(given[0]) for given in seen] == [3, 3, 2] * 2
    assert torch.cat([given[1] for given in seen])[:8].allclose(first[indices[:8]])
    assert torch.cat([given[2] for given in seen]).equal(data.targets[indices])
    assert not any(given[1].requires_grad for given in seen)


def test_only_the_chosen_are_trained_on() -> None:
    """The two of largest loss in each batch, weighed: the same as feeding just these."""
    chosen_batches: list[Batch] = []

    def choose(outputs: Tensor, targets: Tensor, losses: Tensor, batch: Batch) -> Chosen:
        assert not losses.requires_grad
        assert losses.allclose(cross_entropy(outputs, targets))
        positions = losses.topk(2).indices
        given = torch.tensor([1.0, 0.5], dtype=torch.float64)
        chosen_batches.append(Batch(indices=batch.indices[positions], weights=given))
        return Chosen(positions=positions, weights=given)

    model = network()
    measured = list(run(model, batches=candidates(2), choose=choose, microbatch=3))
    assert [m.examples_forwarded for m in measured] == [0, 10, 30, 60]
    assert [m.examples_backpropagated for m in measured] == [0, 2, 6, 12]
    fed = trained(batches=iter(chosen_batches))
    assert weights(model).tolist() == pytest.approx(fed.tolist(), rel=1e-12)


def test_nothing_is_chosen_from_batches_that_are_no_candidates() -> None:
    """An epoch without a selection pass costs none."""
    choosing = trained(choose=lambda *_: pytest.fail("nothing is to be chosen"))
    assert torch.equal(choosing, trained())


def test_a_diverging_run_says_so() -> None:
    data = TensorData(torch.ones(4, 1), torch.zeros(4))
    measured = list(
        run(
            nn.Linear(1, 1),
            steps=(0, 1, 200),
            data=data,
            loss=squared_error,
            batches=cycle([Batch(indices=torch.arange(4))]),
            recipe=Recipe(optimizer="sgd", learning_rate=10.0),
            evaluate=lambda model: {},
        )
    )
    assert math.isfinite(measured[1].metrics["train/loss"])
    assert not math.isfinite(measured[2].metrics["train/loss"])


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_it_may_be_abandoned_after_any_measurement(stop_after: int) -> None:
    whole, part = network(), network()
    at_stop = [weights(whole).clone() for _ in run(whole)][stop_after - 1]
    trials = run(part)
    for _ in islice(trials, stop_after):
        pass
    trials.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert weights(part).equal(at_stop)


def test_a_stream_makes_dropout_repeatable_and_leaves_the_global_state_alone() -> None:
    outside = torch.get_rng_state()
    alone = trained(dropout=0.5, stream=TorchStream(0, "dropout"))
    assert torch.get_rng_state().equal(outside)

    models = [network(0.5), network(0.5)]
    runs = [
        run(models[0], stream=TorchStream(0, "dropout")),
        run(models[1], steps=(0, 2, 5, 6), stream=TorchStream(1, "dropout")),
    ]
    for _ in zip(*runs, strict=True):
        torch.rand(3)
    assert weights(models[0]).equal(alone)
    assert not weights(models[1]).equal(alone)
    rarely = trained(dropout=0.5, stream=TorchStream(0, "dropout"), steps=(0, 6))
    assert rarely.equal(alone)


def test_without_dropout_no_random_state_is_touched() -> None:
    outside = torch.get_rng_state()
    trained()
    assert torch.get_rng_state().equal(outside)


def test_old_gradients_do_not_leak_in() -> None:
    model = network()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e6)
    list(run(model))
    assert weights(model).equal(trained())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"steps": (1, 2)},
            "evaluation_steps: must increase strictly from 0 to at most the budget of 2 steps",
        ),
        ({"steps": (0, 2, 2)}, "must increase strictly"),
        ({"steps": (0, 3), "budget_steps": 2}, "must increase strictly"),
        ({"batches": iter([])}, "batches: ended before the last step; got '0 batches'"),
        ({"microbatch": 0}, "microbatch: must be at least 1 example; got 0"),
        ({"loss": nn.functional.cross_entropy}, "loss: must return one number per example"),
        (
            {"loss": squared_error, "recipe": Recipe(optimizer="sgd", learning_rate=1, label_smoothing=0.1)},
            "label_smoothing: the loss takes no label_smoothing; got 0.1. Set it to 0",
        ),
        (
            {
                "batches": candidates(2),
                "choose": lambda *_: Chosen(positions=torch.empty(0, dtype=torch.int64)),
            },
            "choose: must choose at least one example",
        ),
        (
            {"recipe": Recipe(optimizer="sgd", learning_rate=1, warmup_steps=6)},
            "warmup_steps: the warm-up must end before step 6",
        ),
    ],
)
def test_what_cannot_be_trained(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        list(run(network(), **changes))
