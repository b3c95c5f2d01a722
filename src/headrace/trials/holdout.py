"""Irreducible losses for rho-loss: each training example's loss under a model that never saw it.

Mindermann et al. (2022) train such a model on data held out from training. Held-out data that also judge
the goal would leak into the training, so here nothing but the training set is used: it is cut in two halves,
one model is trained on each, and each example's loss is that under the model of the other half
(cross-fitting, as the paper does where it has no hold-out data [M]). Of the epochs the one with the lowest
mean loss on the other half counts [M].

The recipe is plain and fixed (AdamW at its usual learning rate), for these models are no trials. The losses
are a pure function of (seed, workload), computed once by each worker; the cost is counted in full in every
trial, as one who trains a single run would pay it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor, nn

from headrace import random
from headrace.sampling.batches import Batch, shuffled_batches
from headrace.training.evaluation import evaluation_mode
from headrace.training.loop import train
from headrace.training.recipe import Recipe
from headrace.training.stream import TorchStream

if TYPE_CHECKING:
    from headrace.training.losses import Loss
    from headrace.workloads import Workload

EPOCHS = 10
BATCH = 64
LEARNING_RATE = 1e-3
CHUNK = 1024
"""Examples per forward pass of an evaluation; speed and memory only."""


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """The irreducible losses and what they cost.

    Attributes:
        losses: Each training example's loss under the model of the other half [examples].
        forwarded: Examples that went forward, to train and to be evaluated.
        backpropagated: Examples that went backward.
    """

    losses: np.ndarray
    forwarded: int
    backpropagated: int


def holdout_losses(workload: Workload, *, seed: int, device: torch.device) -> Holdout:
    """Train both models and evaluate each on the other's half.

    Args:
        workload: Its training data on `device`; at least two examples.
        seed: The root seed; the streams are `("holdout", ...)`.
        device: Where the models are trained.
    """
    order = random.generator(seed, "holdout", "halves").permutation(len(workload.train))
    halves = [torch.from_numpy(half) for half in np.array_split(order, 2)]
    losses = torch.empty(len(workload.train), dtype=torch.float64)
    forwarded = backpropagated = 0
    for place, (mine, others) in enumerate((halves, halves[::-1])):
        best, steps, batch = _best_losses(workload, mine, others, seed=seed, place=place, device=device)
        losses[others] = best
        forwarded += steps * batch + EPOCHS * len(others)
        backpropagated += steps * batch
    return Holdout(losses=losses.numpy(), forwarded=forwarded, backpropagated=backpropagated)


def _best_losses(
    workload: Workload,
    mine: Int64[Tensor, " mine"],
    others: Int64[Tensor, " others"],
    *,
    seed: int,
    place: int,
    device: torch.device,
) -> tuple[Float64[Tensor, " others"], int, int]:
    """The losses of the others at the epoch with the lowest mean, the steps made, and their batch size."""
    path = ("holdout", place)
    with random.torch_stream(seed, *path, "initialisation"):
        model = workload.build_model().to(device)
    size = min(BATCH, len(mine))
    per_epoch = -(-len(mine) // size)
    evaluations: list[Tensor] = []

    def evaluate(model: nn.Module) -> dict[str, float]:
        evaluations.append(_losses(model, workload, others))
        return {}

    measurements = train(
        model=model,
        data=workload.training_data,
        loss=workload.training_loss,
        batches=_of(mine.to(device), shuffled_batches(len(mine), size, seed=seed, path=path, device=device)),
        recipe=Recipe(optimizer="adamw", learning_rate=LEARNING_RATE),
        budget_steps=EPOCHS * per_epoch,
        evaluation_steps=range(0, EPOCHS * per_epoch + 1, per_epoch),
        evaluate=evaluate,
        stream=TorchStream(seed, *path, "training", device=device),
    )
    for _ in measurements:
        pass
    # The first evaluation is of the untrained model.
    best = min(evaluations[1:], key=_mean)
    return best, EPOCHS * per_epoch, size


def _mean(losses: Float64[Tensor, " examples"]) -> float:
    """The mean; infinite where it is not a number."""
    mean = float(losses.mean())
    return mean if mean == mean else float("inf")  # noqa: PLR0124  (only NaN differs from itself)


def _of(members: Int64[Tensor, " mine"], batches: Iterator[Batch]) -> Iterator[Batch]:
    """Batches of places in `members` as batches of examples."""
    return (Batch(indices=members[batch.indices], epoch=batch.epoch) for batch in batches)


def _losses(
    model: nn.Module, workload: Workload, examples: Int64[Tensor, " examples"]
) -> Float64[Tensor, " examples"]:
    """The loss of each of the examples in evaluation mode, on the host."""
    loss: Loss = workload.loss
    data = workload.evaluation_data("train")
    # Data sets that augment what they fetch do so here too: always in the same way.
    stream = random.torch_stream(0, "holdout", "evaluation")
    with stream, evaluation_mode(model), torch.inference_mode():
        parts = [loss(model(inputs), targets) for inputs, targets in map(data.fetch, examples.split(CHUNK))]
        return torch.cat(parts).cpu().double()
