r"""Noise scales in the norm of an optimizer's step, from per-example gradients at one state of the model.

An optimizer that steps in the steepest direction of a norm sees the gradient in the dual norm. A batch size
at which the noise of the mean gradient equals the signal there, (noise of one example / signal)^2, is its
noise scale (Naganuma et al. 2026 [V README]). With G the mean gradient and s_i the standard deviation of
coordinate i:

- `euclidean` (SGD): tr(Sigma) / |G|^2;
- `l1` (sign-like, Adam): (sum_i s_i)^2 / |G|_1^2;
- `nuclear` (Muon): (sum tr (E N N^T)^(1/2))^2 / (sum |G|_*)^2 over the matrices of hidden layers, with N one
  example's noise of a matrix; the square root bounds E|N|_* from above [D];
- `preconditioned` (Adam): tr(P Sigma) / G^T P G with P = 1 / (sqrt(v) + epsilon): Euclidean in the
  coordinates in which Adam with these second moments v is gradient descent [D].

Parts of the quadratic ones are estimated without bias. Those of the other two are not: the norm of a noisy
mean is too large. So their signal is enclosed: from above by the norm of the mean, from below by the mean
product of a part of the examples with the dual direction of the others, <dual(G_-k), G_k>, whose expectation
is at most the norm [D]. The noise scale given is that of the lower one, so it is too large rather than too
small, by as much as the examples are fewer than it; the interval reaches from the low end of one to the high
end of the other. The noise parts are square roots of unbiased variances, a little too small for few examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from headrace.checks import number, whole
from headrace.errors import InputError
from headrace.training._gradient_sums import Named, Sums, total_of
from headrace.training.hidden import hidden_matrices
from headrace.training.losses import Loss, cross_entropy
from headrace.training.noise import NoiseEstimate, estimate
from headrace.training.per_example import gradients_of

GROUPS = 16
"""Parts into which the examples are split for intervals."""
NORMS = ("euclidean", "l1", "nuclear", "preconditioned")


@dataclass(frozen=True, kw_only=True)
class MatchedNoise:
    """A noise scale in one norm.

    Attributes:
        norm: One of `NORMS`.
        noise_scale: In examples; infinite if no signal is seen.
        interval: Its interval; infinite above if the signal cannot be distinguished from zero.
        noise: Of one example: tr(Sigma), tr(P Sigma), or the square of the summed deviations.
        signal: The square of the gradient's norm; the lower one, where it is enclosed.
        examples: From how many examples' gradients.
        level: Of the interval.
    """

    norm: str
    noise_scale: float
    interval: tuple[float, float]
    noise: float
    signal: float
    examples: int
    level: float


def matched_noise(
    model: nn.Module,
    inputs: Any,
    targets: Shaped[Tensor, "examples ..."],
    loss: Loss = cross_entropy,
    *,
    second_moments: Named | None = None,
    batch_size: int | None = None,
    epsilon: float = 1e-8,
    chunk: int | None = None,
    level: float = 0.95,
) -> dict[str, MatchedNoise]:
    """The noise scales of `model` as it is; gradients are those of evaluation mode.

    Memory: 2 `GROUPS` times the parameters that need a gradient, and a square of the shorter side of each
    hidden matrix as often.

    Args:
        model: Any module that `torch.func` can transform.
        inputs: On the model's device, drawn at random from the training set; at least twice `GROUPS`.
        targets: Of the inputs.
        loss: One loss per example.
        second_moments: Parameter -> Adam's second moments, as `second_moments_of` reads them.
        batch_size: In their place: second moments as they settle at this batch size, G^2 + Sigma_ii / B.
        epsilon: Adam's.
        chunk: Examples whose gradients are held at once; None for as many as 64 MiB hold.
        level: Of the intervals, which cover the choice of the examples.

    Returns:
        Norm -> noise scale; "nuclear" if the model has matrices of hidden layers, "preconditioned" if second
        moments or a batch size are given.

    Raises:
        InputError: Too few examples, or nothing to train.
    """
    if len(targets) < 2 * GROUPS:
        raise InputError(f"needs at least {2 * GROUPS} examples", where="matched_noise", got=len(targets))
    number(level, "level", above=0, below=1)
    hidden = hidden_matrices(model)
    matrices = frozenset(name for name, p in model.named_parameters() if p.requires_grad and id(p) in hidden)
    groups = [Sums(matrices) for _ in range(GROUPS)]
    rows = torch.arange(len(targets)) % GROUPS
    order = torch.argsort(rows, stable=True)
    of = rows[order]
    seen = 0
    for gradients in gradients_of(model, inputs, targets, loss, chunk=chunk, order=order):
        count = len(next(iter(gradients.values())))
        for group in of[seen : seen + count].unique().tolist():
            mine = (of[seen : seen + count] == group).nonzero()[:, 0]
            groups[group].add({name: g[mine.to(g.device)] for name, g in gradients.items()})
        seen += count
    weights = _weights(groups, second_moments, batch_size, epsilon)
    return _estimates(groups, weights, level)


def second_moments_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's second moments by parameter, corrected for their start at zero.

    Args:
        model: Whose parameters.
        optimizer: `torch.optim.Adam` or `AdamW`, after at least one step.

    Raises:
        InputError: A parameter that needs a gradient has none.
    """
    beta2 = {id(p): group["betas"][1] for group in optimizer.param_groups for p in group["params"]}
    found: dict[str, Tensor] = {}
    for name, p in model.named_parameters():
        if not p.requires_grad:
            continue
        state: Mapping[str, Any] = optimizer.state.get(p, {})
        if "exp_avg_sq" not in state:
            raise InputError("the optimizer has no second moments of a parameter", where=name)
        found[name] = state["exp_avg_sq"].detach() / (1 - beta2[id(p)] ** float(state["step"]))
    return found


