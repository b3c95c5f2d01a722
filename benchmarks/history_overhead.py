"""What a history costs a training step: `History.record` with all statistics against the bare step."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from headrace.histories import History
from headrace.random import torch_generator, torch_stream

DESCRIPTION = "History.record against the bare training step: narrow CNN, B=64; at most 1 % is the target"

EXAMPLES = 60_000
PUBLISHED_PERCENT = 14.6
TARGET_PERCENT = 1.0


def narrow_cnn() -> nn.Module:
    """The narrow Simple CNN of Shallue et al. (2019): 16, 32, 512."""
    convolutions = [
        (nn.Conv2d(before, after, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2))
        for before, after in ((1, 16), (16, 32))
    ]
    layers = [layer for block in convolutions for layer in block]
    dense = [nn.Flatten(), nn.Linear(32 * 7 * 7, 512), nn.ReLU(), nn.Dropout(0.4), nn.Linear(512, 10)]
    return nn.Sequential(*layers, *dense)


class _Counter(TorchDispatchMode):
    """Counts the torch operations that reach a kernel or make a view; NumPy calls are not among them."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        return func(*args, **(kwargs or {}))


def stepper(device: torch.device, batch_size: int) -> Callable[[], torch.Tensor]:
    """One bare training step (momentum SGD) on inputs that lie ready; gives the logits."""
    model = narrow_cnn().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    rng = torch_generator(0, "step")
    inputs = torch.rand(batch_size, 1, 28, 28, generator=rng).to(device)
    targets = torch.randint(0, 10, (batch_size,), generator=rng).to(device)

    def step() -> torch.Tensor:
        logits = model(inputs)
        optimizer.zero_grad()
        functional.cross_entropy(logits, targets).backward()
        optimizer.step()
        return logits

    return step


def in_loop(device: torch.device, batch_size: int, steps: int) -> tuple[float, float]:
    """Median seconds of a step and of the record after it, with the caches as the step leaves them."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    history, step = History(EXAMPLES, device=device), stepper(device, batch_size)
    rng = torch_generator(0, "index")
    targets = torch.randint(0, 10, (batch_size,), generator=rng).to(device)
    step_seconds, record_seconds = [], []

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock()

    for turn in range(steps + 3):
        index = torch.randperm(EXAMPLES, generator=rng)[:batch_size].to(device)
        start = now()
        logits = step()
        middle = now()
        history.record(index, logits, targets)
        end = now()
        if turn >= 3:
            step_seconds.append(middle - start)
            record_seconds.append(end - middle)
    return statistics.median(step_seconds), statistics.median(record_seconds)


def alone(device: torch.device, batch_size: int, calls: int = 200) -> tuple[float, int]:
    """Median seconds of one record called again and again, and how many torch operations it is."""
    history = History(EXAMPLES, device=device)
    rng = torch_generator(0, "alone")
    logits = torch.randn(batch_size, 10, generator=rng).to(device)
    targets = torch.randint(0, 10, (batch_size,), generator=rng).to(device)
    index = torch.randperm(EXAMPLES, generator=rng)[:batch_size].to(device)
    with _Counter() as counter:
        history.record(index, logits, targets)
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        history.record(index, logits, targets)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), counter.operations


def run(batch_size: int = 64, steps: int = 60, device: str = "cpu") -> dict[str, Any]:
    """The record's time in percent of the bare step's; the published system's share as the peer."""
    torch.set_num_threads(1)
    where = torch.device(device)
    with torch_stream(0, "history_overhead"):
        step, record = in_loop(where, batch_size, steps)
    percent = 100.0 * record / step
    return {
        "ours": percent,
        "peer": PUBLISHED_PERCENT,
        "ratio": PUBLISHED_PERCENT / percent,
        "unit": "% of a step",
        "measured": f"record / bare step (no loading, no evaluation), narrow CNN 28x28, B={batch_size}, "
        f"{device}, 1 thread, medians of {steps} steps, each followed by its record",
        "peer_name": "share of wall time that Sheikholeslami et al. (2023) report for their tracking: "
        "another machine, model and system, so a frame and no measured peer",
        "target_percent": TARGET_PERCENT,
        "within_target": percent <= TARGET_PERCENT,
        "step_us": step * 1e6,
        "record_us": record * 1e6,
        "alone": {
            str(size): dict(zip(("us", "torch_operations"), (seconds * 1e6, operations), strict=True))
            for size in (64, 1024, 8192)
            for seconds, operations in [alone(where, size)]
        },
    }
