"""The gradient noise scale from per-example gradients, at one state of the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from headrace.arrays import widest
from headrace.errors import InputError
from headrace.nested import mapped, rows
from headrace.training.evaluation import evaluation_mode
from headrace.training.losses import Loss, cross_entropy
from headrace.training.noise import NoiseEstimate, estimate, per_example

_NUMBERS = 2**24
"""Numbers in the per-example gradients held at once: 64 MiB in float32."""

Gradients = dict[str, Tensor]


def per_example_noise(
    model: nn.Module,
    inputs: Any,
    targets: Shaped[Tensor, "examples ..."],
    loss: Loss = cross_entropy,
    *,
    chunk: int | None = None,
    level: float = 0.95,
) -> NoiseEstimate:
    """The noise scale of `model` as it is, from the gradient of each of these examples.

    The gradients are those of evaluation mode (no dropout, running statistics), because with batch
    normalisation in training mode no example has a gradient of its own. The model and its gradients do not
    change.

    Args:
        model: Any module that `torch.func` can transform.
        inputs: On the model's device, drawn at random from the training set; at least three. A tensor
            [examples ...], or a dict, list or tuple of such.
        targets: Of the inputs.
        loss: One loss per example.
        chunk: Examples whose gradients are held at once; None for as many as 64 MiB hold.
        level: The level of the interval, which covers the choice of the examples.

    Raises:
        InputError: Fewer than three examples, or nothing to train.
    """
    signal, noise = per_example_pairs(model, inputs, targets, loss, chunk=chunk)
    return estimate(signal, noise, level=level)


def per_example_pairs(
    model: nn.Module,
    inputs: Any,
    targets: Shaped[Tensor, "examples ..."],
    loss: Loss = cross_entropy,
    *,
    chunk: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """As `per_example_noise`, the jackknife's pseudo-values of |G|^2 and tr(Sigma), one per example."""
    return per_example(*per_example_products(model, inputs, targets, loss, chunk=chunk))


def per_example_products(
    model: nn.Module,
    inputs: Any,
    targets: Shaped[Tensor, "examples ..."],
    loss: Loss = cross_entropy,
    *,
    chunk: int | None = None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """As `per_example_noise`, |g_i|^2 and g_i . G of each example's gradient g_i, and |G|^2 of their mean."""
    setting = _setting(model, inputs, targets, loss, chunk)
    with evaluation_mode(model), torch.no_grad():
        mean = _mean(setting, inputs, targets)
        squares: list[Tensor] = []
        products: list[Tensor] = []
        for gradients in _each(setting, inputs, targets):
            squares.append(_products(gradients, gradients))
            products.append(_products(gradients, mean))
    mean_square = float(sum(part.to(widest(part.device)).square().sum() for part in mean.values()))
    return _host(torch.cat(squares)), _host(torch.cat(products)), mean_square


def gradients_of(
    model: nn.Module,
    inputs: Any,
    targets: Shaped[Tensor, "examples ..."],
    loss: Loss = cross_entropy,
    *,
    chunk: int | None = None,
    order: Int64[Tensor, " examples"] | None = None,
) -> Iterator[Gradients]:
    """The gradients of some examples at a time, in evaluation mode: parameter -> [examples ...].

    Args:
        model: As in `per_example_noise`, as all that follow.
        inputs: Of all examples.
        targets: Of the inputs.
        loss: One loss per example.
        chunk: Examples whose gradients are held at once.
        order: The order in which the examples are taken; None: as they are.

    Raises:
        InputError: As in `per_example_noise`.
    """
    setting = _setting(model, inputs, targets, loss, chunk)
    if order is not None:
        inputs, targets = mapped((inputs, targets), lambda values: values[order.to(values.device)])
    with evaluation_mode(model), torch.no_grad():
        yield from _each(setting, inputs, targets)


def _setting(model: nn.Module, inputs: Any, targets: Tensor, loss: Loss, chunk: int | None) -> _Setting:
    if rows(inputs) != len(targets):
        raise InputError("must be as many as inputs", where="targets", got=len(targets))
    parameters = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    if not parameters:
        raise InputError("no parameter needs a gradient", where="model")
    if chunk is not None and chunk < 1:
        raise InputError("must be at least 1 example", where="chunk", got=chunk)
    size = chunk or max(1, _NUMBERS // sum(p.numel() for p in parameters.values()))
    return _Setting(model=model, parameters=parameters, loss=loss, size=size)


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """What is differentiated, by which parameters, and how many examples at a time."""

    model: nn.Module
    parameters: Gradients
    loss: Loss
    size: int


def _split(inputs: Any, targets: Tensor, size: int) -> Iterator[tuple[Any, Tensor]]:
    for start in range(0, len(targets), size):
        part = slice(start, start + size)
        yield mapped(inputs, lambda values, part=part: values[part]), targets[part]


def _each(setting: _Setting, inputs: Any, targets: Tensor) -> Iterator[Gradients]:
    """The gradients of some examples at a time; each with a first axis of examples."""
    others = {name: p.detach() for name, p in setting.model.named_parameters() if not p.requires_grad}
    others |= dict(setting.model.named_buffers())

    def one(trained: Gradients, example: Any, target: Tensor) -> Tensor:
        batch = mapped(example, lambda values: values.unsqueeze(0))
        outputs = functional_call(setting.model, {**others, **trained}, (batch,))
        return setting.loss(outputs, target.unsqueeze(0)).squeeze(0)

    gradients = vmap(grad(one), in_dims=(None, 0, 0))
    for x, y in _split(inputs, targets, setting.size):
        yield gradients(setting.parameters, x, y)


def _mean(setting: _Setting, inputs: Any, targets: Tensor) -> Gradients:
    """The mean gradient, by ordinary backward passes."""
    trained = [p for p in setting.model.parameters() if p.requires_grad]
    total = [torch.zeros_like(p) for p in trained]
    with torch.enable_grad():
        for x, y in _split(inputs, targets, setting.size):
            share = setting.loss(setting.model(x), y).sum() / len(targets)
            found = torch.autograd.grad(share, trained, materialize_grads=True)
            for so_far, part in zip(total, found, strict=True):
                so_far.add_(part)
    return dict(zip(setting.parameters, total, strict=True))


def _products(left: Gradients, right: Gradients) -> Tensor:
    """Inner products over all parameters, one for each example of `left`."""
    return torch.stack([(left[name] * right[name]).flatten(1).sum(1) for name in left]).sum(0)


def _host(values: Tensor) -> np.ndarray:
    return values.cpu().numpy().astype(np.float64)
