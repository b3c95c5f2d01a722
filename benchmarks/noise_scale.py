"""What `NoiseScale` adds to a step of gradient accumulation, and what the naive way adds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks._timing import Timing, interleaved
from benchmarks.loop_overhead import narrow_cnn
from headrace.random import torch_generator, torch_stream
from headrace.training.noise_scale import NoiseScale

DESCRIPTION = "extra cost per step of the gradient noise scale from accumulation: narrow CNN; target 2 %"

EXAMPLES = 2048


def steps(model: nn.Module, batches: list[list[tuple[Tensor, Tensor]]], *, measured: bool) -> Iterator[None]:
    """A plain loop that accumulates over micro-batches; hands over control after each step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, fused=True)
    noise = NoiseScale(model.parameters()) if measured else None
    for parts in itertools.cycle(batches):
        examples = sum(len(targets) for _, targets in parts)
        optimizer.zero_grad()
        for inputs, targets in parts:
            (functional.cross_entropy(model(inputs), targets, reduction="sum") / examples).backward()
        if noise is not None:
            noise.step(examples)
        optimizer.step()
        yield


def run(microbatch: int = 64, parts: int = 4, rounds: int = 121) -> dict[str, Any]:
    """Milliseconds per step of the narrow CNN with and without it; `extra` is the share that it adds."""
    torch.set_num_threads(1)
    batches = made(microbatch, parts)
    with torch_stream(0, "model"):
        ours, peer = (steps(narrow_cnn(), batches, measured=measured) for measured in (True, False))
        timing: Timing = interleaved(call(ours), call(peer), rounds=rounds)
    return {
        "ours": timing.ours * 1e3,
        "peer": timing.peer * 1e3,
        "ratio": timing.ratio,
        "ratio_quartiles": [timing.ratio_low, timing.ratio_high],
        "ratio_undisturbed": timing.ratio_undisturbed,
        "extra": 1 / timing.ratio - 1,
        "extra_undisturbed": 1 / timing.ratio_undisturbed - 1,
        "target": "at most 2 % more per step",
        "unit": "ms/step",
        "measured": f"narrow CNN 28x28, {parts} micro-batches of {microbatch}, Nesterov, 1 thread, "
        f"median of {rounds} rounds",
        "peer_name": "the same loop without it",
    }


def made(microbatch: int, parts: int) -> list[list[tuple[Tensor, Tensor]]]:
    """Batches of random pictures, cut into micro-batches."""
    rng = torch_generator(0, "benchmark")
    inputs = torch.rand(EXAMPLES, 1, 28, 28, generator=rng)
    targets = torch.randint(0, 10, (EXAMPLES,), generator=rng)
    chunks = list(zip(inputs.split(microbatch), targets.split(microbatch), strict=True))
    return [chunks[i : i + parts] for i in range(0, len(chunks) - parts + 1, parts)]


def call(contestant: Iterator[None]) -> Callable[[], None]:
    """One step of a contestant."""
    return lambda: next(contestant)
