"""The noise scale: closed forms, brute force over all per-example gradients, coverage of its interval."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import headrace
from headrace.errors import InputError
from headrace.random import generator, torch_generator, torch_stream
from headrace.training.noise import estimate, parts_and_whole, per_example, ratio_interval, two_batch_sizes
from headrace.training.noise_scale import NoiseScale
from headrace.training.per_example import per_example_noise, per_example_pairs

EXAMPLES = 60


def problem() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A small network in float64 with its data."""
    rng = torch_generator(0, "noise")
    with torch_stream(0, "model"):
        model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 3)).double()
    inputs = torch.randn(EXAMPLES, 5, generator=rng, dtype=torch.float64)
    return model.eval(), inputs, torch.randint(0, 3, (EXAMPLES,), generator=rng)


def gradients(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    """Every example's gradient, one plain backward pass each."""
    rows = []
    for x, y in zip(inputs, targets, strict=True):
        found = torch.autograd.grad(functional.cross_entropy(model(x[None]), y[None]), model.parameters())
        rows.append(torch.cat([part.flatten() for part in found]).numpy())
    return np.array(rows)


def truth(rows: np.ndarray) -> tuple[float, float]:
    """|G|^2 and tr(Sigma) of the population that these gradients are, drawn from with replacement."""
    return float((rows.mean(0) ** 2).sum()), float(rows.var(0).sum())


def test_two_batch_sizes_by_hand() -> None:
    # |G|^2 = 3 and tr(Sigma) = 40: expected squared norms 3 + 40/4 and 3 + 40/20.
    assert two_batch_sizes(13.0, 5.0, 4, 20) == pytest.approx((3.0, 40.0))
    with pytest.raises(InputError, match="the smaller first"):
        two_batch_sizes(1.0, 1.0, 20, 4)


def test_equal_parts_are_the_two_batch_sizes_and_a_common_factor_cancels() -> None:
    # Four parts of 5 of 20: each part's own mean gradient has the squared norm 13.
    parts, whole = np.array([4 * 13 / 16]), np.array([5.0])
    signal, noise = parts_and_whole(parts, whole, 20, 1 / 4)
    expected = two_batch_sizes(13.0, 5.0, 5, 20)
    assert (signal[0], noise[0]) == pytest.approx(expected)
    tripled = parts_and_whole(9 * parts, 9 * whole, 20, 1 / 4)
    assert tripled[1][0] / tripled[0][0] == pytest.approx(noise[0] / signal[0])


def test_per_example_pseudo_values_are_the_jackknife() -> None:
    rows = generator(0, "rows").normal(0.3, 1, (9, 4))

    def both(some: np.ndarray) -> np.ndarray:
        mean, n = some.mean(0), len(some)
        noise = n / (n - 1) * ((some**2).sum(1).mean() - (mean**2).sum())
        return np.array([(mean**2).sum() - noise / n, noise])

    squares, products = (rows**2).sum(1), rows @ rows.mean(0)
    found = np.stack(per_example(squares, products, float((rows.mean(0) ** 2).sum())))
    without = np.stack([both(np.delete(rows, i, 0)) for i in range(9)], 1)
    np.testing.assert_allclose(found, 9 * both(rows)[:, None] - 8 * without)
    np.testing.assert_allclose(found.mean(1), both(rows))
    with pytest.raises(InputError, match="at least three examples; got 2"):
        per_example(squares[:2], products[:2], 1.0)


@pytest.mark.parametrize("chunk", [None, 7])
def test_per_example_gradients_are_those_of_single_examples(chunk: int | None) -> None:
    model, inputs, targets = problem()
    rows = gradients(model, inputs, targets)
    model.train()
    signal, noise = per_example_pairs(model, inputs, targets, chunk=chunk)
    expected = per_example((rows**2).sum(1), rows @ rows.mean(0), float((rows.mean(0) ** 2).sum()))
    np.testing.assert_allclose((signal, noise), expected, rtol=1e-9)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    found = per_example_noise(model, inputs, targets)
    sample_variance = rows.var(0, ddof=1).sum()
    assert found.noise == pytest.approx(sample_variance)
    assert found.signal == pytest.approx(truth(rows)[0] - sample_variance / EXAMPLES)


def test_frozen_and_unused_parameters_and_batch_normalisation() -> None:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
            self.unused = nn.Linear(2, 2)
            self.layers[0].bias.requires_grad_(False)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.layers(inputs)

    with torch_stream(0, "partly"):
        model = Partly()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = per_example_noise(
        model, torch.randn(8, 5, generator=torch_generator(0, "x")), torch.arange(8) % 3
    )
    assert found.noise > 0
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def accumulate(
    model: nn.Module, noise: NoiseScale, inputs: torch.Tensor, targets: torch.Tensor, sizes: list[int]
) -> None:
    model.zero_grad()
    for x, y in zip(inputs.split(sizes), targets.split(sizes), strict=True):
        (functional.cross_entropy(model(x), y, reduction="sum") / len(inputs)).backward()


@pytest.mark.parametrize("sizes", [[6, 6, 6], [8, 8, 2]])
def test_accumulation_is_unbiased_against_brute_force(sizes: list[int]) -> None:
    """Over many batches drawn with replacement, the means are within 4 standard errors of the truth."""
    model, inputs, targets = problem()
    signal, noise = truth(gradients(model, inputs, targets))
    rng = generator(0, "batches", len(set(sizes)))
    with headrace.NoiseScale(model.parameters()) as measure:
        for _ in range(600):
            indices = torch.as_tensor(rng.integers(0, EXAMPLES, sum(sizes)))
            accumulate(model, measure, inputs[indices], targets[indices], sizes)
            measure.step(sizes)
    signals, noises = measure.pairs()
    assert len(measure) == len(signals) == 600
    for found, expected in ((signals, signal), (noises, noise)):
        error = found.std(ddof=1) / math.sqrt(len(found))
        assert error < 0.15 * expected
        assert abs(found.mean() - expected) < 4 * error
    low, high = measure.estimate().interval
    assert low < noise / signal < high
    model.zero_grad()
    functional.cross_entropy(model(inputs), targets).backward()
    assert measure._norms == []  # the hooks are gone


def test_one_step_by_hand() -> None:
    """Parts (3, 0) and (1, 2) of 4 examples each, already shares of the mean: whole (4, 2)."""
    weight = nn.Parameter(torch.zeros(2))
    measure = NoiseScale([weight])
    (weight * torch.tensor([3.0, 0.0])).sum().backward()
    (weight * torch.tensor([1.0, 2.0])).sum().backward()
    measure.step(8)
    signal, noise = measure.pairs()
    # Twice the product of the two parts, over 1 - 1/2; B (whole - signal).
    assert (signal[0], noise[0]) == (12.0, 8 * (20 - 12))


def test_blocks_state_and_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.training.noise_scale._BLOCK", 4)
    weight = nn.Parameter(torch.zeros(1))
    measure = NoiseScale([weight])
    for value in range(1, 12):
        for part in (value, 1.0):
            (weight * part).sum().backward()
        measure.step(10)
        weight.grad = None
        if value == 6:
            other = NoiseScale([nn.Parameter(torch.zeros(1))])
            other.load_state_dict(measure.state_dict())
            assert [*other.pairs()[0]] == [*measure.pairs()[0]]
    # The signal of a step is 2 * 2 * value * 1.
    assert [*measure.pairs()[0]] == [4.0 * value for value in range(1, 12)]
    assert measure.estimate(last=2).signal == pytest.approx(42)
    assert measure.estimate(half_life=1e-3).signal == pytest.approx(44)
    assert measure.estimate(half_life=1e-3).interval is None
    ages = np.arange(10, -1, -1)
    expected = np.average(4.0 * np.arange(1, 12), weights=0.5 ** (ages / 3))
    assert measure.estimate(half_life=3).signal == pytest.approx(expected)
    with pytest.raises(InputError, match="must be 1"):
        other.load_state_dict({**measure.state_dict(), "version": 2})


@pytest.mark.parametrize(
    "dtypes", list(itertools.permutations([torch.float16, torch.float32, torch.float64]))
)
def test_a_state_keeps_every_digit_of_parameters_of_several_types(dtypes: tuple[torch.dtype, ...]) -> None:
    def weights() -> list[nn.Parameter]:
        return [nn.Parameter(torch.zeros(2, dtype=dtype)) for dtype in dtypes]

    there, fresh = weights(), NoiseScale(weights())
    measure = NoiseScale(there)
    for step in range(1, 4):
        for part in (1 / 3, step / 7):
            sum((weight * part).sum().double() for weight in there).backward()
        measure.step(6)
        for weight in there:
            weight.grad = None
    fresh.load_state_dict(json.loads(json.dumps(measure.state_dict())))
    for kept, found in zip(measure.pairs(), fresh.pairs(), strict=True):
        assert kept.tolist() == found.tolist()
    assert fresh.state_dict() == measure.state_dict()


def test_a_step_that_overflowed_is_left_out() -> None:
    weight = nn.Parameter(torch.zeros(1))
    measure = NoiseScale([weight])
    for value in (1.0, math.inf, 2.0):
        for _ in range(2):
            (weight * value).sum().backward()
        measure.step(4)
        weight.grad = None
    assert len(measure.pairs()[0]) == 2


def test_wrong_use_is_refused() -> None:
    weight = nn.Parameter(torch.zeros(1))
    with pytest.raises(InputError, match="no parameter needs a gradient"):
        NoiseScale([nn.Parameter(torch.zeros(1), requires_grad=False)])
    measure = NoiseScale([weight])
    with pytest.raises(InputError, match="nothing was measured yet"):
        measure.estimate()
    weight.sum().backward()
    with pytest.raises(InputError, match="at least two parts; got '1 backward passes'"):
        measure.step(4)
    weight.sum().backward()
    weight.sum().backward()
    with pytest.raises(InputError, match="3 sizes and 2 passes"):
        measure.step([4, 4, 4])
    for _ in range(2):
        weight.sum().backward()
    with pytest.raises(InputError, match="examples: must be at least 1"):
        measure.step([4, 0])
    for name in ("last", "half_life", "level"):
        with pytest.raises(InputError, match=name):
            _measured().estimate(**{name: -1})


def _measured() -> NoiseScale:
    weight = nn.Parameter(torch.zeros(1))
    measure = NoiseScale([weight])
    for _ in range(2):
        weight.sum().backward()
    measure.step(4)
    return measure


def test_ranks_are_parts_of_a_mean_over_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ranks with one part each, (3, 0) and (1, 2): the averaged gradient is (2, 1)."""
    other_rank = 5.0
    monkeypatch.setattr("torch.distributed.all_reduce", lambda parts: parts.add_(other_rank))
    weight = nn.Parameter(torch.zeros(2))
    measure = NoiseScale([weight], ranks=2)
    (weight * torch.tensor([3.0, 0.0])).sum().backward()
    weight.grad = torch.tensor([2.0, 1.0])  # as DistributedDataParallel leaves it
    measure.step(8)
    signal, noise = measure.pairs()
    # Shares (1.5, 0) and (0.5, 1).
    assert (signal[0], noise[0]) == (4 * 0.75, 8 * (5 - 3))


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Means of 30 correlated pairs: strong signal, weak signal, and none, where only infinity is true."""
    rng = generator(0, "coverage")
    # Only one side can miss an infinite ratio.
    for signal, share in ((1.0, 0.9), (0.25, 0.9), (0.0, 0.95)):
        hits = 0
        for _ in range(1500):
            common = rng.normal(size=30)
            x = signal + common
            y = 5 + 0.5 * common + rng.normal(size=30)
            low, high = estimate(x, y, level=0.9).interval
            hits += low <= (5 / signal if signal else math.inf) <= high
        assert abs(hits / 1500 - share) < 4 * math.sqrt(share * (1 - share) / 1500), signal


def test_the_interval_of_real_gradients_covers() -> None:
    """Squared norms of Gaussian gradients: skewed, and the two estimates are dependent."""
    rng = generator(1, "coverage")
    mean, hits, runs = np.full(20, 0.3), 0, 600
    for _ in range(runs):
        parts = rng.normal(mean, 1 / math.sqrt(8), (40, 4, 20)) / 4
        pairs = parts_and_whole((parts**2).sum((1, 2)), (parts.sum(1) ** 2).sum(1), 32, 1 / 4)
        low, high = estimate(*pairs).interval
        hits += low <= 20 / (20 * 0.09) <= high
    assert 0.92 < hits / runs < 0.98


def test_the_jackknife_interval_covers() -> None:
    rng = generator(2, "coverage")
    mean, hits, runs = np.full(10, 0.3), 0, 600
    for _ in range(runs):
        rows = rng.normal(mean, 1, (60, 10))
        pairs = per_example((rows**2).sum(1), rows @ rows.mean(0), float((rows.mean(0) ** 2).sum()))
        low, high = estimate(*pairs).interval
        hits += low <= 10 / 0.9 <= high
    assert 0.92 < hits / runs < 0.99


def test_the_ends_of_the_interval() -> None:
    certain = np.zeros((2, 2))
    assert ratio_interval(np.array([2.0, 10.0]), certain, 2.0) == pytest.approx((5.0, 5.0))
    # A signal of 1 +- 1 with a noise that is known: from 10 / 3 up, without an end.
    signal_only = np.array([[1.0, 0.0], [0.0, 0.0]])
    low, high = ratio_interval(np.array([1.0, 10.0]), signal_only, 2.0)
    assert (low, high) == (pytest.approx(10 / 3), math.inf)
    # A noise of 1 +- 1 with a signal that is known: from 0 to 3 / 2.
    assert ratio_interval(np.array([2.0, 1.0]), np.diag([0.0, 1.0]), 2.0) == pytest.approx((0.0, 1.5))
    assert ratio_interval(np.array([0.1, 0.1]), np.diag([1.0, 1.0]), 2.0) == (0.0, math.inf)
    found = estimate(np.array([-1.0, -2.0]), np.array([5.0, 6.0]))
    assert found.noise_scale == math.inf
    assert found.to_dict()["noise_scale"] is None


@pytest.mark.parametrize(("ranks", "sizes"), [(1, [2, 4]), (2, [3, 3]), (3, [2, 4, 1])])
def test_the_shares_are_those_of_every_part_of_every_rank(ranks: int, sizes: list[int]) -> None:
    measure = NoiseScale([nn.Parameter(torch.zeros(2))], ranks=ranks)
    total, share = measure._shares_of(sizes, len(sizes))
    everyone = sizes * ranks
    assert total == sum(everyone)
    assert share == pytest.approx(sum((size / total) ** 2 for size in everyone))
    if len(set(sizes)) == 1:
        assert measure._shares_of(total, len(sizes)) == (total, pytest.approx(share))


def test_a_state_of_gradients_that_vanished_is_taken_back() -> None:
    weight = nn.Parameter(torch.zeros(2))
    measure, fresh = NoiseScale([weight]), NoiseScale([nn.Parameter(torch.zeros(2))])
    for _ in range(2):
        (weight * 0.0).sum().backward()
    measure.step(4)
    assert measure.state_dict()["squares"] == [[0.0, 0.0]]
    fresh.load_state_dict(measure.state_dict())
    assert fresh.state_dict() == measure.state_dict()
