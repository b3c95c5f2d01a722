"""Mean loss and metric over whole splits, in evaluation mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor, nn

from headrace.training.budget import evaluation_steps
from headrace.training.data import Device, ExampleData
from headrace.training.losses import Loss, Metric

__all__ = ["Evaluator", "evaluate", "evaluation_mode", "evaluation_steps", "evaluator"]

Evaluator = Callable[[nn.Module], dict[str, float]]
"""A model -> its metrics, for example `{"validation/loss": 0.3, "validation/error": 0.1}`."""


@contextmanager
def evaluation_mode(model: nn.Module) -> Generator[None]:
    """Run a block with the model in evaluation mode; each of its modules is put back into its own mode."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def evaluate(
    model: nn.Module,
    data: ExampleData,
    loss: Loss,
    metric: Metric,
    *,
    metric_name: str = "error",
    batch_size: int = 512,
    device: Device | None = None,
) -> dict[str, float]:
    """The mean loss and the mean metric over all of `data`: `{"loss": ..., metric_name: ...}`.

    The host waits for the device once, and adds up the batches' sums exactly.

    Args:
        model: In any mode; left in it.
        data: The split.
        loss: One loss per example.
        metric: One number per example.
        metric_name: What to call it.
        batch_size: Examples per forward pass; speed and memory only.
        device: Where `data` shall be fetched to; None leaves it where it is.
    """
    split = data if device is None else data.to(device)
    means = evaluator({"": split}, loss, metric, metric_name=metric_name, batch_size=batch_size)(model)
    return {name.removeprefix("/"): value for name, value in means.items()}


def evaluator(
    splits: Mapping[str, ExampleData],
    loss: Loss,
    metric: Metric,
    *,
    metric_name: str = "error",
    batch_size: int = 512,
) -> Evaluator:
    """A function that evaluates a model on all splits, in one pass and with one wait for the device.

    Args:
        splits: Name -> data that lie on the model's device, for example `{"validation": data}`.
        loss: One loss per example.
        metric: One number per example.
        metric_name: What to call it.
        batch_size: Examples per forward pass; speed and memory only.

    Returns:
        A model -> `{"<split>/loss": mean, "<split>/<metric_name>": mean}` of each split.
    """

    def evaluate_splits(model: nn.Module) -> dict[str, float]:
        with evaluation_mode(model), torch.inference_mode():
            sums = [_sums(model, data, loss, metric, batch_size) for data in splits.values()]
            rows = iter(torch.cat(sums).tolist())
        means: dict[str, float] = {}
        for (name, data), split_sums in zip(splits.items(), sums, strict=True):
            losses, metrics = zip(*islice(rows, len(split_sums)), strict=True)
            means[f"{name}/loss"] = math.fsum(losses) / len(data)
            means[f"{name}/{metric_name}"] = math.fsum(metrics) / len(data)
        return means

    return evaluate_splits


def _sums(
    model: nn.Module, data: ExampleData, loss: Loss, metric: Metric, batch_size: int
) -> Float[Tensor, "batches 2"]:
    """Per batch, the sum of the losses and the sum of the metric, still on the device."""
    parts: list[Tensor] = []
    for start in range(0, len(data), batch_size):
        inputs, targets = data.fetch(torch.arange(start, min(start + batch_size, len(data))))
        outputs = model(inputs)
        parts.append(torch.stack([_sum(loss(outputs, targets)), _sum(metric(outputs, targets))]))
    return torch.stack(parts)


def _sum(values: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
    """The sum, in no less than float32: half precision would lose counts above 2048."""
    return values.sum(dtype=torch.promote_types(values.dtype, torch.float32))