def _weights(
    groups: Sequence[Sums], given: Named | None, batch_size: int | None, epsilon: float
) -> dict[str, Tensor] | None:
    """The preconditioner's diagonal, 1 / (sqrt(v) + epsilon); None without second moments."""
    if given is None and batch_size is None:
        return None
    total = total_of(groups)
    if given is not None:
        if missing := [name for name in total.sums if name not in given]:
            raise InputError(
                "second moments of a parameter are missing", where="second_moments", got=missing[0]
            )
        moments = {name: given[name].to(total.sums[name]) for name in total.sums}
    else:
        size = whole(batch_size, "batch_size", least=1)
        moments = {}
        for name in total.sums:
            variance = total.variance(name)
            signal = (total.mean(name).square() - variance / total.count).clamp(min=0)
            moments[name] = signal + variance / size
    return {name: 1 / (value.sqrt() + epsilon) for name, value in moments.items()}


def _estimates(groups: Sequence[Sums], weights: Named | None, level: float) -> dict[str, MatchedNoise]:
    total = total_of(groups)
    left = [total - group for group in groups]
    found = {"euclidean": _quadratic(total, left, None, level)}
    if weights is not None:
        found["preconditioned"] = _quadratic(total, left, weights, level)
    every = [*total.sums]
    found["l1"] = _enclosed(groups, left, _L1, every, level)
    if matrices := sorted(total.matrices):
        found["nuclear"] = _enclosed(groups, left, _NUCLEAR, matrices, level)
    return {
        norm: MatchedNoise(norm=norm, examples=total.count, level=level, **found[norm])
        for norm in NORMS
        if norm in found
    }


def _quadratic(total: Sums, left: Sequence[Sums], weights: Named | None, level: float) -> dict[str, Any]:
    """Unbiased parts, and Fieller's interval by the jackknife over groups of examples."""
    whole_, parts = _moments(total, weights), np.array([_moments(one, weights) for one in left])
    signal, noise = (len(left) * np.array(whole_) - (len(left) - 1) * parts).T
    pairs: NoiseEstimate = estimate(signal, noise, level=level)
    scale = whole_[1] / whole_[0] if whole_[0] > 0 else math.inf
    return {
        "noise_scale": max(scale, 0.0),
        "interval": pairs.interval or (0.0, math.inf),
        "noise": whole_[1],
        "signal": whole_[0],
    }


def _moments(sums: Sums, weights: Named | None) -> tuple[float, float]:
    """G^T P G and tr(P Sigma), without bias."""
    square = noise = 0.0
    for name in sums.sums:
        p = 1.0 if weights is None else weights[name]
        square += float((p * sums.mean(name).square()).sum())
        noise += float((p * sums.variance(name)).sum())
    return square - noise / sums.count, noise


@dataclass(frozen=True)
class _Norm:
    """A norm of a gradient: its value, the direction that attains it, and the noise of one example in it."""

    value: Callable[[Tensor], Tensor]
    direction: Callable[[Tensor], Tensor]
    noise: Callable[[Sums, str], Tensor]


def _orthogonal(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    return left @ right


_L1 = _Norm(
    value=lambda g: g.abs().sum(),
    direction=torch.sign,
    noise=lambda sums, name: sums.variance(name).sqrt().sum(),
)
_NUCLEAR = _Norm(
    value=lambda g: torch.linalg.svdvals(g).sum(),
    direction=_orthogonal,
    noise=lambda sums, name: sums.root_trace(name),
)


def _enclosed(
    groups: Sequence[Sums], left: Sequence[Sums], norm: _Norm, names: Sequence[str], level: float
) -> dict[str, Any]:
    """A noise scale whose signal is enclosed from both sides."""
    from scipy.special import stdtrit

    count, total = len(groups), total_of(groups)
    t = float(stdtrit(count - 1, (1 + level) / 2))
    products = np.array(
        [
            sum(float((norm.direction(rest.mean(name)) * part.mean(name)).sum()) for name in names)
            for part, rest in zip(groups, left, strict=True)
        ]
    )
    above, above_error = _jackknife(
        total, left, lambda sums: sum(float(norm.value(sums.mean(name))) for name in names)
    )
    noise, noise_error = _jackknife(
        total, left, lambda sums: sum(float(norm.noise(sums, name)) for name in names)
    )
    below, below_error = float(products.mean()), float(products.std(ddof=1)) / math.sqrt(count)
    low = max(noise - t * noise_error, 0.0) / (above + t * above_error) if above > 0 else 0.0
    least = below - t * below_error
    return {
        "noise_scale": (noise / below) ** 2 if below > 0 else math.inf,
        "interval": (low**2, ((noise + t * noise_error) / least) ** 2 if least > 0 else math.inf),
        "noise": noise**2,
        "signal": max(below, 0.0) ** 2,
    }


def _jackknife(total: Sums, left: Sequence[Sums], value: Callable[[Sums], float]) -> tuple[float, float]:
    """A value of all examples, and its standard error by leaving out each group."""
    parts = np.array([value(one) for one in left])
    count = len(parts)
    return value(total), math.sqrt((count - 1) / count * float(((parts - parts.mean()) ** 2).sum()))
