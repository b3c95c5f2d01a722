"""Losses and metrics per example, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from headrace.training.losses import classification_error, cross_entropy, squared_error

logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)


def log_softmax(row: list[float]) -> list[float]:
    total = math.log(sum(math.exp(value) for value in row))
    return [value - total for value in row]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_by_hand(smoothing: float) -> None:
    expected = []
    for row, target in zip(logits.tolist(), (1, 2), strict=True):
        log_p = log_softmax(row)
        expected.append(-(1 - smoothing) * log_p[target] - smoothing * sum(log_p) / 3)
    assert cross_entropy(logits, torch.tensor([1, 2]), smoothing).tolist() == pytest.approx(
        expected, rel=1e-14
    )


def test_classification_error_by_hand() -> None:
    outputs = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [math.nan, 0.0]])
    assert classification_error(outputs, torch.tensor([1, 1, 0, 0])).tolist() == [0, 1, 0, 1]


def test_tokens_are_averaged_within_their_example() -> None:
    outputs = torch.tensor(
        [[[2.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [1.0, 1.0]]]
    )  # 2 examples, 2 classes, 2 tokens
    targets = torch.tensor([[0, 0], [1, 1]])
    assert classification_error(outputs, targets).tolist() == [0.5, 0.0]
    per_token = torch.nn.functional.cross_entropy(outputs, targets, reduction="none")
    assert cross_entropy(outputs, targets).tolist() == pytest.approx(per_token.mean(1).tolist())


def test_squared_error_by_hand() -> None:
    outputs = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    assert squared_error(outputs, torch.tensor([[0.0, 0.0], [0.0, 1.0]])).tolist() == [2.5, 2.0]
    assert squared_error(torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 1.0])).tolist() == [1.0, 4.0]
