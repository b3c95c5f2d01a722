"""Training what is missing: tasks go out to idle workers, reports come in."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Protocol, Self

from headrace.engines._base import Engine
from headrace.experiments.fresh import at_most
from headrace.experiments.listeners import Listeners
from headrace.experiments.progress import Watch
from headrace.experiments.race import Race, Schedule, rungs
from headrace.specs.studies import StudyKey
from headrace.store.experiments import StoredExperiment
from headrace.trials.advance import Advance
from headrace.trials.tasks import Report


class Keeps(Protocol):
    """Who keeps what was measured: `ledger.Ledger`, or nobody."""

    def note(self, report: Report) -> None:
        """Take in what a task has brought."""
        ...

    def store_study(self, study: str) -> None:
        """Keep the trials of a decided study."""
        ...

    def store_all(self) -> None:
        """Keep everything that is known."""
        ...


def races_of(stored: StoredExperiment) -> list[Race]:
    """The studies that are trained, as far as they are known."""
    return [race_of(stored, number, key) for number, key in enumerate(stored.trained())]


def race_of(stored: StoredExperiment, number: int, key: StudyKey) -> Race:
    """A study as far as it is known; trials that failed are tried again."""
    rules = stored.rules(key)
    return Race(
        key=key,
        number=number,
        rules=rules,
        ladder=rungs(stored.experiment.evaluation_steps(rules.budget)),
        to_budget=stored.experiment.training.stop == "budget",
        outcomes={record.trial: record for record in stored.study_records(key.name) if not record.failed},
        width=1 if stored.facts is None else stored.facts.packs.get(key.name, 1),
    )


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """One run.

    Attributes:
        schedule: All studies that are trained.
        engine: Open, with benches of the experiment.
        ledger: Who keeps what is measured.
        watch: Shows how far it is.
        listeners: Who else hears of it.
        metric: The column of the validation metric.
        decided: Worker -> decided studies of which it keeps trials; it lets go of them with its next job.
    """

    schedule: Schedule
    engine: Engine
    ledger: Keeps
    watch: Watch
    listeners: Listeners
    metric: str
    decided: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, stored: StoredExperiment, engine: Engine, ledger: Keeps, listeners: Listeners) -> Self:
        """For what is missing of an experiment, whose workload is known."""
        return cls(
            schedule=Schedule(races_of(stored)),
            engine=engine,
            ledger=ledger,
            watch=Watch(listeners, at_most(stored)),
            listeners=listeners,
            metric=f"validation/{stored.metric_name}",
        )

    def to_the_end(self) -> None:
        """Train until every study is decided."""
        self._train(None, inf)

    def some(self, studies: Collection[int], seconds: float) -> None:
        """Train some studies only, and no longer than this; trials that are left are kept suspended.

        Args:
            studies: Their numbers.
            seconds: After them no task begins, and each ends at its next evaluation.
        """
        self._train(studies, time.monotonic() + seconds)

    def _train(self, only: Collection[int] | None, end: float) -> None:
        for race in self.schedule.races:
            self.engine.publish(race.number, race.bound)
        try:
            self._give(only, end)
            while self.engine.busy:
                for worker, reports in self.engine.finished():
                    self._take(worker, reports, only, end)
        finally:
            # What ended the run does not matter: what is known is worth keeping.
            self.ledger.store_all()

    def _take(self, worker: int, reports: Sequence[Report], only: Collection[int] | None, end: float) -> None:
        race = self.schedule.races[reports[0].task.number]
        for report in reports:
            if report.rows:
                race.metrics[report.record.trial] = report.rows[-1][self.metric]
            if report.suspended:
                race.holders[report.record.trial] = worker
            else:
                race.holders.pop(report.record.trial, None)
        race.finish(*(report.record for report in reports))
        self.engine.publish(race.number, race.bound)
        # The worker continues first; storing what it has brought can wait a moment.
        self._give(only, end)
        for report in reports:
            self.ledger.note(report)
            self.listeners.measured(report.record, report.rows)
            if report.record.settled:
                self.listeners.settled(report.record)
        if race.decided and not race.running and not race.partial:
            self.let_go(race)
        self.watch.show(self.schedule.races)

    def let_go(self, race: Race) -> None:
        """Keep what came of a study that is decided; workers need not keep its trials."""
        for holder in set(race.holders.values()):
            self.decided[holder].append(race.key.name)
        race.holders.clear()
        self.ledger.store_study(race.key.name)
        self.listeners.decided(race.key)

    def _give(self, only: Collection[int] | None, end: float) -> None:
        left = end - time.monotonic()
        for worker in sorted(set(range(self.engine.workers)) - self.engine.busy) if left > 0 else ():
            tasks = tuple(self.schedule.next(worker, only))
            if tasks:
                forget = tuple(self.decided.pop(worker, ()))
                seconds = None if left == inf else left
                pack = self.schedule.races[tasks[0].number].width
                self.engine.submit(worker, Advance(tasks=tasks, forget=forget, seconds=seconds, pack=pack))
