"""The engine of a Ray cluster, on a local one of two CPUs: the contract, the same bytes, and deaths."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from tests.experiments.conftest import CONTENT, merged
from tests.tools.ray_kills import TINY, experiment, importable, killed_run, results

from headrace.cli.app import execute
from headrace.engines import ray as ray_engine
from headrace.engines import ray_actor, ray_cluster
from headrace.engines.ray import RayEngine
from headrace.engines.testing import MakeBench, Published, Square, check_engine
from headrace.errors import InputError
from headrace.experiments.runner import run
from headrace.search.runner import search_subset
from headrace.specs.experiment import Experiment
from headrace.specs.search import SubsetSearch


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with importable():
        yield
    ray.shutdown()


def test_the_contract() -> None:
    check_engine(lambda: RayEngine(2))


def test_an_experiment_has_the_bytes_of_the_local_engine_and_is_resumed_by_either(tmp_path: Path) -> None:
    changes = {"training.checkpoints": 2, "report.portrait_epochs": 1.0, "training.budget": {"steps": 30}}
    asked = Experiment.from_dict(merged(CONTENT, changes))
    expected = results(run(asked, tmp_path / "local", processes=2))
    stored = run(asked, tmp_path / "ray", processes=2, engine="ray")
    assert results(stored) == expected
    assert not ray.is_initialized()
    part = sorted((tmp_path / "ray" / "studies").rglob("00001.json"))[0]
    part.unlink()
    part.with_suffix(".parquet").unlink()
    assert results(run(asked, tmp_path / "ray", processes=1)) == expected


def test_a_search_trains_and_scores_there_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints reach the workers that score by Ray."""
    pools = TINY.parent / "search"
    monkeypatch.syspath_prepend(str(pools))
    monkeypatch.setenv("PYTHONPATH", f"{pools}{os.pathsep}{os.environ['PYTHONPATH']}")
    spec = SubsetSearch.from_dict(
        {
            "seed": 1,
            "workload": {"name": "pool_workload:pool"},
            "search": {"sizes": [0.125, 0.25]},
            "training": {
                "runs": 2,
                "checkpoints": 2,
                "batch_size": 8,
                "hyperparameters": {"learning_rate": 0.1},
                "budget": {"steps": 10},
            },
        }
    )
    found = []
    for engine in ("local", "ray"):
        search_subset(spec, tmp_path / engine, processes=2, engine=engine)
        place = tmp_path / engine
        files = [*place.rglob("subset*.parquet"), *place.rglob("subsets/**/*.parquet")]
        found.append({str(path.relative_to(place)): path.read_bytes() for path in files})
    assert found[0]
    assert found[0] == found[1]


def test_workers_that_are_killed_lose_what_they_were_doing_and_nothing_else(tmp_path: Path) -> None:
    asked = experiment(24)
    expected = results(run(asked, tmp_path / "local", processes=2))
    stored, engine = killed_run(asked, tmp_path / "ray", kills=3)
    assert results(stored) == expected
    assert len(engine.killed) == 3
    assert len(engine.again) <= 2 * 3


def test_a_worker_that_takes_the_place_of_another_knows_what_was_prepared_and_published() -> None:
    with RayEngine(2) as engine:
        engine.open(MakeBench(), numbers=3)
        for worker in range(2):
            engine.submit(worker, Square(worker))
        engine.publish(1, 77)
        while engine.busy:
            engine.finished()
        here = engine._workers[0].here
        assert here is not None
        os.kill(here.process, signal.SIGKILL)
        engine.submit(0, Published(1))
        assert engine.finished() == [(0, 77)]
        again = engine._workers[0].here
        assert again is not None
        assert again.process != here.process


def test_without_room_for_a_new_worker_one_that_is_there_does_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray_engine, "PATIENCE_SECONDS", 1.0)
    with RayEngine(2) as engine:
        engine.open(MakeBench())
        for worker in range(2):
            engine.submit(worker, Square(worker))
        while engine.busy:
            engine.finished()
        # As if its node were gone: the CPU that it had is taken.
        mine = engine._workers[0]
        ray.kill(mine.actor)
        taking = ray_actor.remote().remote(0, 1, [])
        ray.get(taking.here.remote())
        engine.submit(0, Square(12))
        engine.submit(1, Square(13))
        found: dict[int, int] = {}
        while engine.busy:
            found |= dict(engine.finished())
        assert found == {0: 144, 1: 169}


def test_a_cluster_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    Path("e.toml").write_text(experiment(4).to_toml())
    command = ["run", "e.toml", "--out", "out", "--engine", "ray", "--processes"]
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert execute([*command, "2"]) == 2
    assert "RAY_ADDRESS: the Ray cluster cannot be reached" in capsys.readouterr().err
    monkeypatch.delenv("RAY_ADDRESS")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    assert execute([*command, "3"]) == 2
    assert (
        "--processes: the Ray cluster has 1 CPUs, and each process takes one; got 3"
        in capsys.readouterr().err
    )
    own = ray_actor.versions
    monkeypatch.setattr(ray_actor, "versions", lambda: own() | {"torch": "1.0.0"})
    assert execute([*command, "1"]) == 2
    assert "of the Ray cluster has torch " in capsys.readouterr().err
    assert not list(Path("out").rglob("*.parquet"))


def test_sigterm_still_stores_what_was_measured() -> None:
    """Importing Ray replaces the handler of the signal."""
    code = (
        "import signal, os\nfrom headrace.engines import ray_cluster\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "ray_cluster.ray()\ntry:\n    os.kill(os.getpid(), signal.SIGTERM)\n    signal.pause()\n"
        "except KeyboardInterrupt:\n    print('kept')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout == "kept\n", done.stderr


def test_wrong_shares_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ("-1", "many", "9"):
        monkeypatch.setenv(ray_cluster.GPUS, given)
        with pytest.raises(InputError, match="must be a number from 0 to 8"):
            ray_cluster.gpus()


def test_shared_files_come_from_the_store_of_ray(tmp_path: Path) -> None:
    """The workers of another machine do not see the disk of this one."""
    assert TINY.is_dir()
    file = tmp_path / "content"
    file.write_bytes(b"\0content")
    with RayEngine(1) as engine:
        engine.open(MakeBench())
        handle = engine.share(file)
        file.unlink()
        from headrace.engines.testing import Read

        engine.submit(0, Read(handle))
        assert engine.finished() == [(0, b"\0content")]


def test_json_of_a_run_is_all_that_is_printed(tmp_path: Path, capfd: Any) -> None:
    Path("e.toml").write_text(experiment(4).to_toml())
    assert execute(["run", "e.toml", "--out", "out", "--engine", "ray", "--processes", "1", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["finished"]
