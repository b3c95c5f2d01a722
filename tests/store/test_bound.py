"""The race gives what training every trial to the end gives, whatever the order and the processes."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.specs.interval import interval_rank
from headrace.store.bound import Rules, judge, live_bound, next_round
from headrace.store.records import Outcome, Status

BUDGET = 12
NEVER = BUDGET + 1


@st.composite
def studies(draw: st.DrawFn) -> tuple[list[tuple[int, int]], Rules]:
    """For each trial the step at which it would reach the goal, and leave the field (< 0: by an error)."""
    asked = draw(st.integers(1, 5))
    limit = draw(st.integers(asked, 9))
    rank = draw(st.integers(1, asked))
    steps = st.integers(0, NEVER)
    fates = draw(
        st.lists(
            st.tuples(steps, st.integers(1, NEVER) | st.integers(-NEVER, -1)), min_size=limit, max_size=limit
        )
    )
    return fates, Rules(asked=asked, limit=limit, rank=rank, budget=BUDGET)


def trained_to(trial: int, fate: tuple[int, int], until: int, *, beyond_goal: bool = False) -> Outcome:
    """What a trial's record says when it is asked to train to `until`."""
    reach, diverge, fails = fate[0], abs(fate[1]), fate[1] < 0
    reached = reach if reach <= until and reach < diverge else None
    if reached is not None and not beyond_goal:
        return Outcome(trial=trial, reached=reached, trained=reached)
    left = diverge if diverge <= until else None
    return Outcome(
        trial=trial,
        reached=reached,
        diverged=None if fails else left,
        failed=fails and left is not None,
        trained=left or until,
    )


def by_definition(fates: list[tuple[int, int]], rules: Rules) -> tuple[int, list[tuple[int, int]], list[int]]:
    """The module's text, word for word: the step of the decision, who reached the goal, and the field."""
    for h in range(BUDGET + 1):
        field = [i for i, (reach, left) in enumerate(fates) if not (abs(left) <= h and abs(left) <= reach)]
        field = field[: rules.asked]
        best = sorted((fates[i][0], i) for i in field if fates[i][0] <= h)
        if len(best) >= rules.rank or h == BUDGET:
            return h, best, field
    raise AssertionError


@given(studies())
def test_full_budget_is_judged_by_the_definition(study: tuple) -> None:
    fates, rules = study
    decided, best, field = by_definition(fates, rules)
    judged = judge({i: trained_to(i, f, BUDGET, beyond_goal=True) for i, f in enumerate(fates)}, rules)
    assert judged is not None
    assert (judged.decided, list(judged.best)) == (decided, best)
    counts = [t.outcome.trial for t in judged.trials if t.status in (Status.COMPLETE, Status.STOPPED)]
    assert counts == field
    assert [t.outcome.trial for t in judged.trials] == list(range(len(judged.trials)))


@settings(max_examples=300)
@given(studies(), st.data())
def test_any_order_of_execution_gives_the_same(study: tuple, data: st.DataObject) -> None:
    """Tasks are taken in any order, some of a round only, and some trials run past the live bound."""
    fates, rules = study
    ladder = [*sorted(data.draw(st.sets(st.integers(0, BUDGET - 1), max_size=4))), BUDGET]
    outcomes: dict[int, Outcome] = {}
    while tasks := next_round(outcomes, rules, ladder):
        chosen = data.draw(st.permutations(tasks))[: data.draw(st.integers(1, len(tasks)))]
        for trial, until in chosen:
            overshoot = data.draw(st.integers(0, 2))
            outcomes[trial] = trained_to(trial, fates[trial], min(until + overshoot, BUDGET))
    raced = judge(outcomes, rules)
    full = judge({i: trained_to(i, f, BUDGET, beyond_goal=True) for i, f in enumerate(fates)}, rules)
    assert raced is not None
    assert full is not None
    assert (raced.decided, raced.best) == (full.decided, full.best)
    assert [(t.status, t.trained, t.reached) for t in raced.trials] == [
        (t.status, t.trained, t.reached) for t in full.trials
    ]


@given(studies())
def test_no_trial_of_a_round_trains_beyond_the_decision_when_the_ladder_is_fine(study: tuple) -> None:
    fates, rules = study
    decided, *_ = by_definition(fates, rules)
    outcomes: dict[int, Outcome] = {}
    while tasks := next_round(outcomes, rules, range(BUDGET + 1)):
        for trial, until in tasks:
            assert until <= decided
            outcomes[trial] = trained_to(trial, fates[trial], until)
    assert live_bound(outcomes, rules) >= decided


def test_by_hand() -> None:
    """Trial 1 diverges at 4, before the second trial reaches the goal at 6, so trial 3 takes its place."""
    rules = Rules(asked=3, limit=6, rank=2, budget=100)
    outcomes = {
        0: Outcome(trial=0, reached=5, trained=5),
        1: Outcome(trial=1, diverged=4, trained=4),
        2: Outcome(trial=2, trained=9),
        3: Outcome(trial=3, reached=6, trained=6),
        4: Outcome(trial=4, reached=1, trained=1),
    }
    judged = judge(outcomes, rules)
    assert judged is not None
    assert judged.decided == 6
    assert judged.best == ((5, 0), (6, 3))
    assert [t.status for t in judged.trials] == [
        Status.COMPLETE,
        Status.INFEASIBLE,
        Status.STOPPED,
        Status.COMPLETE,
    ]
    assert [t.trained for t in judged.trials] == [5, 4, 6, 6]


def test_divergence_after_the_decision_does_not_matter() -> None:
    rules = Rules(asked=2, limit=3, rank=1, budget=100)
    judged = judge(
        {0: Outcome(trial=0, diverged=50, trained=50), 1: Outcome(trial=1, reached=9, trained=9)}, rules
    )
    assert judged is not None
    assert [t.status for t in judged.trials] == [Status.STOPPED, Status.COMPLETE]


def test_the_upper_limit_ends_a_study_in_which_too_many_diverge() -> None:
    rules = Rules(asked=2, limit=3, rank=1, budget=10)
    outcomes = {i: Outcome(trial=i, diverged=1, trained=1) for i in range(3)}
    judged = judge(outcomes, rules)
    assert judged is not None
    assert (judged.counted, len(judged.trials), judged.best) == (0, 3, ())
    assert next_round(outcomes, rules, [10]) == []


def test_a_failed_trial_is_replaced() -> None:
    rules = Rules(asked=1, limit=3, rank=1, budget=10)
    outcomes = {0: Outcome(trial=0, trained=3, failed=True)}
    assert next_round(outcomes, rules, [10]) == [(1, 10)]


@pytest.mark.parametrize("trials", [1, 2, 5, 8, 11])
def test_interval_rank_against_every_subset(trials: int) -> None:
    subsets = list(combinations(range(1, trials + 1), (trials + 1) // 2))
    rank = interval_rank(trials, 0.95)
    share = [Fraction(sum(min(s) <= r for s in subsets), len(subsets)) for r in (rank - 1, rank)]
    assert share[0] < Fraction(95, 100) <= share[1]
