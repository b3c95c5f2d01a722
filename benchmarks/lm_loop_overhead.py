"""What the loop costs a language model: `headrace.training.loop.train` against a loop as nanoGPT has it."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks._timing import interleaved
from benchmarks.loop_overhead import per_step
from headrace import random
from headrace.random import torch_stream
from headrace.sampling.batches import Batch
from headrace.training.loop import train
from headrace.training.recipe import Recipe
from headrace.workloads import Workload, language_model
from headrace.workloads.language.binary import read_tokens
from headrace.workloads.language.gpt import GPT

DESCRIPTION = (
    "the loop against a hand-written nanoGPT-like loop: a small GPT on a token file, AdamW, clipping"
)

TOKENS, VOCABULARY = 1_000_000, 65
RATE, CLIP = 1e-3, 1.0


def random_windows(path: Path, window: int, batch_size: int) -> tuple[Tensor, Tensor]:
    """A batch as nanoGPT's `get_batch` draws it: windows at random places of the file, mapped anew."""
    data = np.memmap(path, dtype=np.uint16, mode="r")
    places = torch.randint(len(data) - window, (batch_size,)).tolist()
    inputs = [torch.from_numpy(data[i : i + window].astype(np.int64)) for i in places]
    targets = [torch.from_numpy(data[i + 1 : i + 1 + window].astype(np.int64)) for i in places]
    return torch.stack(inputs), torch.stack(targets)


def peer_steps(model: nn.Module, path: Path, window: int, batch_size: int, steps: int) -> Iterator[None]:
    """The hand-written loop; hands over control after some steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.1, fused=True)
    device = next(model.parameters()).device
    while True:
        for _ in range(steps):
            inputs, targets = (part.to(device) for part in random_windows(path, window, batch_size))
            logits = model(inputs)
            loss = functional.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        yield


def our_steps(workload: Workload, batch_size: int, steps: int) -> Iterator[object]:
    """The same through `train`, on shuffled windows, a measurement after some steps."""
    evaluated = range(0, 10_000_000, steps)
    return train(
        model=workload.build_model(),
        data=workload.training_data,
        loss=workload.training_loss,
        batches=_batches(len(workload.train), batch_size),
        recipe=Recipe(optimizer="adamw", learning_rate=RATE, weight_decay=0.1, gradient_clip=CLIP),
        budget_steps=evaluated[-1],
        evaluation_steps=evaluated,
        evaluate=lambda _: {},
    )


def _batches(examples: int, batch_size: int) -> Iterator[Batch]:
    rng = random.generator(0, "benchmark", "order")
    while True:
        for batch in torch.from_numpy(rng.permutation(examples)).split(batch_size):
            if len(batch) == batch_size:
                yield Batch(indices=batch)


def run(batch_size: int = 32, window: int = 64, rounds: int = 101, device: str = "cpu") -> dict[str, Any]:
    """Microseconds per step of both; their models start alike."""
    torch.set_num_threads(1)
    where = torch.device(device)
    steps = 1 if where.type == "cpu" else 20
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.bin"
        rng = random.generator(0, "benchmark", "tokens")
        rng.integers(VOCABULARY, size=TOKENS, dtype=np.uint16).tofile(path)
        with torch_stream(0, "model"):
            model = GPT(VOCABULARY, window, width=64, layers=4, heads=4).to(where)
        workload = language_model(
            read_tokens(path, vocabulary=VOCABULARY),
            model=lambda _vocabulary, _window: copy.deepcopy(model),
            window=window,
            goal=1.0,
        )
        workload = replace(workload, train=workload.train.to(where))
        ours = our_steps(workload, batch_size, steps)
        peer = peer_steps(copy.deepcopy(model), path, window, batch_size, steps)
        next(ours)

        def call(contestant: Iterator[object]) -> Callable[[], None]:
            def once() -> None:
                next(contestant)
                if where.type == "cuda":
                    torch.cuda.synchronize(where)

            return once

        clock = time.perf_counter if where.type == "cuda" else time.process_time
        timing = interleaved(call(ours), call(peer), rounds=rounds, clock=clock)
    count = sum(p.numel() for p in model.parameters())
    return {
        **per_step(timing, steps),
        "unit": "us/step",
        "measured": f"GPT of {count:,} parameters, {batch_size} windows of {window}, AdamW, clipping, "
        f"{device}, 1 thread, median of {rounds} rounds",
        "peer_name": "a hand-written loop as nanoGPT's on random windows, with the same fused optimizer",
    }
