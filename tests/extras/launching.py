"""Scripts of these tests, run by several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent


def launched(script: str, folder: Path, ranks: int, *how: str) -> list[dict]:
    """What each process of a script wrote to `folder/found-RANK.pt`."""
    folder.mkdir(exist_ok=True)
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    around = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])}
    command = [*run, str(HERE / script), str(folder), str(ranks), *how]
    ended = subprocess.run(command, check=False, env=around, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return [torch.load(folder / f"found-{rank}.pt", weights_only=True) for rank in range(ranks)]
