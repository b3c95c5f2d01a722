"""A process that has done its work under torchrun ends well, however late torch's threads are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from .test_processes import torchrun


@pytest.fixture
def busy_machine() -> Iterator[None]:
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    yield
    for hog in hogs:
        hog.kill()
        hog.wait()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="threads are held back in Linux's way")
@pytest.mark.usefixtures("busy_machine")
def test_no_process_aborts_at_its_end() -> None:
    """gloo's threads drop what was exchanged after the exchange, and need the interpreter for it."""
    for _ in range(5):
        done = torchrun(4, "-m", "tests.training.parallel.ending_case")
        assert done.returncode == 0, done.stderr[-3000:]
