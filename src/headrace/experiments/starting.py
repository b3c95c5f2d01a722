"""Starting the workers of an experiment, one of which looks at the workload."""

from __future__ import annotations

from contextlib import ExitStack

from headrace.engines import torchrun
from headrace.engines._base import Engine, do_all
from headrace.engines.registry import make_engine
from headrace.engines.torchrun import TorchrunEngine
from headrace.experiments.readiness import check_workers
from headrace.specs.experiment import Experiment
from headrace.trials.advance import Inspect, MakeBench
from headrace.trials.tasks import Inspection

PROCESSES_PER_GPU = 4
"""Default number of trials at once on one GPU."""


def start(experiment: Experiment, processes: int | None, where: str) -> tuple[Engine, Inspection]:
    """Start the workers; on GPUs, if that many would not fit, start again with fewer."""
    if torchrun.active():
        check_workers(experiment)
        return opened(TorchrunEngine(experiment.training.device), experiment)
    engine, inspection = opened(make_engine(where, processes), experiment)
    most = PROCESSES_PER_GPU * inspection.gpus or engine.workers
    if processes is None and engine.workers > most and not getattr(engine, "rations", False):
        engine.close()
        return opened(make_engine(where, most), experiment)
    return engine, inspection


def opened(engine: Engine, experiment: Experiment) -> tuple[Engine, Inspection]:
    """Start the workers, each of which loads the workload; one looks at it."""
    with ExitStack() as stack:
        stack.enter_context(engine)
        engine.open(MakeBench.of(experiment), numbers=len(experiment.studies()))
        (inspection,) = do_all(engine, [Inspect()])
        stack.pop_all()
    return engine, inspection
