"""An experiment under torchrun: the results of virtual workers, whatever becomes of a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace.engines import torchrun
from headrace.errors import InputError
from headrace.experiments.readiness import check_workers
from headrace.specs.experiment import Experiment

HERE = Path(__file__).parent

CHANGES = {
    "grid.batch_size": [8],
    "grid.optimizer": ["sgd"],
    "grid.policy": ["shuffle", "importance-difficulty", "partition-blocks"],
    "grid.workers": [2],
    "search.trials": 2,
    "search.space.momentum": None,
    "search.space.learning_rate": {"low": 0.02, "high": 0.2, "scale": "log"},
}


def headrace(
    folder: Path, content: dict[str, Any], *torchrun_options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`headrace run`, under torchrun with two processes where its options are given."""
    file = folder / "experiment.toml"
    file.write_text(Experiment.from_dict(content).to_toml())
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *torchrun_options]
    command = [sys.executable, *(start if torchrun_options else []), "-m", "headrace", "run", str(file)]
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [*command, "--out", str(folder / "out")],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "out" / "results.json").read_text())


def faulty(content: Any, fault: str, **settings: Any) -> dict[str, Any]:
    workload = {"name": "faulty_workload:faulty", "settings": {"fault": fault, **settings}}
    return content({**CHANGES, "workload": workload, "grid.policy": ["importance-difficulty"]})


@pytest.mark.slow
def test_results_are_those_of_virtual_workers(content, tmp_path: Path) -> None:
    """With dropout, a history and parts: byte for byte what one process finds."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one = headrace(tmp_path / "one", content(CHANGES))
    two = headrace(tmp_path / "two", content(CHANGES), "--max-restarts", "0")
    assert one.returncode == two.returncode == 0, two.stderr[-2000:]
    assert results(tmp_path / "one") == results(tmp_path / "two")
    assert two.stdout.count("The report:") == 1


@pytest.mark.slow
def test_a_process_that_dies_leads_to_the_same_results(content, tmp_path: Path) -> None:
    for name in ("died", "undisturbed"):
        (tmp_path / name).mkdir()
    marker = tmp_path / "marker"
    settings = {"marker": str(marker)}
    died = headrace(tmp_path / "died", faulty(content, "dies", **settings), "--max-restarts", "1")
    assert died.returncode == 0, died.stderr[-2000:]
    assert marker.exists()
    whole = headrace(tmp_path / "undisturbed", faulty(content, "dies", **settings), "--max-restarts", "0")
    assert whole.returncode == 0
    assert results(tmp_path / "died") == results(tmp_path / "undisturbed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("hangs", "headrace: rank 1 hangs at step 25: for "),
        (
            "raises",
            "rank 1 alone raised an error, in trial 0 of sgd,batch_size=8,policy=importance-difficulty",
        ),
    ],
)
def test_a_process_that_goes_wrong_is_named(content, tmp_path: Path, fault: str, says: str) -> None:
    done = headrace(tmp_path, faulty(content, fault), "--max-restarts", "0", HEADRACE_TIMEOUT_SECONDS="15")
    assert done.returncode != 0
    assert says in done.stderr, done.stderr[-3000:]
    assert not (tmp_path / "out" / "results.json").exists()


@pytest.mark.slow
def test_a_process_with_other_data_is_refused(content, tmp_path: Path) -> None:
    changes = {**CHANGES, "workload": {"name": "faulty_workload:other_data"}}
    done = headrace(tmp_path, content(changes), "--max-restarts", "0")
    assert done.returncode != 0
    assert "rank 1: has another training set than rank 0, which has" in done.stderr, done.stderr[-3000:]
    assert not list((tmp_path / "out").glob("studies/*"))


def test_the_workers_must_be_the_processes(content, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Experiment.from_dict(content({**CHANGES, "grid.workers": [1, 2]}))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert torchrun.active()
    assert torchrun.rank() == 1
    with pytest.raises(
        InputError, match=r"grid.workers: must be \[2\] under torchrun with 2 processes; got \[1"
    ):
        check_workers(made)
    check_workers(Experiment.from_dict(content(CHANGES)))


def test_one_process_is_none_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not torchrun.active()
    assert torchrun.rank() == 0
