"""The own-loop example in several processes: it learns as in one, and is no more lines than it promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from headrace.training.parallel import global_mean

from .test_processes import torchrun

EXAMPLES = Path(__file__).parents[3] / "examples"
EXAMPLE = EXAMPLES / "own_loop_distributed.py"


def test_at_most_five_lines_are_added() -> None:
    marked = [line for line in EXAMPLE.read_text().splitlines() if line.endswith("# distributed")]
    assert len(marked) <= 5


def test_alone_the_mean_over_all_processes_is_the_mean() -> None:
    values = torch.arange(7.0)
    assert global_mean(values) == values.mean()


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "workers"), [("importance-difficulty", 2), ("partition-blocks", 3)])
def test_it_learns(policy: str, workers: int) -> None:
    done = torchrun(workers, str(EXAMPLE), "--policy", policy)
    assert done.returncode == 0, done.stderr[-2000:]
    found = re.fullmatch(
        rf"{policy}: test error (0\.\d+) after 10 epochs on {workers} processes\n", done.stdout
    )
    assert found and float(found[1]) < 0.15
