"""What each process under torchrun runs: every case in turn; the ranks' states are written to a file."""

from __future__ import annotations

import sys
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file

from headrace.training.parallel import ProcessWorld, join, leave

from .worlds import Run, stream

CASES: list[dict[str, Any]] = [
    {"kind": "dropout", "microbatch": 2},
    {"kind": "norm", "policy": "importance-prediction-variance"},
    {"kind": "norm", "policy": "selective-backprop", "microbatch": 4},
    {"kind": "dropout", "policy": "gradient-norm"},
    {"policy": "recency-bias"},
]


def main(path: str) -> None:
    join("cpu")
    rank, workers = dist.get_rank(), dist.get_world_size()
    found = {}
    for number, case in enumerate(CASES):
        run = Run(ProcessWorld(stream(rank, workers)), workers=workers, **case)
        metrics = [value for measured in run.measured for value in measured.metrics.values()]
        found[f"{number}"] = torch.cat([run.state, torch.tensor(metrics), run.history.mean("loss").double()])
    mine = torch.stack(padded(found))
    states = [torch.empty_like(mine) for _ in range(workers)]
    dist.all_gather(states, mine)
    if rank == 0:
        save_file({str(r): state for r, state in enumerate(states)}, path)
    leave()


def padded(found: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    width = max(map(len, found.values()))
    return [torch.nn.functional.pad(row, (0, width - len(row))) for row in found.values()]


if __name__ == "__main__":
    main(sys.argv[1])
