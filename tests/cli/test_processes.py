"""The command line as a process: closed pipes, a signal, and help."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CALL = [sys.executable, "-c", "from headrace.cli import main; main()"]
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def test_without_a_command_help_is_printed() -> None:
    done = subprocess.run(CALL, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: ")
    assert all(name in done.stdout for name in ("demo", "run", "status", "report", "fit", "compare", "data"))


@pytest.mark.parametrize("buffering", ["", "1"])
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, buffering: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    (tmp_path / "t.csv").write_text("batch_size,steps\n1,100\n2,51\n4,30\n")
    done = subprocess.run(
        [*CALL, "fit", "t.csv", "--json"],
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**BUFFERED, "PYTHONUNBUFFERED": buffering},
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_that_can_go_on_and_leaves_no_worker(
    tmp_path: Path, sent: signal.Signals
) -> None:
    from tests.cli.test_run_command import FILE

    text = FILE.format(workload="blobs").replace("[grid]", "settings = { pause = 0.02, goal = 0.0 }\n[grid]")
    (tmp_path / "slow.toml").write_text(text.replace("steps = 8", "steps = 4000"))
    process = subprocess.Popen(
        [*CALL, "run", str(tmp_path / "slow.toml"), "--out", str(tmp_path / "run"), "--processes", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not (tmp_path / "run" / "progress.json").exists():
        time.sleep(0.1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "headrace: interrupted; the same command continues from here\n"
    assert list((tmp_path / "run" / "studies").rglob("*.json"))
    assert children
    end = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < end, "a worker lives on"
        time.sleep(0.1)
