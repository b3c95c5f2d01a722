"""The script that trains the parts of an experiment as an array of jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.cli.app import execute

pytestmark = pytest.mark.usefixtures("tiny")


FAKE = """#!/bin/sh
echo "$@" >> {log}
"""


def test_the_script_of_an_array_trains_every_part_and_requeues_what_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As SLURM would: bash runs it once for each task; a stand-in for headrace notes its arguments."""
    (tmp_path / "my experiment.toml").write_text(
        '[workload]\\nname="digits-mlp"\\n[grid]\\nbatch_size=[8,16,32]\\n[search]\\ntrials=2\\n'
        "[search.space]\\nlearning_rate=0.1\\n[training]\\nbudget={steps=8}\\n".replace("\\n", "\n")
    )
    headrace = tmp_path / "python"
    headrace.write_text(FAKE.format(log=tmp_path / "runs.txt"))
    headrace.chmod(0o755)
    (tmp_path / "scontrol").write_text(FAKE.format(log=tmp_path / "requeued.txt"))
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(headrace))
    arguments = ["submit", "my experiment.toml", "--nodes", "2", "--out", "my run", "--sbatch=--time=1:00"]
    assert execute([*arguments, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    script = Path(written["script"])
    assert "\n#SBATCH --time=1:00\n" in script.read_text()
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_JOB_ID": "7"}
    for task in ("1", "2"):
        subprocess.run(["bash", script], env=environment | {"SLURM_ARRAY_TASK_ID": task}, check=True)
    run, _ = (tmp_path / "runs.txt").read_text().splitlines()
    assert run == (
        f"-m headrace run {tmp_path}/my experiment.toml --part 1/2 --out {tmp_path}/my run-part-1-of-2"
    )
    assert written["merge"].endswith(f" '{tmp_path}/my run-part-1-of-2' '{tmp_path}/my run-part-2-of-2'")
    # One that takes long, is asked to end, stores its work for a while and says that it can be resumed.
    headrace.write_text(
        "#!/bin/bash\ntrap 'sleep 0.3; exit 130' TERM\ntouch began\nwhile :; do sleep 0.05; done\n"
    )
    task = subprocess.Popen(["bash", script], env=environment | {"SLURM_ARRAY_TASK_ID": "2"})
    while not (tmp_path / "began").exists():
        assert task.poll() is None
    task.terminate()
    assert task.wait(timeout=60) == 130
    assert (tmp_path / "requeued.txt").read_text() == "requeue 7_2\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nodes", "4"], "a part needs at least one study, and the experiment has 3"),
        (["--nodes", "0"], "--nodes: must be at least 1"),
        (["--nodes", "2", "--sbatch=-p"], "must be a long option of sbatch; got '-p'"),
        (["--nodes", "2", "--sbatch=--array=1-9"], "is set by the script, which depends on it"),
    ],
)
def test_scripts_that_cannot_be_written(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "e.toml").write_text(
        '[workload]\nname="digits-mlp"\n[grid]\nbatch_size=[8,16,32]\n[search]\ntrials=2\n'
        "[search.space]\nlearning_rate=0.1\n[training]\nbudget={steps=8}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert execute(["submit", "e.toml", *options]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["e.toml"]
