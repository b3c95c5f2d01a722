"""One epoch's weighted order for `DataLoader`: `ExampleSampler` against torch's `WeightedRandomSampler`."""

from __future__ import annotations

import resource
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, WeightedRandomSampler

from benchmarks._timing import Timing, interleaved
from headrace.errors import HeadraceError
from headrace.random import generator
from headrace.sampling import ExampleSampler, draw_with_replacement, draw_without_replacement

DESCRIPTION = "one epoch's weighted order, ready for DataLoader, against WeightedRandomSampler"


def first(items: Iterable[object]) -> object:
    """Plan the epoch and hand over the first item: from here on a loader can read data."""
    return next(iter(items))


def consumed(items: Iterable[object]) -> None:
    """Hand over every item, as a loader does, and keep none."""
    deque(items, maxlen=0)


def summary(timing: Timing) -> dict[str, Any]:
    """Milliseconds and ratio."""
    return {
        "ours_ms": round(timing.ours * 1e3, 2),
        "peer_ms": round(timing.peer * 1e3, 2),
        "ratio": round(timing.ratio, 2),
        "ratio_quartiles": [round(timing.ratio_low, 2), round(timing.ratio_high, 2)],
    }


def large(size: int) -> dict[str, Any]:
    """Seconds of this process for each form of draw at a size that the peer refuses, and the peak memory."""
    rng = generator(0, "benchmark", "large")
    weights = rng.random(size)
    weights += 0.5
    forms: dict[str, Callable[[], np.ndarray]] = {
        "with_replacement": lambda: draw_with_replacement(weights, size, rng),
        "systematic": lambda: draw_with_replacement(weights, size, rng, systematic=True),
        "half_without_replacement": lambda: draw_without_replacement(weights, size // 2, rng),
    }
    seconds = {f"{name}_seconds": cpu_seconds(draw) for name, draw in forms.items()}
    np.power(weights, 6, out=weights)
    seconds["uneven_with_replacement_seconds"] = cpu_seconds(forms["with_replacement"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    try:
        first(WeightedRandomSampler(torch.from_numpy(weights), size))
        outcome = "drew them"
    except RuntimeError as error:
        outcome = f"refused: {str(error).splitlines()[0]}"
    return {"examples": size, **seconds, "peak_gigabytes": peak, "peer": outcome}


def cpu_seconds(call: Callable[[], object]) -> float:
    """This process's CPU seconds of one call."""
    started = time.process_time()
    call()
    return round(time.process_time() - started, 2)


def run(
    examples: int = 1_280_000, batch_size: int = 256, rounds: int = 9, large_examples: int = 0
) -> dict[str, Any]:
    """Ready: until the first batch of indices is handed over. Consumed: until the last one is.

    Args:
        examples: Weights, and draws with replacement.
        batch_size: Indices per list; both samplers hand over lists of Python integers.
        rounds: How often each is timed.
        large_examples: Where positive, this many are drawn as well; 100000000 needs 5 GB and a minute.
    """
    if not 0 < batch_size <= examples:
        raise HeadraceError("batch_size must be from 1 to the number of examples")
    weights = generator(0, "benchmark").random(examples) + 0.5
    peer_singles = WeightedRandomSampler(torch.from_numpy(weights), examples)
    peer = BatchSampler(peer_singles, batch_size, drop_last=False)
    ours = ExampleSampler(weights, batch_size=batch_size)
    systematic = ExampleSampler(weights, batch_size=batch_size, draw="systematic")
    lognormal = np.exp(generator(0, "benchmark", "uneven").standard_normal(examples))
    uneven = ExampleSampler(lognormal, batch_size=batch_size)
    peer_uneven = BatchSampler(
        WeightedRandomSampler(torch.from_numpy(lognormal), examples), batch_size, drop_last=False
    )

    def fresh(sampler: ExampleSampler, take: Callable[..., object]) -> Callable[[], object]:
        def once() -> object:
            sampler.set_epoch(sampler.epoch + 1)
            return take(sampler)

        return once

    def against(sampler: ExampleSampler, take: Callable[..., object], other: Iterable[object]) -> Timing:
        return interleaved(fresh(sampler, take), lambda: take(other), rounds=rounds, warmup=1)

    ready = against(ours, first, peer)
    return {
        "ours": ready.ours * 1e3,
        "peer": ready.peer * 1e3,
        "unit": "ms",
        "ratio": ready.ratio,
        "ratio_quartiles": [ready.ratio_low, ready.ratio_high],
        "measured": f"{examples:,} weighted draws with replacement, weights of 0.5 to 1.5 (lognormal under "
        f"'uneven_ready'), until the first batch of {batch_size} indices is handed over; until the last "
        "one is under 'batches_consumed', one by one under 'singles_consumed'",
        "peer_name": "torch.utils.data.WeightedRandomSampler (in BatchSampler)",
        "batches_consumed": summary(against(ours, consumed, peer)),
        "singles_consumed": summary(against(ExampleSampler(weights), consumed, peer_singles)),
        "uneven_ready": summary(against(uneven, first, peer_uneven)),
        "systematic_ready": summary(against(systematic, first, peer)),
        "systematic_batches_consumed": summary(against(systematic, consumed, peer)),
        **({"large": large(large_examples)} if large_examples else {}),
    }
