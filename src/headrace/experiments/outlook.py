"""The plan of a run on open workers: they are calibrated, and memory and disk are looked at."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from headrace.engines._base import do_all
from headrace.engines.processes import physical_bytes
from headrace.experiments.dispatch import Dispatch
from headrace.experiments.pilots import Show, calibrate
from headrace.experiments.work_plan import Room, WorkPlan
from headrace.store.experiments import StoredExperiment
from headrace.trials.gauge import Weigh
from headrace.trials.tasks import Memory


def work_plan(
    stored: StoredExperiment,
    dispatch: Dispatch,
    *,
    start_seconds: float,
    show: Show = lambda _: None,
) -> WorkPlan:
    """Calibrate on open workers, and plan by that.

    Args:
        stored: What is there, with the workload's facts.
        dispatch: What trains the experiment: its first trials are those of the calibration.
        start_seconds: What it took to start the workers and load the workload.
        show: Called with the share of the calibration that is done.
    """
    engine = dispatch.engine
    loaded = _most(do_all(engine, [Weigh()]))
    calibration = calibrate(stored, dispatch, start_seconds=start_seconds, show=show)
    most = _most([loaded, *(gauge.memory for gauge in calibration.gauges)])
    return WorkPlan(
        stored=stored,
        calibration=calibration,
        processes=engine.workers,
        room=Room(
            per_process=most.bytes,
            loaded=loaded.bytes,
            machine=physical_bytes(),
            device_per_process=most.device_bytes,
            device=most.device_total,
            disk_free=_free(stored.directory),
        ),
    )


def _most(of: Sequence[Memory]) -> Memory:
    known = [memory.bytes for memory in of if memory.bytes is not None]
    return Memory(
        bytes=max(known, default=None),
        device_bytes=max(memory.device_bytes for memory in of),
        device_total=max(memory.device_total for memory in of),
    )


def _free(directory: Path) -> int | None:
    """Free bytes where the folder is or would be."""
    there = next((path for path in (directory, *directory.absolute().parents) if path.is_dir()), None)
    return None if there is None else shutil.disk_usage(there).free
