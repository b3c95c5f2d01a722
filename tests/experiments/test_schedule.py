"""Whatever the schedule does with however many workers, every study is decided as if all had been trained."""

from __future__ import annotations

import random as stdlib_random
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.experiments.race import Race, Schedule, rungs
from headrace.specs.studies import Configuration, StudyKey
from headrace.store.bound import Rules, judge
from headrace.store.records import Outcome
from headrace.training.budget import evaluation_steps
from headrace.trials.tasks import Task

BUDGET = 60
GRID = evaluation_steps(BUDGET, 1.2)
Fate = tuple[int, int]
"""The evaluated steps at which a trial would reach the goal, and diverge; beyond the budget: never."""

grid_steps = st.sampled_from([*GRID, BUDGET + 1])
fates = st.lists(st.tuples(grid_steps, st.sampled_from([*GRID[1:], BUDGET + 1])), min_size=9, max_size=9)


def outcome(trial: int, fate: Fate, until: int, *, beyond_goal: bool) -> Outcome:
    reach, diverge = fate
    reached = reach if reach <= until and reach < diverge else None
    if reached is not None and not beyond_goal:
        return Outcome(trial=trial, reached=reached, trained=reached)
    diverged = diverge if diverge <= until else None
    return Outcome(trial=trial, reached=reached, diverged=diverged, trained=diverged or until)


@dataclass
class Machine:
    """Workers that finish in any order, forget now and then, and see the live bound."""

    studies: list[list[Fate]]
    rules: Rules
    workers: int
    to_budget: bool
    chance: stdlib_random.Random
    width: int = 1
    steps_trained: int = 0
    begun: list[int] = field(default_factory=list)

    def run(self) -> list[dict[int, Outcome]]:
        races = [
            Race(
                key=StudyKey(optimizer="sgd", configuration=Configuration(batch_size=number + 1)),
                number=number,
                rules=self.rules,
                ladder=rungs(GRID),
                to_budget=self.to_budget,
                width=self.width,
            )
            for number in range(len(self.studies))
        ]
        schedule = Schedule(races)
        running: dict[int, list[Task]] = {}
        while True:
            for worker in set(range(self.workers)) - set(running):
                if tasks := schedule.next(worker):
                    self._check_given(tasks, running)
                    running[worker] = tasks
            if not running:
                break
            worker = self.chance.choice(sorted(running))
            self._finish(races, worker, running.pop(worker))
        assert schedule.finished
        return [race.outcomes for race in races]

    def _check_given(self, tasks: list[Task], running: dict[int, list[Task]]) -> None:
        others = [(t.number, t.trial) for given in running.values() for t in given]
        assert not set(others) & {(t.number, t.trial) for t in tasks}, "one trial was given out twice"
        assert len({(t.number, t.until) for t in tasks}) == 1, "a pack is of one study, to one step"
        assert len({t.trial % self.width for t in tasks}) == len(tasks), "two trials have the same row"

    def _finish(self, races: list[Race], worker: int, tasks: list[Task]) -> None:
        """Those at one step are trained together, until something happens to one of them."""
        race = races[tasks[0].number]
        until = tasks[0].until if self.to_budget else min(tasks[0].until, race.bound)
        at = {t.trial: known.trained if (known := race.outcomes.get(t.trial)) else 0 for t in tasks}
        fates = self.studies[tasks[0].number]
        outcomes: list[Outcome] = []
        for step in set(at.values()):
            together = [trial for trial in at if at[trial] == step]
            events = [e for trial in together for e in fates[trial] if e <= until]
            end = max(step, min([until, *events])) if self.width > 1 else max(step, until)
            outcomes += [outcome(t, fates[t], end, beyond_goal=self.to_budget) for t in together]
        for found in outcomes:
            race.metrics[found.trial] = self.chance.random()
            settled = found.reached is not None or found.diverged is not None
            if settled or self.chance.random() < 0.2:
                race.holders.pop(found.trial, None)
            else:
                race.holders[found.trial] = worker
            self.steps_trained += found.trained - at[found.trial]
        race.finish(*outcomes)


