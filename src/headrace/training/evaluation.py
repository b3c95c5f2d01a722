"""Mean loss and metric over whole splits, in evaluation mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor, nn

from headrace.errors import InputError
from headrace.training.budget import evaluation_steps
from headrace.training.data import Device, ExampleData
from headrace.training.losses import Loss, Metric, Weigh, counted_examples, is_built_in
from headrace.training.precision import Precision, autocast

__all__ = ["Evaluator", "OfMean", "evaluate", "evaluation_mode", "evaluation_steps", "evaluator"]

Evaluator = Callable[[nn.Module], dict[str, float]]
"""A model -> its metrics, for example `{"validation/loss": 0.3, "validation/error": 0.1}`."""

OfMean = Callable[[str, float], float]
"""`(split, mean over its examples) -> the metric of the split`, if that is not the mean itself."""


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
    weigh: Weigh | None = None,
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
        weigh: How much each example counts, see `evaluator`.
        batch_size: Examples per forward pass; speed and memory only.
        device: Where `data` must be fetched to; None leaves it where it is.
    """
    split = data if device is None else data.to(device)
    measure = evaluator(
        {"": split}, loss, metric, metric_name=metric_name, weigh=weigh, batch_size=batch_size
    )
    means = measure(model)
    return {name.removeprefix("/"): value for name, value in means.items()}


def evaluator(
    splits: Mapping[str, ExampleData],
    loss: Loss,
    metric: Metric,
    *,
    metric_name: str = "error",
    weigh: Weigh | None = None,
    batch_size: int = 512,
    of_mean: OfMean | None = None,
    precision: Precision = "float32",
) -> Evaluator:
    """A function that evaluates a model on all splits, in one pass and with one wait for the device.

    Args:
        splits: Name -> data on the model's device, for example `{"validation": data}`.
        loss: One loss per example.
        metric: One number per example.
        metric_name: What to call it.
        weigh: How much each example counts in the means, for example `losses.counted_targets`. None counts
            all the same, except that with a built-in loss or metric of classes those whose targets are all
            ignored (-100) are left out.
        batch_size: Examples per forward pass; speed and memory only.
        of_mean: What the metric of a split is, of the mean over its examples: `exp` for a perplexity, whose
            mean over examples would be another number. None: the mean.
        precision: In which the model computes.

    Returns:
        A model -> `{"<split>/loss": mean, "<split>/<metric_name>": mean}` of each split.
    """
    measures = measures_of(loss, metric, weigh)

    def evaluate_splits(model: nn.Module) -> dict[str, float]:
        with evaluation_mode(model), torch.inference_mode(), autocast(precision, model):
            sums = [_sums(model, data, measures, batch_size) for data in splits.values()]
            rows = iter(torch.cat(sums).tolist())
        means: dict[str, float] = {}
        for name, split_sums in zip(splits, sums, strict=True):
            means |= means_of(name, list(islice(rows, len(split_sums))), metric_name, of_mean)
        return means

    return evaluate_splits


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What an evaluation adds up.

    Attributes:
        loss: One loss per example.
        metric: One number per example.
        weigh: How much each example counts.
    """

    loss: Loss
    metric: Metric
    weigh: Weigh

    def sums(self, outputs: Tensor, targets: Tensor, lanes: int = 1) -> Float[Tensor, "lanes 3"]:
        """The weighted sums of losses and metric, and the sum of the weights.

        Args:
            outputs: Of several models, one after the other.
            targets: Of the outputs.
            lanes: How many models there are.
        """
        weights = self.weigh(targets)
        sums = [_sum(measure(outputs, targets), weights, lanes) for measure in (self.loss, self.metric)]
        return torch.stack([*sums, weights.view(lanes, -1).sum(1, dtype=sums[0].dtype)], 1)


def measures_of(loss: Loss, metric: Metric, weigh: Weigh | None) -> Measures:
    """What is added up, see `evaluator`."""
    built_in = is_built_in(loss) or is_built_in(metric)
    return Measures(loss=loss, metric=metric, weigh=weigh or (counted_examples if built_in else _one_each))


def means_of(
    name: str, sums: Sequence[Sequence[float]], metric_name: str, of_mean: OfMean | None
) -> dict[str, float]:
    """The measurements of a split, from the sums of its batches."""
    losses, metrics, weights = map(math.fsum, zip(*sums, strict=True))
    mean = metrics / weights if weights else math.nan
    return {
        f"{name}/loss": losses / weights if weights else math.nan,
        f"{name}/{metric_name}": mean if of_mean is None else of_mean(name, mean),
    }


def _one_each(targets: Tensor) -> Float[Tensor, " batch"]:
    return torch.ones(len(targets), device=targets.device)


def _sums(
    model: nn.Module, data: ExampleData, measures: Measures, batch_size: int
) -> Float[Tensor, "batches 3"]:
    """Per batch, on the device: what `measures` adds up."""
    parts: list[Tensor] = []
    for start in range(0, len(data), batch_size):
        inputs, targets = data.fetch(torch.arange(start, min(start + batch_size, len(data))))
        parts.append(measures.sums(model(inputs), targets))
    return torch.cat(parts)


def _sum(
    values: Float[Tensor, " batch"], weights: Float[Tensor, " batch"], lanes: int
) -> Float[Tensor, " lanes"]:
    """The weighted sums, in no less than float32: half precision would lose counts above 2048.

    An example that does not count is left out even if its value is NaN, as the mean over no token is.

    Raises:
        InputError: There is not one number per example.
    """
    if values.shape != weights.shape:
        raise InputError(
            f"a loss or metric must return one number for each of the batch's {len(weights)} examples",
            got=f"a tensor of shape {tuple(values.shape)}",
            fix="Leave out .mean() and use reduction='none'.",
        )
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    return torch.where(weights > 0, wide * weights.to(wide.dtype), 0).view(lanes, -1).sum(1)
