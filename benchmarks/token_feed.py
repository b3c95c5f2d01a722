"""Batches of windows from a file of 10^9 tokens, shuffled and weighted, against nanoGPT's random windows."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, tensor

from benchmarks._timing import Timing, interleaved
from benchmarks.lm_loop_overhead import random_windows
from headrace import ExampleSampler, random
from headrace.workloads.language.binary import read_tokens
from headrace.workloads.language.windows import TokenWindows

DESCRIPTION = (
    "batches from a mapped file of 10^9 tokens, shuffled or weighted by window, against random windows"
)

VOCABULARY = 50_257
_MEMORY = """
import json, sys
from benchmarks.token_feed import batches, resident
ready = resident("VmRSS")
feed = batches({path!r}, {window}, {batch_size}, weighted={weighted})
for _ in range({count}):
    next(feed)
print(json.dumps([ready, resident("VmHWM")]))
"""


def batches(
    path: Path | str, window: int, batch_size: int, *, weighted: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Every window once an epoch in a new order, or drawn by weights."""
    windows = TokenWindows(read_tokens(path, vocabulary=VOCABULARY), window)
    weights = random.generator(0, "benchmark", "weights").lognormal(size=len(windows))
    sampler = ExampleSampler(weights if weighted else len(windows), batch_size=batch_size, last="drop")
    while True:
        for rows in sampler:
            yield windows.fetch(tensor(rows))


def resident(key: str) -> float:
    """Mebibytes of this process's memory, pages of mapped files included: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def run(
    tokens: int = 1_000_000_000, window: int = 1024, batch_size: int = 32, rounds: int = 51, steps: int = 20
) -> dict[str, Any]:
    """Microseconds per batch, shuffled; those of weighted windows and the memory of each beside it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.bin"
        with path.open("wb") as file:
            file.truncate(2 * tokens)  # A hole is read like any other page, and needs no disk.
        shuffled = _compared(path, window, batch_size, rounds, steps, weighted=False)
        weighted = _compared(path, window, batch_size, rounds, steps, weighted=True)
        memory = {
            name: _memory(path, window, batch_size, rounds * steps, weighted=value)
            for name, value in (("shuffled", False), ("weighted", True))
        }
    return {
        **shuffled,
        "unit": "us/batch",
        "measured": f"{tokens:,} tokens, {batch_size} windows of {window:,}, shuffled, one thread",
        "peer_name": "nanoGPT's get_batch: random windows, the file mapped anew for each batch",
        "weighted": weighted,
        "resident_mib": memory,
    }


def _compared(
    path: Path, window: int, batch_size: int, rounds: int, steps: int, *, weighted: bool
) -> dict[str, Any]:
    feed = batches(path, window, batch_size, weighted=weighted)
    started = time.process_time()
    next(feed)
    first = time.process_time() - started

    def ours() -> None:
        for _ in range(steps):
            next(feed)

    def theirs() -> None:
        for _ in range(steps):
            random_windows(path, window, batch_size)

    timing: Timing = interleaved(ours, theirs, rounds=rounds)
    return {
        "ours": timing.ours / steps * 1e6,
        "peer": timing.peer / steps * 1e6,
        "ratio": timing.ratio,
        "ratio_quartiles": [timing.ratio_low, timing.ratio_high],
        "ratio_undisturbed": timing.ratio_undisturbed,
        "first_batch_ms": first * 1e3,
    }


def _memory(path: Path, window: int, batch_size: int, count: int, *, weighted: bool) -> float:
    """The most mebibytes that a process takes for it, beyond what its imports took."""
    code = _MEMORY.format(
        path=str(path), window=window, batch_size=batch_size, weighted=weighted, count=count
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ready, most = json.loads(done.stdout)
    return most - ready
