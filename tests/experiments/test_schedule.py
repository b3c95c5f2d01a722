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
            )
            for number in range(len(self.studies))
        ]
        schedule = Schedule(races)
        running: dict[int, Task] = {}
        while True:
            for worker in set(range(self.workers)) - set(running):
                if (task := schedule.next(worker)) is not None:
                    assert task.trial not in [t.trial for t in running.values() if t.number == task.number], (
                        "one trial was given out twice"
                    )
                    running[worker] = task
            if not running:
                break
            worker = self.chance.choice(sorted(running))
            self._finish(races, worker, running.pop(worker))
        assert schedule.finished
        return [race.outcomes for race in races]

    def _finish(self, races: list[Race], worker: int, task: Task) -> None:
        race = races[task.number]
        until = task.until if self.to_budget else min(task.until, race.bound)
        known = race.outcomes.get(task.trial)
        until = max(until, known.trained if known else 0)
        fate = self.studies[task.number][task.trial]
        found = outcome(task.trial, fate, until, beyond_goal=self.to_budget)
        race.metrics[task.trial] = self.chance.random()
        settled = found.reached is not None or found.diverged is not None
        if settled or self.chance.random() < 0.2:
            race.holders.pop(task.trial, None)
        else:
            race.holders[task.trial] = worker
        self.steps_trained += found.trained - (known.trained if known else 0)
        race.finish(found)


@settings(max_examples=150, deadline=None)
@given(
    studies=st.lists(fates, min_size=1, max_size=3),
    asked=st.integers(1, 5),
    rank=st.integers(1, 5),
    workers=st.integers(1, 5),
    chance=st.randoms(use_true_random=False),
)
def test_bound_and_budget_agree_for_any_number_of_workers(studies, asked, rank, workers, chance) -> None:
    rules = Rules(asked=asked, limit=9, rank=min(rank, asked), budget=BUDGET)
    raced = Machine(studies, rules, workers, to_budget=False, chance=chance)
    full = Machine(studies, rules, workers, to_budget=True, chance=chance)
    for of_race, of_full in zip(raced.run(), full.run(), strict=True):
        one, other = judge(of_race, rules), judge(of_full, rules)
        assert one is not None
        assert other is not None
        assert (one.decided, one.best) == (other.decided, other.best)
        assert [(t.status, t.trained, t.reached) for t in one.trials] == [
            (t.status, t.trained, t.reached) for t in other.trials
        ]
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
    assert [(t.number, t.trial) for t in given if t] == [(2, 0), (1, 0), (2, 1), (1, 1)]


def test_an_idle_worker_helps_with_what_nobody_keeps() -> None:
    schedule = Schedule([race(0, 4)])
    first, second = schedule.next(0), schedule.next(1)
    assert first is not None
    assert second is not None
    assert (first.trial, second.trial) == (0, 1)
    only = schedule.races[0]
    only.holders[0] = 0
    only.finish(Outcome(trial=0, trained=8))
    third = schedule.next(0)
    assert third is not None
    assert third.trial == 2
    for trial, worker in ((1, 1), (2, 0)):
        only.holders[trial] = worker
        only.finish(Outcome(trial=trial, trained=8))
    # The second round: each worker gets what it keeps.
    again = schedule.next(1)
    assert again is not None
    assert (again.trial, again.until) == (1, BUDGET)
    assert schedule.next(1) is None


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
