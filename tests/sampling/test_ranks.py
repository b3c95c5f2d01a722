"""Two processes with a group: the sampler finds its rank, and ranks that plan differently are all told."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
import torch
import torch.distributed as dist
from headrace.histories import History
from headrace.policies import make_policy
from headrace.sampling import ExampleSampler

rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
policy = make_policy("sample-difficulty")


def history(seed):
    known = History(16)
    everyone = torch.arange(16)
    known.record(everyone, torch.eye(16)[:, :3] * seed + torch.eye(16)[:, 1:4], everyone % 3)
    return known


def told(name, **settings):
    try:
        sampler = ExampleSampler(16, batch_size=4, **settings)
        sampler.set_epoch(settings.get("seed", 0))
        print(name, [len(batch) for batch in sampler], flush=True)
    except Exception as error:
        print(name, type(error).__name__, str(error).split(":")[-1 if name == "raises" else 1], flush=True)


told("alike")
told("merged", policy=policy, history=history(1))
told("histories", policy=policy, history=history(1 + rank))
told("alone", rank=0, world_size=1, seed=rank)
told("raises", policy=make_policy("sample", lambda known: [1 / rank] * 16), history=history(1))
dist.barrier()
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_ranks_find_themselves_and_are_told_in_what_they_differ(tmp_path):
    command = [sys.executable, "-c", CODE]
    started = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "meeting")], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    first, second = (process.communicate(timeout=120)[0].splitlines() for process in started)
    assert first[:2] == second[:2] == ["alike [2, 2, 2, 2]", "merged [2, 2, 2, 2]"]
    assert first[2] == second[2]
    assert "histories InputError  the ranks differ in the values that the policy assessed" in first[2]
    assert first[3] == second[3] == "alone [4, 4, 4, 4]"
    assert "raises ZeroDivisionError" in first[4]
    assert "raises InputError" in second[4] and "rank 0 could not plan" in second[4]
