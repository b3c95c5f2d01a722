"""One of 8 ranks' indices of an epoch: weighted by `ExampleSampler`, unweighted by `DistributedSampler`."""

from __future__ import annotations

from collections import deque
from typing import Any

from torch.utils.data import Dataset, DistributedSampler

from benchmarks._timing import interleaved
from headrace.random import generator
from headrace.sampling import ExampleSampler

DESCRIPTION = "one of 8 ranks' indices of a weighted epoch, against DistributedSampler (which cannot weight)"


class Sized(Dataset[int]):
    """A data set of which only the length is asked."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length


def run(examples: int = 1_280_000, world_size: int = 8, rounds: int = 15) -> dict[str, Any]:
    """Milliseconds until every index of rank 3's epoch was handed over."""
    weights = generator(0, "benchmark").random(examples) + 0.5
    rank = min(3, world_size - 1)
    sampler = ExampleSampler(weights, rank=rank, world_size=world_size)
    peer = DistributedSampler(Sized(examples), num_replicas=world_size, rank=rank)

    def ours() -> None:
        sampler.set_epoch(sampler.epoch + 1)
        deque(sampler, maxlen=0)

    def theirs() -> None:
        peer.set_epoch(peer.epoch + 1)
        deque(peer, maxlen=0)

    timing = interleaved(ours, theirs, rounds=rounds)
    return {
        "ours": timing.ours * 1e3,
        "peer": timing.peer * 1e3,
        "unit": "ms",
        "ratio": timing.ratio,
        "ratio_quartiles": [timing.ratio_low, timing.ratio_high],
        "measured": f"{examples:,} examples, rank {rank} of {world_size}, ours weighted with replacement, "
        "until the last index is handed over",
        "peer_name": "torch.utils.data.DistributedSampler, unweighted",
    }
