"""What it costs two ranks to merge their histories of 1.28 million examples, once an epoch."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import multiprocessing

from benchmarks._timing import interleaved
from benchmarks.loop_overhead import narrow_cnn
from headrace.histories import History, SharedHistory
from headrace.random import torch_generator, torch_stream
from headrace.training.parallel.joining import end

DESCRIPTION = "merging the histories of 2 real ranks, 1.28M examples; at most 0.5 s and 1% of an epoch"

TARGET_SECONDS = 0.5
TARGET_PERCENT = 1.0
PEER = "all_gather of the same tables and nothing else: the least that a merge without our shares would send"


def rank_main(rank: int, folder: str, examples: int, rounds: int, shared_examples: int) -> None:
    """One rank: an epoch's records, then the merge, again and again; its times are left in the folder."""
    torch.set_num_threads(1)
    world = 2
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    history = History(examples)
    shared = SharedHistory(history)
    received = torch.empty(world, *history.table.tensor.shape)
    rng = torch_generator(0, "epoch", rank)

    def epoch() -> None:
        own = torch.arange(rank, examples, world)
        both = torch.arange(shared_examples)
        for index in (own, both):
            if len(index):
                history.record(index, torch.randn(len(index), 10, generator=rng), index % 10)
        dist.barrier()

    def ours() -> float:
        epoch()
        started = time.perf_counter()
        shared.merge()
        return time.perf_counter() - started

    def peer() -> float:
        dist.barrier()
        started = time.perf_counter()
        dist.all_gather(list(received), history.table.tensor)
        return time.perf_counter() - started

    times: dict[str, list[float]] = {"ours": [], "peer": []}
    for turn in range(rounds + 1):
        for name, call in (("ours", ours), ("peer", peer)):
            seconds = call()
            if turn:
                times[name].append(seconds)
    (Path(folder) / f"{rank}.json").write_text(json.dumps(times))
    end()


def merging(examples: int, rounds: int, shared_examples: int) -> tuple[list[float], list[float]]:
    """Seconds of ours and the peer, a round at a time, each the slower rank's."""
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(rank_main, (folder, examples, rounds, shared_examples), nprocs=2)
        found = [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(2)]
    slower = {
        name: [max(pair) for pair in zip(found[0][name], found[1][name], strict=True)] for name in found[0]
    }
    return slower["ours"], slower["peer"]


def epoch_seconds(examples: int, batch_size: int) -> float:
    """One rank's epoch of the narrow CNN: its half of the steps' examples, by the median step."""
    with torch_stream(0, "model"):
        model = narrow_cnn()
        inputs, targets = torch.rand(batch_size, 1, 28, 28), torch.arange(batch_size) % 10

        def step() -> None:
            torch.nn.functional.cross_entropy(model(inputs), targets).backward()

        timing = interleaved(step, step, rounds=15, clock=time.perf_counter)
    return timing.ours * examples / 2 / batch_size


def run(
    examples: int = 1_280_000, rounds: int = 9, shared_examples: int = 0, batch_size: int = 64
) -> dict[str, Any]:
    """Seconds of a merge after each rank has recorded its half; `shared_examples` were recorded by both."""
    torch.set_num_threads(1)
    ours, peer = merging(examples, rounds, shared_examples)
    seconds, epoch = statistics.median(ours), epoch_seconds(examples, batch_size)
    percent = 100 * seconds / epoch
    return {
        "ours": seconds,
        "peer": statistics.median(peer),
        "ratio": statistics.median(peer) / seconds,
        "unit": "s",
        "measured": f"slower of 2 gloo ranks, {examples:,} examples, 1 thread each, medians of {rounds} "
        f"merges, each after an epoch's records; {shared_examples:,} examples recorded by both ranks",
        "peer_name": PEER,
        "seconds": [*ours],
        "target_seconds": TARGET_SECONDS,
        "epoch_seconds": epoch,
        "epoch": f"forward and backward of {examples:,} / 2 examples a rank, narrow CNN 28x28, batches of "
        f"{batch_size} a rank, from the median step of one process; the exchange of gradients left out",
        "percent_of_epoch": percent,
        "target_percent": TARGET_PERCENT,
        "within_target": seconds <= TARGET_SECONDS and percent <= TARGET_PERCENT,
    }
