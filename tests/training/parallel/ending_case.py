"""What each process runs: a few exchanges, then the end, while torch's threads hardly get to run."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.distributed as dist

from headrace.training.parallel import ProcessWorld, join, leave


def main() -> None:
    join("cpu")
    for task in Path("/proc/self/task").iterdir():
        if "runloop" in (task / "comm").read_text():
            os.sched_setscheduler(int(task.name), os.SCHED_IDLE, os.sched_param(0))
    world = ProcessWorld()
    model = world.attach(torch.nn.Linear(20, 20))
    for _ in range(10):
        with world.exchanging(last=True):
            model(torch.ones(4, 20)).sum().backward()
    mine = torch.ones(5)
    gathered = [torch.empty_like(mine) for _ in range(world.workers)]
    dist.all_gather(gathered, mine)
    leave()


if __name__ == "__main__":
    main()
