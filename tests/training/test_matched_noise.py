"""Noise scales in the norm of an optimizer's step: Gaussian gradients whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headrace import random
from headrace.errors import InputError
from headrace.training.matched_noise import MatchedNoise, matched_noise, second_moments_of
from headrace.training.per_example import per_example_noise

ROWS, COLUMNS = 3, 5


class Products(nn.Module):
    """A loss <W, x>: the gradient of an example is the example."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(ROWS, COLUMNS, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).flatten(1).sum(1)


def product(outputs: Tensor, _targets: Tensor) -> Tensor:
    return outputs


def mean_gradient(size: float) -> np.ndarray:
    return size * random.generator(0, "mean").normal(size=(ROWS, COLUMNS))


LEFT = np.array([[1.0, 0.0, 0.0], [0.6, 0.5, 0.0], [-0.3, 0.2, 2.0]])
"""Noise is LEFT Z: rows are correlated, columns are not."""


def drawn(examples: int, seed: int, size: float = 0.4) -> Tensor:
    z = random.generator(seed, "noise").normal(size=(examples, ROWS, COLUMNS))
    return torch.from_numpy(mean_gradient(size) + LEFT @ z)


def measured(examples: Tensor, **given) -> dict[str, MatchedNoise]:
    targets = torch.zeros(len(examples), dtype=torch.int64)
    return matched_noise(Products(), examples, targets, product, **given)


def truth(size: float = 0.4, batch_size: int = 8) -> dict[str, float]:
    """By the formulas, from G and the covariance of the rows."""
    g, rows = mean_gradient(size), LEFT @ LEFT.T
    variances = np.repeat(rows.diagonal()[:, None], COLUMNS, axis=1)
    p = 1 / (np.sqrt(g**2 + variances / batch_size) + 1e-8)
    root = np.sqrt(np.linalg.eigvalsh(COLUMNS * rows)).sum()
    return {
        "euclidean": variances.sum() / (g**2).sum(),
        "l1": (np.sqrt(variances).sum() / np.abs(g).sum()) ** 2,
        "nuclear": (root / np.linalg.svd(g, compute_uv=False).sum()) ** 2,
        "preconditioned": (p * variances).sum() / (p * g**2).sum(),
    }


def test_many_examples_give_the_truth() -> None:
    found = measured(drawn(40_000, 0), batch_size=8)
    assert found.keys() == truth().keys()
    for norm, one in found.items():
        assert one.noise_scale == pytest.approx(truth()[norm], rel=0.05), norm
        assert one.interval[0] < truth()[norm] < one.interval[1]
        assert one.examples == 40_000


@pytest.mark.parametrize(("examples", "size"), [(64, 0.4), (256, 0.4), (256, 0.1)])
def test_intervals_hold_the_truth(examples: int, size: float) -> None:
    expected = truth(size)
    held: dict[str, list[bool]] = {norm: [] for norm in expected}
    for seed in range(60):
        for norm, one in measured(drawn(examples, seed, size), batch_size=8).items():
            held[norm].append(one.interval[0] <= expected[norm] <= one.interval[1])
    for norm, hits in held.items():
        # The preconditioner is itself of these examples.
        assert np.mean(hits) >= 0.87, (norm, np.mean(hits))


def test_signals_are_enclosed_in_expectation_and_quadratic_parts_have_no_bias() -> None:
    g = mean_gradient(0.1)
    norms = {"l1": np.abs(g).sum(), "nuclear": np.linalg.svd(g, compute_uv=False).sum()}
    ones = [measured(drawn(64, seed, 0.1)) for seed in range(150)]
    for norm, value in norms.items():
        lows = np.sqrt([one[norm].signal for one in ones])
        assert lows.mean() < value + 3 * lows.std() / math.sqrt(len(lows))
    for part, value in (("signal", (g**2).sum()), ("noise", truth(0.1)["euclidean"] * (g**2).sum())):
        found = np.array([getattr(one["euclidean"], part) for one in ones])
        assert abs(found.mean() - value) < 4 * found.std() / math.sqrt(len(found)), part


def test_the_euclidean_one_is_that_of_per_example_gradients() -> None:
    examples = drawn(100, 3)
    targets = torch.zeros(100, dtype=torch.int64)
    plain = per_example_noise(Products(), examples, targets, product)
    ours = measured(examples, chunk=7)["euclidean"]
    assert ours.signal == pytest.approx(plain.signal, rel=1e-9)
    assert ours.noise == pytest.approx(plain.noise, rel=1e-9)
    assert ours.interval[1] == pytest.approx(plain.interval[1], rel=0.6)
    flat = {"weight": torch.ones(ROWS, COLUMNS, dtype=torch.float64)}
    same = measured(examples, second_moments=flat)["preconditioned"]
    assert same.noise_scale == pytest.approx(ours.noise_scale, rel=1e-6), (
        "an even preconditioner changes nothing"
    )


def test_each_norm_has_its_own_invariance() -> None:
    examples = drawn(128, 5)
    before = measured(examples, batch_size=8)
    turn = torch.from_numpy(np.linalg.qr(random.generator(0, "turn").normal(size=(ROWS, ROWS)))[0])
    turned = measured(turn @ examples, batch_size=8)
    for norm in ("euclidean", "nuclear"):
        assert turned[norm].noise_scale == pytest.approx(before[norm].noise_scale, rel=1e-6)
    assert turned["l1"].noise_scale != pytest.approx(before["l1"].noise_scale, rel=1e-3)
    larger = measured(10 * examples, batch_size=8)
    for norm, one in larger.items():
        assert one.noise_scale == pytest.approx(before[norm].noise_scale, rel=1e-5)


def test_no_signal_is_no_upper_end() -> None:
    for norm, one in measured(drawn(128, 1, 0.0), batch_size=8).items():
        assert math.isinf(one.interval[1]), norm


def test_only_matrices_of_hidden_layers_are_muons() -> None:
    stream = random.torch_generator(0, "model")
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    inputs = torch.randn(64, 4, generator=stream)
    targets = torch.randint(0, 3, (64,), generator=stream)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.5))
    nn.functional.cross_entropy(model(inputs), targets).backward()
    optimizer.step()
    moments = second_moments_of(model, optimizer)
    for name, p in model.named_parameters():
        torch.testing.assert_close(moments[name], p.grad.square())
    found = matched_noise(model, inputs, targets, second_moments=moments)
    assert set(found) == {"euclidean", "l1", "nuclear", "preconditioned"}
    linear = nn.Linear(4, 3)
    assert set(matched_noise(linear, inputs, targets)) == {"euclidean", "l1"}


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InputError, match="needs at least 32 examples; got 31"):
        measured(drawn(31, 0))
    with pytest.raises(InputError, match="second moments of a parameter are missing; got 'weight'"):
        measured(drawn(32, 0), second_moments={})
    model = nn.Linear(2, 2)
    with pytest.raises(InputError, match="weight: the optimizer has no second moments"):
        second_moments_of(model, torch.optim.AdamW(model.parameters()))
