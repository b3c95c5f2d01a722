"""Losses of outputs and targets of any shape: against loops over numbers, or refused."""

from __future__ import annotations

import math
from functools import partial
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.training.losses import (
    IGNORED,
    classification_error,
    counted_examples,
    counted_targets,
    cross_entropy,
    is_built_in,
    squared_error,
    weighted_by_targets,
)

axes = st.lists(st.integers(1, 3), max_size=2)


def cases(seed: int, batch: int, classes: int, more: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    outputs = torch.randn(batch, classes, *more, generator=rng, dtype=torch.float64)
    targets = torch.randint(0, classes, (batch, *more), generator=rng)
    return outputs, torch.where(torch.rand(batch, *more, generator=rng) < 0.3, IGNORED, targets)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(2, 4), axes, st.sampled_from([0.0, 0.1]))
def test_classes_number_by_number(
    seed: int, batch: int, classes: int, more: list[int], smoothing: float
) -> None:
    outputs, targets = cases(seed, batch, classes, more)
    for example in range(batch):
        losses, errors = [], []
        for place in product(*map(range, more)):
            label = int(targets[(example, *place)])
            row = [float(outputs[(example, c, *place)]) for c in range(classes)]
            if label == IGNORED:
                continue
            logs = [z - math.log(sum(math.exp(other) for other in row)) for z in row]
            losses.append(-(1 - smoothing) * logs[label] - smoothing * sum(logs) / classes)
            errors.append(float(row.index(max(row)) != label))
        count = max(len(losses), 1)
        found = cross_entropy(outputs, targets, label_smoothing=smoothing)
        assert float(found[example]) == pytest.approx(sum(losses) / count, abs=1e-9)
        assert float(classification_error(outputs, targets)[example]) == pytest.approx(sum(errors) / count)
        assert int(counted_targets(targets)[example]) == len(losses)
        assert int(counted_examples(targets)[example]) == (len(losses) > 0)
        weighted = weighted_by_targets(cross_entropy, 1.5)(outputs, targets, label_smoothing=smoothing)
        assert float(weighted[example]) == pytest.approx(sum(losses) / 1.5, rel=1e-6)


def test_a_row_of_nan_is_an_error_and_the_first_of_equal_outputs_counts() -> None:
    outputs = torch.tensor([[math.nan, 1.0], [1.0, 1.0], [1.0, 1.0], [0.0, math.nan]])
    assert classification_error(outputs, torch.tensor([0, 0, 1, IGNORED])).tolist() == [1, 0, 1, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), axes, axes)
def test_classes_fit_outputs_without_their_second_axis_and_nothing_else(
    batch: int, classes: int, more: list[int], given_axes: list[int]
) -> None:
    outputs = torch.zeros(batch, classes, *more)
    fits = classes >= 2 and given_axes == more
    targets = torch.zeros(batch, *given_axes, dtype=torch.int64)
    for loss in (cross_entropy, classification_error):
        if fits:
            assert loss(outputs, targets).shape == (batch,)
            continue
        with pytest.raises(
            InputError, match="needs one output for each class" if classes == 1 else "needs class numbers"
        ):
            loss(outputs, targets)
        with pytest.raises(InputError, match="needs one output for each class"):
            loss(torch.zeros(batch), torch.zeros(batch).long())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3), axes, st.sampled_from(["same", "outputs", "targets"]))
def test_squared_errors_number_by_number(seed: int, batch: int, more: list[int], column: str) -> None:
    rng = torch.Generator().manual_seed(seed)
    outputs, targets = (torch.randn(batch, *more, generator=rng, dtype=torch.float64) for _ in range(2))
    expected = [(outputs[i] - targets[i]).square().mean().item() for i in range(batch)]
    if column == "outputs":
        outputs = outputs.unsqueeze(-1)
    if column == "targets":
        targets = targets.unsqueeze(-1)
    found = squared_error(outputs, targets.float().to(torch.float64))
    assert found.shape == (batch,)
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [((3, 2), (3,)), ((3,), (3, 2)), ((3, 1, 1), (3,)), ((3, 1), (2,)), ((1, 3), (3,))],
)
def test_squared_errors_do_not_broadcast(outputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="squared_error needs targets of the outputs' shape"):
        squared_error(torch.zeros(outputs), torch.zeros(targets))


@pytest.mark.parametrize(
    ("outputs", "targets", "fix"),
    [
        ((4, 3), torch.zeros(4, 1).long(), r"targets\.squeeze\(1\)"),
        ((4, 3, 5), torch.zeros(4, 1, 5).long(), r"targets\.squeeze\(1\)"),
        ((4, 7, 3), torch.zeros(4, 7).long(), r"outputs\.transpose\(1, 2\)"),
        ((4, 3), torch.zeros(4, 3).long(), r"targets\.argmax\(1\)"),
        ((4, 3), torch.zeros(4), r"targets\.long\(\)"),
        ((4, 3), torch.zeros(4, 5), "one class number for each row"),
        ((4, 3), torch.zeros(5).long(), "one class number for each row"),
        ((4, 7, 3), torch.zeros(4).long(), "one class number for each row"),
    ],
)
def test_the_fix_fits_the_shapes(outputs: tuple[int, ...], targets: torch.Tensor, fix: str) -> None:
    with pytest.raises(InputError, match=fix):
        cross_entropy(torch.zeros(outputs), targets)
    if not targets.is_floating_point():
        with pytest.raises(InputError, match=fix):
            classification_error(torch.zeros(outputs), targets)


def test_distributions_over_classes_are_averaged_over_all_places() -> None:
    outputs = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shares = torch.softmax(outputs.flip(0), 1)
    expected = -(shares * outputs.log_softmax(1)).sum(1).mean(1)
    assert torch.allclose(cross_entropy(outputs, shares.float()), expected, rtol=1e-5)
    flat = cross_entropy(outputs[..., 0], shares[..., 0])
    assert flat.shape == (2,)
    with pytest.raises(InputError):
        cross_entropy(torch.zeros(3), torch.zeros(3))


def test_which_losses_leave_padding_out() -> None:
    assert is_built_in(cross_entropy)
    assert is_built_in(partial(cross_entropy, label_smoothing=0.1))
    assert is_built_in(classification_error)
    assert not is_built_in(squared_error)
    assert not is_built_in(partial(squared_error))
