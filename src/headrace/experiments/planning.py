"""The plan of a run before it: what the folder would hold, and what it takes; nothing is written."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from headrace.engines import torchrun
from headrace.engines._base import do_all, prepare
from headrace.engines.processes import cores, physical_bytes
from headrace.errors import InputError
from headrace.experiments.dispatch import Dispatch
from headrace.experiments.listeners import Listeners
from headrace.experiments.outlook import work_plan
from headrace.experiments.pilots import Show
from headrace.experiments.readiness import check_files, check_readiness
from headrace.experiments.searched import is_found, searches, stand_ins, with_found
from headrace.experiments.starting import start
from headrace.experiments.work_plan import Room, WorkPlan, memory_lacks
from headrace.specs.experiment import Experiment
from headrace.specs.shares import Share
from headrace.store import experiments as store
from headrace.store.changes import check_reason, settle
from headrace.store.extending import Agree, extended
from headrace.trials.advance import Expect
from headrace.trials.gauge import Weigh
from headrace.trials.tasks import Report


class Unkept:
    """In the place of a ledger: what a calibration measures is not stored."""

    def note(self, report: Report) -> None:
        """Let go of it."""

    def store_study(self, study: str) -> None:
        """There is nothing to store."""

    def store_all(self) -> None:
        """There is nothing to store."""


def plan(
    experiment: Experiment,
    directory: str | Path,
    *,
    processes: int | None = None,
    engine: str = "local",
    accept_change: str | None = None,
    share: Share | None = None,
    extend: Agree | None = None,
    show: Show = lambda _: None,
) -> WorkPlan:
    """What `runner.run` with the same arguments would do and take. Nothing is written, and no trial is kept.

    Args:
        experiment: What would be run; subsets may be searches that are not made yet.
        directory: The folder, which need not be there. What it holds counts as done.
        processes: As in `run`.
        engine: As in `run`.
        accept_change: As in `run`.
        share: As in `run`.
        extend: As in `run`.
        show: Called with the share of the calibration that is done.

    Raises:
        InputError: As in `run`; or the machine lacks the memory for this many processes.
        WorkerDied: A worker process died.
        DamagedError: A stored part is truncated or was altered.
    """
    directory = Path(directory)
    if torchrun.active():
        raise InputError("has no effect under torchrun", where="--plan", fix="Start it without torchrun.")
    check_reason(accept_change)
    sought = {n: spec for n, spec in searches(experiment).items() if not is_found(directory, n, spec)}
    files = {name: experiment.subsets[name] for name in sought}
    experiment = with_found(stand_ins(experiment, sought), directory)
    stored = store.as_joined(directory, experiment, share, extend=partial(extended, agree=extend))
    if stored.facts is not None:
        check_files(stored.experiment, stored.facts)
    asked, useful = processes, processes
    if engine == "local":
        asked = processes or cores()
        useful = None if processes is None else min(processes, cores())
        _check_loading(stored.experiment, asked)
    started = time.monotonic()
    opened, inspection = start(stored.experiment, useful, engine)
    with opened:
        check_readiness(stored.experiment, inspection)
        facts = settle(
            stored.facts,
            inspection.facts,
            {record.fingerprint for record in stored.records},
            where=str(directory),
            why=accept_change,
        )
        stored = stored.with_facts(facts)
        prepare(opened, Expect(facts))
        dispatch = Dispatch.of(stored, opened, Unkept(), Listeners([]))
        seconds = time.monotonic() - started
        made = replace(
            work_plan(stored, dispatch, start_seconds=seconds, show=show),
            processes=asked or opened.workers,
            searches=sought,
            files=files,
        )
    lacks = made.memory_lacks
    if lacks:
        raise InputError(lacks[0], where="--plan")
    return made


def _check_loading(experiment: Experiment, processes: int) -> None:
    """Before several processes load the workload, see what one takes.

    Raises:
        InputError: That many would not fit into memory.
    """
    if processes == 1:
        return
    opened, _ = start(experiment, 1, "local")
    with opened:
        (one,) = do_all(opened, [Weigh()])
    room = Room(per_process=one.bytes, loaded=one.bytes, machine=physical_bytes())
    for lacks in memory_lacks(room, processes):
        raise InputError(lacks, where="--plan")
