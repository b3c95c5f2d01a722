"""Running an experiment: from a folder, perhaps with trials in it, to one where every study is decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from headrace.engines import torchrun
from headrace.engines._base import Engine, each_done, prepare
from headrace.experiments import fresh
from headrace.experiments.dispatch import Dispatch, races_of
from headrace.experiments.ledger import Ledger
from headrace.experiments.listeners import Listener, Listeners, Showing
from headrace.experiments.outlook import work_plan
from headrace.experiments.race import Schedule
from headrace.experiments.readiness import check_files, check_packs, check_readiness, check_workers
from headrace.experiments.starting import start
from headrace.experiments.work_plan import WorkPlan
from headrace.specs.experiment import Experiment
from headrace.specs.shares import Share
from headrace.store import experiments as store
from headrace.store import lock
from headrace.store.changes import check_reason
from headrace.store.experiments import StoredExperiment
from headrace.store.extending import Agree, extended
from headrace.store.portraits import missing, write_portrait
from headrace.store.progress import State
from headrace.trials.advance import Expect, MakeBench, Portray

Announce = Callable[[WorkPlan], object]
"""Called with what a run will do and take."""


def run(
    experiment: Experiment,
    directory: str | Path,
    *,
    processes: int | None = None,
    progress: Callable[[State], object] | None = None,
    listeners: Sequence[Listener] = (),
    engine: str = "local",
    accept_change: str | None = None,
    share: Share | None = None,
    extend: Agree | None = None,
    announce: Announce | None = None,
) -> StoredExperiment:
    """Run an experiment, or resume it, until every study is decided and the portraits are made.

    Under torchrun this is called in rank 0, and `follow` in the others.

    What is stored depends on no interruption and on no number of processes, except for trials that were
    trained a little further than was needed, which analysis leaves out.

    Args:
        experiment: What to run.
        directory: The folder; made where it is not there.
        processes: How many trials are trained at once; None for one per core, or on GPUs a few each.
        progress: Called with the state of the run, from this thread, a few times per second at most.
        listeners: Who else hears of the run.
        engine: Where trials are trained, by its name in `engines.registry`. Under torchrun it has no effect:
            the processes that torchrun started train all trials together.
        accept_change: Why trials of a workload that has changed since may count next to new ones; recorded,
            and shown in the report. None refuses a changed workload.
        share: Which share of the studies is trained, in a folder of its own; None for all.
        extend: Called with the plan if the folder holds an experiment that this one extends; whether to do
            it. None refuses it.
        announce: Called with the plan, once the first trials have shown what a step takes; under torchrun
            not. None: the run begins without a calibration.

    Raises:
        InputError: The folder holds another experiment or share, or trials of one, the workload does not fit
            the experiment, or is not the one with which the folder's trials were trained.
        BusyError: The folder is in use by another process.
        DamagedError: A stored part is truncated or was altered.
        WorkerDied: A worker process died.
        StorageError: The folder cannot be written, for example because the disk is full.
        KeyboardInterrupt: Ctrl-C; what was measured is stored.
    """
    directory = Path(directory)
    check_reason(accept_change)
    with lock.exclusive(directory):
        store.create(directory, experiment, share, extend=partial(extended, agree=extend))
        stored = store.load(directory)
        store.finish(stored)
        if stored.facts is not None:
            check_files(experiment, stored.facts)
        shown = [] if progress is None else [Showing(progress)]
        return _train(
            stored,
            processes,
            Listeners([*shown, *listeners]),
            accept_change=accept_change,
            where=engine,
            announce=announce,
        )


def follow(experiment: Experiment) -> None:
    """What ranks other than 0 do under torchrun: their part of the run that `run` leads in rank 0.

    Raises:
        InputError: The experiment is for another number of workers.
        HeadraceError: Rank 0 stopped with an error, or this rank alone raised one.
    """
    check_workers(experiment)
    torchrun.follow(
        MakeBench.of(experiment), device=experiment.training.device, numbers=len(experiment.studies())
    )


def _train(
    stored: StoredExperiment,
    processes: int | None,
    listeners: Listeners,
    *,
    accept_change: str | None,
    where: str,
    announce: Announce | None,
) -> StoredExperiment:
    """Train what is missing; if nothing is, see whether the workload is still the one of the results.

    Returns:
        What the folder holds then.
    """
    experiment, started = stored.experiment, time.monotonic()
    finished = (
        stored.facts is not None
        and Schedule(races_of(stored)).finished
        and not missing(stored)
        and not fresh.incomplete(stored)
    )
    engine, inspection = start(experiment, 1 if finished else processes, where)
    with engine:
        facts = inspection.facts
        if finished and stored.facts is not None:
            # A subset's file may be gone: nothing is trained on it any more.
            facts = facts.model_copy(update={"subsets": stored.facts.subsets})
        else:
            check_readiness(experiment, inspection)
        facts = store.write_facts(
            stored.directory,
            facts,
            carried={record.fingerprint for record in stored.records},
            finished=finished,
            accept_change=accept_change,
        )
        stored = stored.with_facts(facts)
        if finished:
            return stored
        check_packs(facts, inspection)
        prepare(engine, Expect(facts))
        ledger = Ledger(stored.directory, facts)
        listeners.begin(experiment, facts)
        dispatch = Dispatch.of(stored, engine, ledger, listeners)
        if announce is not None and not engine.together:
            announce(work_plan(stored, dispatch, start_seconds=time.monotonic() - started))
        dispatch.to_the_end()
        stored = stored.with_parts(ledger.written.values())

        def tell(done: int, of: int) -> None:
            dispatch.watch.replicates = done, of
            dispatch.watch.show(dispatch.schedule.races)

        fresh.replicate(stored, engine, tell)
        # The studies are safe in the store: what follows is for the report.
        _portray(stored, engine)
        listeners.end(stored)
    return stored


def _portray(stored: StoredExperiment, engine: Engine) -> None:
    """Make the portraits that are missing."""
    for _, (portrait, table) in each_done(engine, [Portray(one) for one in missing(stored)]):
        write_portrait(stored.directory, portrait, table)


def complete(
    directory: str | Path, *, processes: int | None = None, engine: str = "local"
) -> StoredExperiment:
    """Make the replicates and portraits that are missing in a folder whose studies are decided.

    No trial is trained again, not even one that failed.

    Args:
        directory: The folder.
        processes: How many are made at once; None for one per core, or on GPUs a few each.
        engine: As in `run`.

    Returns:
        What the folder holds.

    Raises:
        InputError: The workload is not the one of the folder's trials.
        BusyError: The folder is in use by another process.
        WorkerDied: A worker process died.
        StorageError: The folder cannot be written.
    """
    with lock.exclusive(Path(directory)):
        stored = store.load(directory)
        if not (missing(stored) or fresh.incomplete(stored)):
            return stored
        opened, inspection = start(stored.experiment, processes, engine)
        with opened:
            carried = {record.fingerprint for record in stored.records}
            facts = store.write_facts(stored.directory, inspection.facts, carried=carried)
            prepare(opened, Expect(facts))
            stored = stored.with_facts(facts)
            fresh.replicate(stored, opened, lambda done, of: None)
            _portray(stored, opened)
        return stored
