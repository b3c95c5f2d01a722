"""Probabilities as files and half precision leave them: taken as what they were, or refused with the fix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.ensembles import EnsembleStatistics, acquisition
from headrace.errors import InputError


def softmax(seed: int, rows: int, classes: int, scale: float) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.randn(rows, classes, generator=rng, dtype=torch.float64) * scale).softmax(1)


def added(*members: torch.Tensor) -> EnsembleStatistics:
    statistics = EnsembleStatistics(*members[0].shape)
    for member in members:
        statistics.add_member(0, member)
    return statistics


ROUNDINGS = {
    "half": lambda p: p.half(),
    "half, then float": lambda p: p.half().float(),
    "bfloat16, then double": lambda p: p.to(torch.bfloat16).double(),
    "three decimals": lambda p: (p * 1e3).round() / 1e3,
    "five decimals": lambda p: (p * 1e5).round() / 1e5,
    "a little below zero": lambda p: p - 1e-9 * (p == p.min(1, keepdim=True).values),
}


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(2, 12),
    scale=st.sampled_from([0.1, 3.0, 30.0]),
    rounding=st.sampled_from(sorted(ROUNDINGS)),
)
def test_rounded_probabilities_are_what_they_were(
    seed: int, classes: int, scale: float, rounding: str
) -> None:
    whole = [softmax(seed + number, 6, classes, scale) for number in range(2)]
    rounded = added(*(ROUNDINGS[rounding](member) for member in whole))
    exact = added(*whole)
    total = rounded.probability_sum.sum(1).numpy()
    assert np.allclose(total, 2, atol=3e-4)
    assert (rounded.entropy_sum >= 0).all()
    for function in (acquisition.entropy, acquisition.mutual_information):
        found = function(rounded)
        assert (found >= 0).all()
        assert np.allclose(found, function(exact), atol=0.05)


def test_a_row_does_not_depend_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.cat(
        [softmax(0, 3, 4, 2.0), softmax(1, 3, 4, 2.0).half().double(), torch.eye(4)[:2].double()]
    )
    rows[3] *= 1.004
    together = added(rows)
    monkeypatch.setattr("headrace.ensembles._probabilities.BLOCK_ELEMENTS", 4)
    alone = added(rows)
    assert together.probability_sum.equal(alone.probability_sum)
    assert together.entropy_sum.equal(alone.entropy_sum)
    assert together.probability_sum[:3].equal(rows[:3])
    assert float(together.probability_sum[3].sum()) == pytest.approx(1, abs=1e-12)


def test_what_was_given_is_not_altered() -> None:
    rows = (softmax(2, 5, 3, 1.0) * 1000).round() / 1000
    rows[0] = torch.tensor([0.333, 0.333, 0.333])
    before = rows.clone()
    added(rows)
    assert rows.equal(before)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (torch.tensor([[70.0, 30.0]]), "outside 0..1; got 70.0. Divide percentages by 100"),
        (torch.tensor([[0.7, 0.3]]).log(), "log-probabilities: give their exp"),
        (torch.tensor([[2.0, -3.0]]), r"not logits: softmax\(logits\)"),
        (torch.tensor([[0.9, 0.05]]), r"sum to one; got 0.9.*p / p.sum\(1, keepdims=True\)"),
        (torch.tensor([[0.0, 0.0]]), "sum to one; got 0.0"),
        (torch.tensor([[np.nan, 1.0]]), "is NaN"),
        (torch.tensor([[-np.inf, 1.0]]), "outside 0..1; got -inf"),
        (torch.tensor([[70, 30]]), "floating-point numbers; got .*divide percentages"),
        (torch.tensor([[0.3]]), r"torch.stack\(\[1 - p, p\], 1\)"),
        (torch.tensor([0.3]), r"torch.stack\(\[1 - p, p\], 1\)"),
    ],
)
def test_others_are_refused_with_the_fix(rows: torch.Tensor, words: str) -> None:
    with pytest.raises(InputError, match=f"(?s){words}"):
        EnsembleStatistics(1, 2).add_member(0, rows)


def test_yes_and_no_for_each_class_is_clipped() -> None:
    statistics = EnsembleStatistics(1, 2, multilabel=True)
    statistics.add_member(0, torch.tensor([[1 + 1e-7, -1e-9]], dtype=torch.float64))
    assert statistics.probability_sum.tolist() == [[1.0, 0.0]]
    assert statistics.entropy_sum.tolist() == [0.0]
    with pytest.raises(InputError, match="outside"):
        statistics.add_member(0, torch.tensor([[1.01, 0.2]]))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.bool])
def test_targets_of_any_integer_type(dtype: torch.dtype) -> None:
    statistics = EnsembleStatistics(2, 2)
    statistics.add_member(0, torch.tensor([[0.9, 0.1], [0.9, 0.1]]), torch.tensor([0, 1]).to(dtype))
    assert statistics.errors.tolist() == [0, 1]


def test_ignored_targets_are_refused() -> None:
    with pytest.raises(InputError, match=r"got -100. Leave targets out if labels are hidden"):
        EnsembleStatistics(1, 2).add_member(0, torch.tensor([[0.5, 0.5]]), torch.tensor([-100]))


@pytest.mark.parametrize("kind", [">f8", ">f4", np.longdouble])
def test_probabilities_of_types_that_torch_lacks_are_taken(kind: Any) -> None:
    rows = np.array([[0.25, 0.75], [0.5, 0.5]])
    made = EnsembleStatistics(2, 2)
    made.add_member(0, rows.astype(kind), np.array([1, 0], dtype=">i8"))
    assert np.array_equal(made.probability_sum.numpy(), rows)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.array([["a", "b"]]), "an array of numbers is needed"),
        (np.array([[0.5, None]], dtype=object), "an array of numbers is needed"),
        (np.ma.masked_greater(np.array([[0.25, 0.75]]), 0.5), "1 values are masked"),
    ],
)
def test_what_is_not_an_array_of_numbers_is_refused(given: np.ndarray, words: str) -> None:
    made = EnsembleStatistics(1, 2)
    with pytest.raises(InputError, match=words):
        made.add_member(0, given)
    with pytest.raises(InputError, match="start: must be a whole number"):
        made.add_member(0.0, np.array([[0.25, 0.75]]))  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="num_examples: must be a whole number"):
        EnsembleStatistics("3", 2)  # pyright: ignore[reportArgumentType]
