"""Running an experiment: from a folder, perhaps with trials in it, to one where every study is decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from headrace.engines import torchrun
from headrace.engines._base import Engine, do_all, each_done, prepare
from headrace.engines.registry import make_engine
from headrace.engines.torchrun import TorchrunEngine
from headrace.experiments import fresh
from headrace.experiments.ledger import Ledger
from headrace.experiments.listeners import Listener, Listeners, Showing
from headrace.experiments.progress import Watch
from headrace.experiments.race import Race, Schedule, rungs
from headrace.experiments.readiness import check_files, check_readiness, check_workers
from headrace.specs.experiment import Experiment
from headrace.specs.shares import Share
from headrace.specs.studies import StudyKey
from headrace.store import experiments as store
from headrace.store import lock
from headrace.store.changes import check_reason
from headrace.store.experiments import StoredExperiment
from headrace.store.extending import Agree, extended
from headrace.store.portraits import missing, write_portrait
from headrace.store.progress import State
from headrace.trials.advance import Advance, Expect, Inspect, MakeBench, Portray
from headrace.trials.tasks import Inspection, Report

PROCESSES_PER_GPU = 4
"""Default number of trials at once on one GPU."""


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
        return _train(stored, processes, Listeners([*shown, *listeners]), accept_change, engine)


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
    accept_change: str | None,
    where: str,
) -> StoredExperiment:
    """Train what is missing; if nothing is, see whether the workload is still the one of the results.

    Returns:
        What the folder holds then.
    """
    experiment = stored.experiment
    finished = (
        stored.facts is not None
        and Schedule(_races(stored)).finished
        and not missing(stored)
        and not fresh.incomplete(stored)
    )
    engine, inspection = _start(experiment, 1 if finished else processes, where)
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
        prepare(engine, Expect(facts))
        ledger = Ledger(stored.directory, facts)
        listeners.begin(experiment, facts)
        schedule = Schedule(_races(stored))
        watch = Watch(listeners, fresh.at_most(stored))
        _Run(
            schedule=schedule,
            engine=engine,
            ledger=ledger,
            watch=watch,
            listeners=listeners,
            metric=f"validation/{facts.metric_name}",
        ).to_the_end()
        stored = stored.with_parts(ledger.written.values())

        def tell(done: int, of: int) -> None:
            watch.replicates = done, of
            watch.show(schedule.races)

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
        opened, inspection = _start(stored.experiment, processes, engine)
        with opened:
            carried = {record.fingerprint for record in stored.records}
            facts = store.write_facts(stored.directory, inspection.facts, carried=carried)
            prepare(opened, Expect(facts))
            stored = stored.with_facts(facts)
            fresh.replicate(stored, opened, lambda done, of: None)
            _portray(stored, opened)
        return stored


def _start(experiment: Experiment, processes: int | None, where: str) -> tuple[Engine, Inspection]:
    """Start the workers; on GPUs, if that many would not fit, start again with fewer."""
    if torchrun.active():
        check_workers(experiment)
        return _opened(TorchrunEngine(experiment.training.device), experiment)
    engine, inspection = _opened(make_engine(where, processes), experiment)
    most = PROCESSES_PER_GPU * inspection.gpus or engine.workers
    if processes is None and engine.workers > most and not getattr(engine, "rations", False):
        engine.close()
        return _opened(make_engine(where, most), experiment)
    return engine, inspection


def _opened(engine: Engine, experiment: Experiment) -> tuple[Engine, Inspection]:
    """Start the workers, each of which loads the workload; one looks at it."""
    with ExitStack() as stack:
        stack.enter_context(engine)
        engine.open(MakeBench.of(experiment), numbers=len(experiment.studies()))
        (inspection,) = do_all(engine, [Inspect()])
        stack.pop_all()
    return engine, inspection


def _races(stored: StoredExperiment) -> list[Race]:
    return [_race(stored, number, key) for number, key in enumerate(stored.trained())]


def _race(stored: StoredExperiment, number: int, key: StudyKey) -> Race:
    """A study as far as it is known; trials that failed are tried again."""
    rules = stored.rules(key)
    return Race(
        key=key,
        number=number,
        rules=rules,
        ladder=rungs(stored.experiment.evaluation_steps(rules.budget)),
        to_budget=stored.experiment.training.stop == "budget",
        outcomes={record.trial: record for record in stored.study_records(key.name) if not record.failed},
    )


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One run: tasks go out to idle workers, reports come in, until nothing is left to train."""

    schedule: Schedule
    engine: Engine
    ledger: Ledger
    watch: Watch
    listeners: Listeners
    metric: str
    decided: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Worker -> decided studies of which it keeps trials; it lets go of them with its next job."""

    def to_the_end(self) -> None:
        for race in self.schedule.races:
            self.engine.publish(race.number, race.bound)
        try:
            self._dispatch()
            while self.engine.busy:
                for worker, reports in self.engine.finished():
                    for report in reports:
                        self._take(worker, report)
        finally:
            # What ended the run does not matter: what is known is worth keeping.
            self.ledger.store_all()

    def _take(self, worker: int, report: Report) -> None:
        race, record = self.schedule.races[report.task.number], report.record
        if report.rows:
            race.metrics[record.trial] = report.rows[-1][self.metric]
        if report.suspended:
            race.holders[record.trial] = worker
        else:
            race.holders.pop(record.trial, None)
        race.finish(record)
        self.engine.publish(race.number, race.bound)
        # The worker continues first; storing what it has brought can wait a moment.
        self._dispatch()
        self.ledger.note(report)
        self.listeners.measured(record, report.rows)
        if record.settled:
            self.listeners.settled(record)
        if race.decided and not race.running:
            for holder in set(race.holders.values()):
                self.decided[holder].append(race.key.name)
            race.holders.clear()
            self.ledger.store_study(race.key.name)
            self.listeners.decided(race.key)
        self.watch.show(self.schedule.races)

    def _dispatch(self) -> None:
        for worker in sorted(set(range(self.engine.workers)) - self.engine.busy):
            task = self.schedule.next(worker)
            if task is not None:
                forget = tuple(self.decided.pop(worker, ()))
                self.engine.submit(worker, Advance(tasks=(task,), forget=forget))
