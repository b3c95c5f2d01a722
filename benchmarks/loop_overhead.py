"""What the readable loop costs: `headrace.training.loop.train` against the barest loop in torch."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks._timing import Timing, interleaved
from headrace.random import torch_generator, torch_stream
from headrace.sampling.batches import Batch
from headrace.training.data import TensorData
from headrace.training.loop import train
from headrace.training.losses import cross_entropy
from headrace.training.recipe import Recipe

DESCRIPTION = "the training loop against a hand-written torch loop: narrow CNN (and an MLP), Nesterov"

EXAMPLES = 5000


def narrow_cnn() -> nn.Module:
    """The narrow Simple CNN of Shallue et al. (2019)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 512),
        nn.ReLU(),
        nn.Dropout(0.4),
        nn.Linear(512, 10),
    )


def mlp() -> nn.Module:
    """784-100-10: so small that Python and the optimiser are a good part of a step."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))


def peer_steps(model: nn.Module, inputs: Tensor, targets: Tensor, order: list[Tensor]) -> Iterator[None]:
    """The barest loop; hands over control after each round of `order`."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, fused=True)
    while True:
        for indices in order:
            outputs = model(inputs.index_select(0, indices))
            loss = functional.cross_entropy(outputs, targets.index_select(0, indices))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield


def our_steps(model: nn.Module, inputs: Tensor, targets: Tensor, order: list[Tensor]) -> Iterator[object]:
    """The same through `train`, a measurement after each round of `order`."""
    steps = range(0, 10_000_000, len(order))
    return train(
        model=model,
        data=TensorData(inputs, targets),
        loss=cross_entropy,
        batches=(Batch(indices=indices) for indices in itertools.cycle(order)),
        recipe=Recipe(optimizer="nesterov", learning_rate=0.01, momentum=0.9),
        budget_steps=steps[-1],
        evaluation_steps=steps,
        evaluate=lambda model: {},
    )


def compare(
    build: Callable[[], nn.Module], batch_size: int, steps: int, rounds: int, device: torch.device
) -> Timing:
    """Time `steps` steps of each in turns."""
    rng = torch_generator(0, "benchmark")
    inputs = torch.rand(EXAMPLES, 1, 28, 28, generator=rng).to(device)
    targets = torch.randint(0, 10, (EXAMPLES,), generator=rng).to(device)
    order = [torch.randint(0, EXAMPLES, (batch_size,), generator=rng).to(device) for _ in range(steps)]
    with torch_stream(0, "model"):
        model = build().to(device)
        ours = our_steps(copy.deepcopy(model), inputs, targets, order)
        peer = peer_steps(model, inputs, targets, order)
        next(ours)

        def call(contestant: Iterator[object]) -> Callable[[], None]:
            def once() -> None:
                next(contestant)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)

            return once

        clock = time.perf_counter if device.type == "cuda" else time.process_time
        return interleaved(call(ours), call(peer), rounds=rounds, clock=clock)


def run(batch_size: int = 64, rounds: int = 251, device: str = "cpu") -> dict[str, Any]:
    """Microseconds per step of both, for the narrow CNN; the MLP's beside it.

    Many short rounds: what disturbs one contestant most likely disturbs the other in the next millisecond.
    """
    torch.set_num_threads(1)
    where = torch.device(device)
    steps = 1 if where.type == "cpu" else 20
    cnn = compare(narrow_cnn, batch_size, steps, rounds, where)
    small = compare(mlp, batch_size, 10, rounds, where)
    return {
        **per_step(cnn, steps),
        "unit": "us/step",
        "measured": f"narrow CNN 28x28, B={batch_size}, Nesterov, {device}, 1 thread, "
        f"median of {rounds} rounds; an MLP 784-100-10 under 'mlp'",
        "peer_name": "a hand-written torch loop with the same fused optimiser",
        "mlp": per_step(small, 10),
    }


def per_step(timing: Timing, steps: int) -> dict[str, Any]:
    """The timing of rounds of `steps` steps, per step."""
    return {
        "ours": timing.ours / steps * 1e6,
        "peer": timing.peer / steps * 1e6,
        "ratio": timing.ratio,
        "ratio_quartiles": [timing.ratio_low, timing.ratio_high],
        "ratio_undisturbed": timing.ratio_undisturbed,
    }