@settings(max_examples=150, deadline=None)
@given(
    studies=st.lists(fates, min_size=1, max_size=3),
    asked=st.integers(1, 5),
    rank=st.integers(1, 5),
    workers=st.integers(1, 5),
    width=st.sampled_from([1, 1, 2, 4, 16]),
    chance=st.randoms(use_true_random=False),
)
def test_bound_and_budget_agree_for_any_number_of_workers(
    studies: list[list[Fate]], asked: int, rank: int, workers: int, width: int, chance: stdlib_random.Random
) -> None:
    rules = Rules(asked=asked, limit=9, rank=min(rank, asked), budget=BUDGET)
    raced = Machine(studies, rules, workers, to_budget=False, chance=chance, width=width)
    full = Machine(studies, rules, workers, to_budget=True, chance=chance)
    for of_race, of_full in zip(raced.run(), full.run(), strict=True):
        one, other = judge(of_race, rules), judge(of_full, rules)
        assert one is not None
        assert other is not None
        assert (one.decided, one.best) == (other.decided, other.best)
        assert [(t.status, t.trained, t.reached) for t in one.trials] == [
            (t.status, t.trained, t.reached) for t in other.trials
        ]
    if width == 1:
        assert raced.steps_trained <= full.steps_trained


def test_the_bound_saves_most_of_a_long_budget() -> None:
    """Four reach the goal at step 8 and the rest never: nobody need go to the budget of 60."""
    fates = [(8, BUDGET + 1)] * 4 + [(BUDGET + 1, BUDGET + 1)] * 12
    rules = Rules(asked=16, limit=16, rank=4, budget=BUDGET)
    chance = stdlib_random.Random(0)
    machine = Machine([fates], rules, 2, to_budget=False, chance=chance)
    machine.run()
    assert machine.steps_trained <= 16 * 8


def race(number: int, batch_size: int, budget: int = BUDGET) -> Race:
    return Race(
        key=StudyKey(optimizer="sgd", configuration=Configuration(batch_size=batch_size)),
        number=number,
        rules=Rules(asked=3, limit=6, rank=1, budget=budget),
        ladder=[8, budget],
    )


def test_workers_begin_different_studies_the_longest_first_and_trials_in_order() -> None:
    schedule = Schedule([race(0, 64), race(1, 4096), race(2, 4)])
    given = [schedule.next(worker) for worker in (0, 1, 0, 1)]
    assert [(t.number, t.trial) for (t,) in given] == [(2, 0), (1, 0), (2, 1), (1, 1)]


def test_an_idle_worker_helps_with_what_nobody_keeps() -> None:
    schedule = Schedule([race(0, 4)])
    (first,), (second,) = schedule.next(0), schedule.next(1)
    assert (first.trial, second.trial) == (0, 1)
    only = schedule.races[0]
    only.holders[0] = 0
    only.finish(Outcome(trial=0, trained=8))
    (third,) = schedule.next(0)
    assert third.trial == 2
    for trial, worker in ((1, 1), (2, 0)):
        only.holders[trial] = worker
        only.finish(Outcome(trial=trial, trained=8))
    # The second round: each worker gets what it keeps.
    (again,) = schedule.next(1)
    assert (again.trial, again.until) == (1, BUDGET)
    assert not schedule.next(1)


def test_empty_rows_of_a_pack_go_to_trials_that_may_count_later() -> None:
    only = race(0, 4)
    only.width = 4
    schedule = Schedule([only])
    assert [t.trial for t in schedule.next(0)] == [0, 1, 2, 3]
    only.holders = dict.fromkeys(range(4), 0)
    # Trial 1 diverges: trial 3 counts in its place, and is at the step of the others.
    only.finish(*(Outcome(trial=t, trained=8, diverged=8 if t == 1 else None) for t in range(4)))
    del only.holders[1]
    assert sorted(t.trial for t in schedule.next(0)) == [0, 2, 3]
    only.finish(*(Outcome(trial=t, trained=20, diverged=20 if t < 3 else None) for t in (0, 2, 3)))
    only.holders = {3: 0}
    # What is at other steps is another pack.
    assert [(t.trial, t.until) for t in schedule.next(0)] == [(3, BUDGET)]
    assert [(t.trial, t.until) for t in schedule.next(0)] == [(4, BUDGET), (5, BUDGET)]
    assert not schedule.next(0)


def test_the_most_promising_trial_of_a_round_goes_first() -> None:
    only = race(0, 4)
    for trial, metric in ((0, 0.5), (1, 0.1), (2, 0.3)):
        only.take(0, held=False)
        only.metrics[trial] = metric
        only.finish(Outcome(trial=trial, trained=8))
    assert [trial for trial, _ in only.queue] == [1, 2, 0]


@pytest.mark.parametrize("budget", [1, 2, 7, 9, 4000])
def test_rungs_are_evaluated_steps_and_end_with_the_budget(budget: int) -> None:
    steps = evaluation_steps(budget)
    ladder = rungs(steps)
    assert set(ladder) <= set(steps)
    assert ladder == sorted(set(ladder))
    assert ladder[-1] == budget
    assert all(later >= 1.5 * sooner for sooner, later in pairwise(ladder[:-1]))
