"""How long a refresh takes: every score of 1.28 million examples, against a sort of as many numbers."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch

from headrace.histories import SCORES, History
from headrace.random import generator, torch_generator

DESCRIPTION = "each score of 1.28 million examples: at most 50 ms is the target; np.argsort of them for scale"

TARGET_MS = 50.0


def filled(num_examples: int) -> History:
    """A history in which most examples were seen several times, some once, some never."""
    history = History(num_examples)
    rng = torch_generator(0, "score_refresh")
    for _ in range(3):
        for index in torch.randint(0, num_examples, (num_examples,), generator=rng).split(1 << 16):
            logits = torch.randn(len(index), 10, generator=rng)
            history.record(index, logits, index % 10)
    return history


def median_ms(call: Any, rounds: int) -> float:
    """The median milliseconds of CPU time of a call."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return 1e3 * statistics.median(seconds[1:])


def run(num_examples: int = 1_280_000, rounds: int = 7) -> dict[str, Any]:
    """Milliseconds of the slowest score, beside those of the sort that a ranking policy does next."""
    torch.set_num_threads(1)
    history = filled(num_examples)
    each = {name: median_ms(lambda score=score: score(history), rounds) for name, score in SCORES.items()}
    numbers = generator(0, "score_refresh", "sort").random(num_examples, dtype=np.float32)
    peer = median_ms(lambda: np.argsort(numbers), rounds)
    slowest = max(each, key=lambda name: each[name])
    return {
        "ours": each[slowest],
        "peer": peer,
        "ratio": peer / each[slowest],
        "unit": "ms",
        "measured": f"the slowest score, {slowest}, of {num_examples} examples to a NumPy array, 1 thread, "
        f"median of {rounds}",
        "peer_name": "np.argsort of as many float32 numbers, for scale",
        "target_ms": TARGET_MS,
        "within_target": each[slowest] <= TARGET_MS,
        "each_ms": each,
    }
