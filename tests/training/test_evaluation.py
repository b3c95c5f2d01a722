"""Evaluation: exact means for any batch size, the model's modes kept, and no gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from headrace.errors import InputError
from headrace.training.data import TensorData
from headrace.training.evaluation import evaluate, evaluation_mode, evaluator
from headrace.training.losses import classification_error, counted_targets, cross_entropy


def digits(num_examples: int = 23) -> TensorData:
    rng = torch.Generator().manual_seed(0)
    inputs = torch.randn(num_examples, 4, generator=rng, dtype=torch.float64)
    return TensorData(inputs, torch.randint(0, 3, (num_examples,), generator=rng))


def test_means_over_the_split_whatever_the_batch_size() -> None:
    model, data = nn.Linear(4, 3).double(), digits()
    outputs = model(data.inputs).detach()
    expected = {
        "loss": cross_entropy(outputs, data.targets).mean().item(),
        "miss": classification_error(outputs, data.targets).double().mean().item(),
    }
    for batch_size in (1, 5, 23, 100):
        found = evaluate(
            model,
            data,
            cross_entropy,
            classification_error,
            metric_name="miss",
            batch_size=batch_size,
            device="cpu",
        )
        assert found == pytest.approx(expected, rel=1e-12)


def test_splits_are_named_and_kept_apart() -> None:
    model, one, other = nn.Linear(4, 3).double(), digits(7), digits(30)
    both = evaluator({"validation": one, "test": other}, cross_entropy, classification_error, batch_size=4)(
        model
    )
    alone = evaluate(model, other, cross_entropy, classification_error)
    assert list(both) == ["validation/loss", "validation/error", "test/loss", "test/error"]
    assert both["test/loss"] == pytest.approx(alone["loss"])
    assert both["validation/error"] == evaluate(model, one, cross_entropy, classification_error)["error"]


def test_every_module_keeps_its_own_mode() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout())
    model.train()
    model[1].eval()
    with pytest.raises(RuntimeError, match="within"), evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        raise RuntimeError("within")
    assert [module.training for module in model.modules()] == [True, True, False, True]


def test_dropout_is_off_and_no_graph_is_kept() -> None:
    seen: list[bool] = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        seen.append(torch.is_grad_enabled() or outputs.requires_grad)
        return (outputs[:, 0] - 1).abs()

    data = TensorData(torch.ones(50, 3), torch.zeros(50))
    state = torch.get_rng_state()
    found = evaluate(nn.Sequential(nn.Dropout(0.5)), data, loss, loss)
    assert found == {"loss": 0.0, "error": 0.0}
    assert seen == [False, False]
    assert torch.get_rng_state().equal(state)


def test_half_precision_counts_exactly() -> None:
    data = TensorData(torch.zeros(5000, 2, dtype=torch.bfloat16), torch.ones(5000, dtype=torch.int64))
    found = evaluate(nn.Identity(), data, cross_entropy, classification_error, batch_size=5000)
    assert found["error"] == 1.0
    assert found["loss"] == pytest.approx(0.693, rel=1e-2)


def test_what_is_ignored_counts_neither_above_nor_below() -> None:
    rng = torch.Generator().manual_seed(1)
    outputs, targets = torch.randn(6, 3, 5, generator=rng), torch.randint(0, 3, (6, 5), generator=rng)
    targets[0], targets[1, 1:], targets[4] = -100, -100, -100
    data, counted = TensorData(outputs, targets), targets != -100
    wrong = (outputs.argmax(1) != targets) & counted
    documents = counted.any(1)
    shares = wrong[documents].sum(1) / counted[documents].sum(1)
    for batch_size in (1, 4, 6):
        by_document = evaluate(
            nn.Identity(), data, cross_entropy, classification_error, batch_size=batch_size
        )
        by_token = evaluate(
            nn.Identity(),
            data,
            cross_entropy,
            classification_error,
            batch_size=batch_size,
            weigh=counted_targets,
        )
        assert by_document["error"] == pytest.approx(float(shares.mean()))
        assert by_token["error"] == pytest.approx(float(wrong.sum() / counted.sum()))
        assert by_token["loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(outputs, targets)))


def test_minus_hundred_is_a_number_to_a_loss_of_ones_own() -> None:
    data = TensorData(torch.zeros(2, 1), torch.tensor([-100, -50]))
    found = evaluate(nn.Identity(), data, lambda o, t: (o[:, 0] - t).abs(), lambda o, t: (o[:, 0] - t).abs())
    assert found == {"loss": 75.0, "error": 75.0}


def test_one_number_for_a_batch_is_refused() -> None:
    data = TensorData(torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(InputError, match=r"one number for each of the batch's 4 examples.*mean"):
        evaluate(nn.Identity(), data, cross_entropy, lambda o, t: (o.argmax(1) != t).float().mean())
