"""Losses and metrics per example, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.training.losses import (
    classification_error,
    counted_examples,
    counted_targets,
    cross_entropy,
    squared_error,
    weighted_by_targets,
)

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


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=5),
    smoothing=st.sampled_from([0.0, 0.2]),
)
def test_padding_moves_nothing(seed: int, lengths: list[int], smoothing: float) -> None:
    """The padded batch gives what each document gives alone, cut to its own tokens."""
    rng = torch.Generator().manual_seed(seed)
    outputs = torch.randn(len(lengths), 3, 6, generator=rng, dtype=torch.float64)
    targets = torch.randint(0, 3, (len(lengths), 6), generator=rng)
    for row, length in zip(targets, lengths, strict=True):
        row[length:] = -100
    losses = cross_entropy(outputs, targets, smoothing)
    errors = classification_error(outputs, targets)
    for document, length in enumerate(lengths):
        mine = (outputs[document : document + 1, :, :length], targets[document : document + 1, :length])
        alone = (cross_entropy(*mine, smoothing), classification_error(*mine)) if length else (0.0, 0.0)
        assert (float(losses[document]), float(errors[document])) == pytest.approx(tuple(map(float, alone)))
    assert counted_targets(targets).tolist() == lengths
    assert counted_examples(targets).tolist() == [float(length > 0) for length in lengths]


def test_ignored_documents_have_no_gradient() -> None:
    outputs = torch.zeros(2, 3, 4, requires_grad=True)
    targets = torch.tensor([[-100] * 4, [0, 1, -100, -100]])
    cross_entropy(outputs, targets, 0.1).sum().backward()
    assert outputs.grad is not None
    assert outputs.grad[0].eq(0).all()
    assert outputs.grad[1, :, 2:].eq(0).all()
    assert outputs.grad[1, :, :2].ne(0).any()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.bool])
def test_class_numbers_of_any_integer_type(dtype: torch.dtype) -> None:
    outputs = torch.tensor([[2.0, 0.0], [1.0, 3.0], [0.0, 1.0]])
    numbers = torch.tensor([0, 1, 0])
    assert cross_entropy(outputs, numbers.to(dtype)).equal(cross_entropy(outputs, numbers))
    assert classification_error(outputs, numbers.to(dtype)).tolist() == [0, 0, 1]


def test_a_byte_of_156_is_no_padding() -> None:
    """-100 as a byte."""
    outputs = torch.zeros(1, 200)
    assert classification_error(outputs, torch.tensor([156], dtype=torch.uint8)).tolist() == [1]
    assert counted_examples(torch.tensor([156], dtype=torch.uint8)).tolist() == [1]


@pytest.mark.parametrize(
    ("outputs", "targets", "words"),
    [
        ((4, 3), torch.zeros(4, 1, dtype=torch.int64), "squeeze"),
        ((4, 3), torch.zeros(4, 3, dtype=torch.int64), "argmax"),
        ((4, 5, 3), torch.zeros(4, 5, dtype=torch.int64), "transpose"),
        ((4, 1), torch.zeros(4, dtype=torch.int64), "two outputs"),
        ((4,), torch.zeros(4, dtype=torch.int64), "two outputs"),
    ],
)
def test_other_shapes_are_refused_with_the_fix(
    outputs: tuple[int, ...], targets: torch.Tensor, words: str
) -> None:
    for function in (cross_entropy, classification_error):
        with pytest.raises(InputError, match=words):
            function(torch.zeros(outputs), targets)


def test_real_numbers_are_no_class_numbers() -> None:
    with pytest.raises(InputError, match=r"long.*squared_error"):
        cross_entropy(torch.zeros(4, 3), torch.tensor([0.0, 1.0, 0.5, 1.0]))


def test_squared_error_does_not_broadcast() -> None:
    assert squared_error(torch.tensor([1.0, 3.0]), torch.tensor([[0.0], [1.0]])).tolist() == [1.0, 4.0]
    with pytest.raises(InputError, match="shape"):
        squared_error(torch.zeros(4, 2), torch.zeros(4))


def test_weights_by_targets_are_one_on_average() -> None:
    targets = torch.tensor([[0, 1, 1, 0], [1, -100, -100, -100], [-100] * 4])
    outputs = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0))
    mean = float(counted_targets(targets).mean())
    weighted = weighted_by_targets(cross_entropy, mean)(outputs, targets, label_smoothing=0.1)
    every_token = torch.nn.functional.cross_entropy(outputs, targets, label_smoothing=0.1)
    assert float(weighted.mean()) == pytest.approx(float(every_token))


def test_the_shape_that_targets_must_have_is_said() -> None:
    with pytest.raises(InputError, match=r"class numbers of shape \(4, 7\) for outputs of shape \(4, 3, 7\)"):
        cross_entropy(torch.zeros(4, 3, 7), torch.zeros(4, 6, dtype=torch.int64))
