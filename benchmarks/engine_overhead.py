"""What an engine costs: short trials as its jobs, against the same trials in two bare processes.

Both train digits-mlp. Starting the processes and loading the workload is left out of both: it is paid once.
`engine=ray` measures the engine of a Ray cluster, a local one of two CPUs. On a busy machine, where processes
wait for their turn, only `cpu_overhead` says something: the CPU seconds of the workers and of this process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._timing import interleaved
from headrace.engines._base import Engine, do_all, everywhere
from headrace.engines.registry import make_engine
from headrace.engines.testing import Process
from headrace.specs.experiment import Experiment
from headrace.trials.advance import Advance, Inspect, MakeBench
from headrace.trials.tasks import Task

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

DESCRIPTION = "short trials as jobs of an engine, against the same trials in two bare processes"

WORKERS = 2


def experiment(trials: int, steps: int) -> Experiment:
    """One study whose trials are trained to their budget."""
    return Experiment.from_dict(
        {
            "workload": {"name": "digits-mlp"},
            "grid": {"batch_size": [32]},
            "search": {
                "trials": trials,
                "space": {"learning_rate": {"low": 0.001, "high": 0.1, "scale": "log"}},
            },
            "training": {"budget": {"steps": steps}, "stop": "budget"},
            "report": {"portrait_epochs": 0},
        }
    )


def run(*, engine: str = "local", trials: int = 200, steps: int = 150, rounds: int = 3) -> dict[str, Any]:
    """Train all trials with both, in turns.

    Args:
        engine: A name of `headrace.engines.registry`.
        trials: How many.
        steps: Of each.
        rounds: How often.
    """
    asked = experiment(trials, steps)
    with make_engine(engine, WORKERS).open(MakeBench.of(asked), numbers=1) as opened, _Bare(asked) as bare:
        opened.publish(0, steps)
        do_all(opened, [Inspect()] * WORKERS)
        ours = _Counted({*everywhere(opened, Process()), os.getpid()}, lambda: _by_engine(opened, asked))
        peer = _Counted({*bare.processes, os.getpid()}, bare.train)
        timing = interleaved(ours, peer, rounds=rounds, warmup=1, clock=time.perf_counter)
    return {
        "measured": f"{trials} trials of {steps} steps of digits-mlp, {WORKERS} workers, engine {engine}",
        "unit": "s",
        **vars(timing),
        "ratio": timing.ratio,
        "overhead": 1 / timing.ratio_undisturbed - 1,
        "cpu_overhead": ours.seconds / peer.seconds - 1,
    }


def _by_engine(engine: Engine, asked: Experiment) -> None:
    (study,) = asked.studies()
    until = asked.budget_steps(study, 10**9)
    tasks = [Task(study=study, number=0, trial=n, until=until) for n in range(asked.search.trials)]
    reports = do_all(engine, [Advance(tasks=(task,)) for task in tasks])
    assert all(report.record.trained == until or report.record.diverged for (report,) in reports)


class _Counted:
    """A call, with the CPU seconds that some processes have spent in all its turns.

    Args:
        processes: Their numbers.
        call: What is called.
    """

    def __init__(self, processes: Collection[int], call: Callable[[], None]) -> None:
        self._processes, self._call = processes, call
        self.seconds = 0.0

    def __call__(self) -> None:
        before = sum(map(_cpu_seconds, self._processes))
        self._call()
        self.seconds += sum(map(_cpu_seconds, self._processes)) - before


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Bare:
    """Two processes, each of which trains every other trial when it is told to."""

    def __init__(self, asked: Experiment) -> None:
        context = get_context("spawn")
        pipes = [context.Pipe() for _ in range(WORKERS)]
        self._ends = [own for own, _ in pipes]
        self._processes = [
            context.Process(target=_train, args=(asked.model_dump_json(), number, theirs), daemon=True)
            for number, (_, theirs) in enumerate(pipes)
        ]

    def __enter__(self) -> _Bare:
        for process in self._processes:
            process.start()
        for end in self._ends:
            end.recv()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()

    @property
    def processes(self) -> list[int]:
        """Their numbers."""
        return [process.pid for process in self._processes if process.pid is not None]

    def train(self) -> None:
        """All trials."""
        for end in self._ends:
            end.send("train")
        for end in self._ends:
            end.recv()


def _train(content: str, number: int, end: Connection) -> None:
    """A loop over trials, as a script would have it."""
    import torch

    from headrace.trials.running import RunningTrial
    from headrace.trials.setting import Setting
    from headrace.workloads.registry import load_workload

    torch.set_num_threads(1)
    asked = Experiment.model_validate_json(content)
    workload = load_workload(asked.workload.name, {})
    setting = Setting(experiment=asked, workload=workload, goal=workload.goal, device=torch.device("cpu"))
    (study,) = asked.studies()
    budget = asked.budget_steps(study, len(workload.train))
    end.send("ready")
    while end.recv():
        for trial in range(number, asked.search.trials, WORKERS):
            running = RunningTrial(setting=setting, study=study, trial=trial)
            running.advance(budget, lambda: budget)
            running.record()
        end.send("done")
