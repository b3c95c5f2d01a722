"""Many short studies on a local Ray cluster whose workers are killed: are the bytes those of the local one?

    python -m tests.tools.ray_kills --studies 200 --kills 25

It needs `pip install '.[ray]'`. It prints one JSON object: whether results.json is the same, how many
workers were killed, how many jobs were sent again, and how many suspended trials began again. A kill ends at
most one job that runs. With two workers a second one may be sent again, which waited there, because a job
whose own worker does not come back soon is lent to the other one.
"""

from __future__ import annotations

import argparse
import json
import os
import random as stdlib_random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.experiments.inline_engine import Given

from headrace.analysis.results import analyse, write_results
from headrace.engines.ray import RayEngine
from headrace.engines.registry import ENGINES
from headrace.experiments.runner import run
from headrace.specs.experiment import Experiment
from headrace.store.experiments import StoredExperiment

TINY = Path(__file__).parent.parent / "experiments"


def experiment(studies: int) -> Experiment:
    """As many studies, of a few trials on two noisy blobs."""
    optimizers = ["sgd", "momentum", "nesterov", "adamw"]
    return Experiment.from_dict(
        {
            "seed": 5,
            "workload": {"name": "tiny_workload:blobs"},
            "grid": {"batch_size": list(range(2, 2 + studies // 4)), "optimizer": optimizers},
            "search": {
                "trials": 2,
                "space": {
                    "learning_rate": {"low": 0.01, "high": 10.0, "scale": "log"},
                    "momentum": {"low": 0.5, "high": 0.99, "scale": "one-minus-log"},
                },
            },
            "training": {"budget": {"steps": 24}, "evaluation": {"ratio": 1.5}},
            "report": {"portrait_epochs": 0},
        }
    )


class Watched(RayEngine):
    """Notes the jobs that are sent again, and lets a thread kill workers.

    Attributes:
        again: Jobs that were sent again.
        killed: Processes that were killed.
        restarted: Trials that a worker kept and that began again.
    """

    def __init__(self, workers: int, kills: int, chance: stdlib_random.Random) -> None:
        super().__init__(workers)
        self.again: list[Any] = []
        self.killed: list[int] = []
        self.restarted = 0
        self._kept: set[tuple[str, int]] = set()
        self._sent: dict[int, Any] = {}
        self._worked: set[int] = set()
        self._kills, self._chance = kills, chance

    def _send(self, worker: int, by: int) -> None:
        job = self._workers[worker].job
        if self._sent.get(worker) is job:
            self.again.append(job)
        self._sent[worker] = job
        super()._send(worker, by)

    def _results(self, found: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        for worker, reports in found:
            here = self._workers[worker].here
            self._worked |= set() if here is None else {here.process}
            for report in reports if isinstance(reports, list) else []:
                key = (report.record.study, report.record.trial)
                self.restarted += key in self._kept and report.start == 0
                self._kept.add(key) if report.suspended else self._kept.discard(key)
        return super()._results(found)

    def kill_now_and_then(self, ended: threading.Event) -> None:
        """Kill a worker at random moments, once it has done a job: a job is not killed again and again."""
        while len(self.killed) < self._kills and not ended.wait(self._chance.uniform(0.1, 1.5)):
            known = [w.here.process for w in self._workers if w.here]
            there = [one for one in known if one in self._worked and one not in self.killed]
            if there:
                self.killed.append(self._chance.choice(there))
                os.kill(self.killed[-1], signal.SIGKILL)


@contextmanager
def importable() -> Iterator[None]:
    """The tests' workload, in this process and in those of a cluster that it starts."""
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{TINY}{os.pathsep}{before}"
    sys.path.insert(0, str(TINY))
    try:
        yield
    finally:
        sys.path.remove(str(TINY))
        os.environ["PYTHONPATH"] = before


def killed_run(
    asked: Experiment, folder: Path, kills: int, seed: int = 0
) -> tuple[StoredExperiment, Watched]:
    """Run on a local cluster of two CPUs while workers are killed."""
    made: list[Watched] = []
    ended = threading.Event()

    def make(workers: int) -> Watched:
        made.append(Watched(workers, kills, stdlib_random.Random(seed)))
        threading.Thread(target=made[-1].kill_now_and_then, args=(ended,), daemon=True).start()
        return made[-1]

    ENGINES["ray-killed"] = Given(make)
    try:
        return run(asked, folder, processes=2, engine="ray-killed"), made[-1]
    finally:
        ended.set()
        del ENGINES["ray-killed"]


def results(stored: StoredExperiment) -> bytes:
    """The bytes of its results.json."""
    return write_results(analyse(stored), stored.directory).read_bytes()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    asked = experiment(given.studies)
    with tempfile.TemporaryDirectory() as place, importable():
        start = time.monotonic()
        expected = results(run(asked, Path(place) / "local", processes=2))
        local = time.monotonic() - start
        stored, engine = killed_run(asked, Path(place) / "ray", given.kills, given.seed)
        found = {
            "studies": len(asked.studies()),
            "same_bytes": results(stored) == expected,
            "killed": len(engine.killed),
            "jobs_sent_again": len(engine.again),
            "suspended_trials_begun_again": engine.restarted,
            "local_seconds": round(local, 1),
            "ray_seconds": round(time.monotonic() - start - local, 1),
        }
    print(json.dumps(found))
    held = found["same_bytes"] and len(engine.killed) == given.kills
    return 0 if held and len(engine.again) <= 2 * given.kills else 1


if __name__ == "__main__":
    sys.exit(main())
