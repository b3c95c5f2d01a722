"""Which task a worker does next. The order never changes a result, only how soon it is there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from headrace.specs.shares import expected_cost
from headrace.specs.studies import StudyKey
from headrace.store.bound import Rules, live_bound, next_round
from headrace.store.records import Outcome
from headrace.trials.tasks import Task

RUNG_RATIO = 1.5
FIRST_RUNG = 8


def rungs(evaluation_steps: Sequence[int]) -> list[int]:
    """The evaluated steps at which a study's field waits for its slowest: thinned, and the last."""
    ladder: list[int] = []
    least: float = FIRST_RUNG
    for step in evaluation_steps[:-1]:
        if step >= least:
            ladder.append(step)
            least = step * RUNG_RATIO
    return [*ladder, evaluation_steps[-1]]


@dataclass(kw_only=True)
class Race:
    """A study under way.

    Attributes:
        key: The study.
        number: Its place in this run.
        rules: What decides it.
        ladder: Its rungs.
        outcomes: Facts about its trials.
        metrics: Trial -> its last validation metric: the lower, the sooner it is trained on.
        holders: Trial -> the worker that keeps it suspended.
        running: The trials that are being trained.
        queue: The tasks (trial, until) of the round that were not given out, in order.
        home: The worker that began the study, or None.
        bound: The step beyond which no trial need be trained.
        decided: Whether it is over.
        partial: Whether it is run by the rules of a part of its trials, and continues when that is over.
        width: How many trials are trained as one; a trial's row is its index modulo this number.
    """

    key: StudyKey
    number: int
    rules: Rules
    ladder: Sequence[int]
    to_budget: bool = False
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    metrics: dict[int, float] = field(default_factory=dict)
    holders: dict[int, int] = field(default_factory=dict)
    running: set[int] = field(default_factory=set)
    queue: list[tuple[int, int]] = field(default_factory=list)
    home: int | None = None
    bound: int = 0
    decided: bool = False
    partial: bool = False
    width: int = 1

    def __post_init__(self) -> None:
        if self.to_budget:
            # With a rank that no field can have, nothing is decided before the budget.
            self.rules = replace(self.rules, rank=self.rules.asked + 1)
            self.ladder = [self.rules.budget]
        self.refill()

    def refill(self) -> None:
        """Ask what must be trained next."""
        self.bound = live_bound(self.outcomes, self.rules)
        tasks = next_round(self.outcomes, self.rules, self.ladder)
        self.queue = [task for task in tasks if task[0] not in self.running]
        self.queue.sort(key=lambda task: (self.metrics.get(task[0], float("-inf")), task[0]))
        self.decided = not tasks

    def judge_by(self, rules: Rules, *, partial: bool) -> None:
        """Continue by other rules."""
        self.rules, self.partial = rules, partial
        self.refill()

    def finish(self, *outcomes: Outcome) -> None:
        """Note what came of tasks that were done together."""
        for outcome in outcomes:
            self.running.discard(outcome.trial)
            self.outcomes[outcome.trial] = outcome
        if any(outcome.settled for outcome in outcomes) or not (self.queue or self.running):
            self.refill()

    def take(self, worker: int, *, held: bool) -> list[tuple[int, int]]:
        """The next tasks for `worker`: of the trials that it keeps, or else of those that nobody keeps.

        All have one step to train to. Rows that would be empty are given to trials that may count later: they
        cost nothing there, and need not catch up if they do.
        """
        owner = worker if held else None
        rows: dict[int, int] = {}
        for trial, _ in self.queue:
            if self.holders.get(trial) == owner and len(rows) < self.width:
                rows.setdefault(trial % self.width, trial)
        if not rows:
            return []
        until = min(next(until for trial, until in self.queue if trial in rows.values()), self.bound)
        self.queue = [task for task in self.queue if task[0] not in rows.values()]
        if len(rows) < self.width and not self.to_budget:
            for trial in self._companions(set(rows.values()), owner):
                rows.setdefault(trial % self.width, trial)
        self.running |= set(rows.values())
        return [(trial, until) for trial in rows.values()]

    def _companions(self, taken: Collection[int], owner: int | None) -> Iterator[int]:
        """Trials at the step of those that were taken, of the same owner, that need not be trained on yet."""
        steps = {-1} if owner is None else {self.outcomes[trial].trained for trial in taken}
        if len(steps) > 1:
            return
        waiting = {trial for trial, _ in self.queue} | self.running | set(taken)
        for trial in self.rules.trials:
            known = self.outcomes.get(trial)
            at = -1 if known is None else known.trained
            open_ = known is None or not known.settled
            if open_ and at in steps and trial not in waiting and self.holders.get(trial) == owner:
                yield trial

    @property
    def cost(self) -> float:
        """A guess of how long the study takes, to compare studies by."""
        return expected_cost(self.key.configuration.batch_size, self.rules.budget if self.to_budget else None)


class Schedule:
    """All studies of an experiment.

    A worker stays with the study that it began. When no study is left to begin, idle workers help where
    trials are waiting that nobody keeps.

    Args:
        races: The studies.
    """

    def __init__(self, races: Iterable[Race]) -> None:
        self.races = list(races)

    def next(self, worker: int, only: Collection[int] | None = None) -> list[Task]:
        """The next tasks of an idle worker, of one study; none where it must wait.

        Args:
            worker: Which.
            only: The numbers of the studies of which it may be; None for all.
        """
        for race, held in self._options(worker):
            if only is not None and race.number not in only:
                continue
            tasks = race.take(worker, held=held)
            if tasks:
                if race.home is None:
                    race.home = worker
                return [
                    Task(study=race.key, number=race.number, trial=trial, until=until)
                    for trial, until in tasks
                ]
        return []

    def _options(self, worker: int) -> Iterator[tuple[Race, bool]]:
        open_races = [race for race in self.races if not race.decided]
        begun = [race for race in open_races if race.home is not None]
        # What this worker keeps for others comes first: others wait for it.
        yield from ((race, True) for race in sorted(begun, key=lambda race: race.home == worker))
        yield from ((race, False) for race in begun if race.home == worker)
        fresh = (race for race in open_races if race.home is None)
        yield from ((race, False) for race in sorted(fresh, key=lambda race: -race.cost))
        yield from ((race, False) for race in begun if race.home != worker)

    @property
    def finished(self) -> bool:
        """Whether every study is decided."""
        return all(race.decided for race in self.races)
