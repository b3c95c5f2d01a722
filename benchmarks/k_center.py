"""Greedy k-center against scikit-activeml's, and at a million examples."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks._peers import peer
from benchmarks._timing import interleaved
from headrace.random import generator
from headrace.selection import k_center

DESCRIPTION = "k-center greedy against scikit-activeml's CoreSet, same indices; and N = 1,000,000"


def run(
    examples: int = 20_000, features: int = 128, count: int = 200, rounds: int = 3, large: bool = True
) -> dict[str, Any]:
    """CPU seconds of both, from one first centre."""
    core_set = peer("skactiveml.pool").CoreSet
    rows = generator(0, "benchmark").normal(size=(examples, features))
    labels = np.full(examples, np.nan)
    labels[0] = 0
    candidates = np.arange(1, examples)
    chosen: dict[str, np.ndarray] = {}

    def mine() -> None:
        chosen["ours"] = k_center(rows, count, initial=[0], candidates=candidates)

    def theirs() -> None:
        chosen["peer"] = core_set(random_state=0).query(rows, labels, batch_size=count)

    timing = interleaved(mine, theirs, rounds=rounds, warmup=0)
    return {
        "ours": timing.ours,
        "peer": timing.peer,
        "ratio": timing.ratio,
        "unit": "s",
        "measured": f"N={examples}, d={features}, k={count}, float64, 1 thread, CPU seconds, {rounds} rounds",
        "same_indices": bool(np.array_equal(chosen["ours"], chosen["peer"])),
        **({"million": at_scale_apart()} if large else {}),
    }


def at_scale_apart() -> dict[str, float]:
    """`at_scale` in a process of its own, so that its peak memory is its own."""
    code = "import json, benchmarks.k_center as b; print(json.dumps(b.at_scale()))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return json.loads(output)


def at_scale(examples: int = 1_000_000, features: int = 64, count: int = 1000) -> dict[str, float]:
    """Time, and memory beyond the features themselves."""
    rows = generator(0, "large").normal(size=(examples, features)).astype(np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    k_center(rows, count)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "cpu_seconds": time.process_time() - started,
        "features_gigabytes": rows.nbytes / 1e9,
        "peak_growth_gigabytes": (peak - before) * 1024 / 1e9,
        "peak_gigabytes": peak * 1024 / 1e9,
    }
