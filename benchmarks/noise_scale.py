"""What `NoiseScale` adds to a step of gradient accumulation."""

from __future__ import annotations

import itertools
import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks._timing import interleaved
from benchmarks.loop_overhead import narrow_cnn
from headrace.random import torch_generator, torch_stream
from headrace.training.noise_scale import NoiseScale

DESCRIPTION = "extra cost per step of the gradient noise scale from accumulation: narrow CNN; target 2%"

EXAMPLES = 2048


def step(model: nn.Module, optimizer: torch.optim.Optimizer, parts: list[tuple[Tensor, Tensor]]) -> None:
    """A plain step over micro-batches."""
    examples = sum(len(targets) for _, targets in parts)
    optimizer.zero_grad()
    for inputs, targets in parts:
        (functional.cross_entropy(model(inputs), targets, reduction="sum") / examples).backward()
    optimizer.step()


def run(microbatch: int = 64, parts: int = 4, rounds: int = 121) -> dict[str, Any]:
    """Milliseconds per step with and without it, of one model in turns.

    `extra` is the difference as a share. On a busy machine it scatters by several percent, far more than what
    is measured; `extra_direct` is the time of the hooks and of `step` alone, over that of a plain step.
    """
    torch.set_num_threads(1)
    batches = itertools.cycle(made(microbatch, parts))
    with torch_stream(0, "model"):
        model = narrow_cnn()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, fused=True)

        def peer() -> None:
            step(model, optimizer, next(batches))

        def ours() -> None:
            with NoiseScale(model.parameters()) as noise:
                step(model, optimizer, next(batches))
                noise.step(microbatch * parts)

        timing = interleaved(ours, peer, rounds=rounds)
    direct = hooks_alone(model, parts)
    return {
        "ours": timing.ours * 1e3,
        "peer": timing.peer * 1e3,
        "ratio": timing.ratio,
        "ratio_quartiles": [timing.ratio_low, timing.ratio_high],
        "ratio_undisturbed": timing.ratio_undisturbed,
        "extra": 1 / timing.ratio - 1,
        "extra_direct": direct / timing.peer,
        "direct_microseconds": direct * 1e6,
        "target": "at most 2 % more per step",
        "unit": "ms/step",
        "measured": f"narrow CNN 28x28, {parts} micro-batches of {microbatch}, Nesterov, 1 thread, "
        f"median of {rounds} rounds",
        "peer_name": "the same step without it",
    }


def hooks_alone(model: nn.Module, parts: int, rounds: int = 101) -> float:
    """Seconds of the hooks of `parts` backward passes and of `step`, median."""
    noise = NoiseScale(model.parameters())
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    times: list[float] = []
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(parts):
            for place, gradient in enumerate(gradients):
                noise._take(place, gradient)
        noise.step(parts)
        times.append(time.process_time() - started)
    noise.close()
    return statistics.median(times)


def made(microbatch: int, parts: int) -> list[list[tuple[Tensor, Tensor]]]:
    """Batches of random pictures, cut into micro-batches."""
    rng = torch_generator(0, "benchmark")
    inputs = torch.rand(EXAMPLES, 1, 28, 28, generator=rng)
    targets = torch.randint(0, 10, (EXAMPLES,), generator=rng)
    chunks = list(zip(inputs.split(microbatch), targets.split(microbatch), strict=True))
    return [chunks[i : i + parts] for i in range(0, len(chunks) - parts + 1, parts)]
