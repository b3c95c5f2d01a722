"""Whether workers that train every trial together were given the same. Runs in all of them at once."""

from __future__ import annotations

import torch
import torch.distributed as dist

from headrace.errors import InputError, InputErrors
from headrace.specs.experiment import Experiment
from headrace.training.parallel.agreement import agree, gathered
from headrace.workloads.fingerprint import Fingerprint

_SAME = "Give every process the same code and data."


def check_same(experiment: Experiment, mine: Fingerprint) -> None:
    """Compare experiment, versions and workload of every rank with those of rank 0.

    Raises:
        InputErrors: Some rank has something else; in every process, naming the ranks.
    """
    agree({"experiment": experiment.digest()[:16], "training set": mine.train.inputs[:16]})
    first, *others = gathered(mine)
    errors = [
        InputError(f"has another workload than rank 0: {what}", where=f"rank {rank}", fix=_SAME)
        for rank, other in enumerate(others, start=1)
        for what in first.differences(other)
    ]
    if errors:
        raise InputErrors(errors, where="the processes of this run")


def least(number: int) -> int:
    """The smallest of all ranks' numbers."""
    smallest = torch.tensor(number)
    dist.all_reduce(smallest, dist.ReduceOp.MIN)
    return int(smallest)
