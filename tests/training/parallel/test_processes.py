"""Real processes under torchrun: the same as virtual workers, to the last part of 1e-9."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from headrace.training.parallel import VirtualWorld

from .process_cases import CASES
from .worlds import Run, stream

ROOT = Path(__file__).parents[3]
WORKERS = 3


def torchrun(workers: int, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(workers),
    ]
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        check=False,
    )


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    path = tmp_path_factory.mktemp("states") / "states.safetensors"
    done = torchrun(WORKERS, "-m", "tests.training.parallel.process_cases", str(path))
    assert done.returncode == 0, done.stderr[-3000:]
    return load_file(path)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_real_workers_are_virtual_workers(states: dict[str, torch.Tensor], case: int) -> None:
    """Parameters, running statistics, measurements and histories, in every process."""
    world = VirtualWorld(WORKERS, [stream(worker, WORKERS) for worker in range(WORKERS)])
    run = Run(world, workers=WORKERS, **CASES[case])
    metrics = [value for measured in run.measured for value in measured.metrics.values()]
    expected = torch.cat([run.state, torch.tensor(metrics), run.history.mean("loss").double()])
    for worker in range(WORKERS):
        assert (states[str(worker)][case, : len(expected)] - expected).abs().max() < 1e-9
