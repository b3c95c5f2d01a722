"""The bound: a study is a race, decided as soon as nothing that is still open can change its result.

S(B) is a minimum over trials, and its interval (best of K from N trials) needs only the few
smallest values: the `rank` smallest. So no trial needs to train beyond the step at which `rank` trials
have reached the goal. All steps here are evaluated steps:

- The *field* at step h: the first `asked` trials, by index, that have neither diverged nor failed
  by h, among the `limit` trials that may be tried. A trial that has reached the goal trains no
  further, and so cannot diverge any more.
- The study is *decided* at the first step h at which `rank` trials of its field have reached the
  goal; at the budget, if that never happens.

What a trial counts as: reached the goal by then, COMPLETE; diverged by then, INFEASIBLE, and raised
an error by then, FAILED, neither of which counts towards the asked number; none of these, STOPPED,
or COMPLETE if the budget was reached.

The rule depends on steps of training only, never on which trial ran first, on how many processes,
or how far a trial happened to be trained: so it gives the same answer for any order of execution,
and for `stop = "budget"`, where every trial is trained to the end. And no trial needs to be
trained further than the step of the decision, so a study costs about N x S(B) steps regardless of
its budget.

Departure from Shallue et al. (2019), who call a trial infeasible if it diverges at *any* point of
its budget: here only if it diverges before the study is decided. With their rule no trial could
ever be stopped without changing which trials count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from headrace.store.records import Outcome, Status


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What decides a study.

    Attributes:
        asked: The number of trials that must count.
        limit: The upper limit of trials, those that do not count included.
        rank: How many of the smallest steps-to-result must be exact.
        budget: The step budget.
        order: The trials in the order in which they count; None for that of their indices.
    """

    asked: int
    limit: int
    rank: int
    budget: int
    order: tuple[int, ...] | None = None

    @property
    def trials(self) -> Sequence[int]:
        """The trials that may be tried, in the order in which they count."""
        return range(self.limit) if self.order is None else self.order


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One trial as it counts.

    Attributes:
        outcome: What was measured, perhaps beyond the decision.
        status: What it counts as.
        trained: The steps that count: up to the goal, the divergence or the decision.
    """

    outcome: Outcome
    status: Status
    trained: int

    @property
    def reached(self) -> int | None:
        """The step of the goal, if it counts."""
        return (
            self.trained if self.status is Status.COMPLETE and self.outcome.reached == self.trained else None
        )


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A decided study.

    Attributes:
        decided: The step of the decision; the budget if too few trials reached the goal.
        trials: The trials in the order of their index, up to the last that counts.
        best: (step, trial) of those that reached the goal, the fewest steps first, ties by index.
    """

    decided: int
    trials: tuple[Judged, ...]
    best: tuple[tuple[int, int], ...]

    @property
    def counted(self) -> int:
        """How many trials count towards the asked number."""
        return sum(judged.status in (Status.COMPLETE, Status.STOPPED) for judged in self.trials)


def judge(outcomes: Mapping[int, Outcome], rules: Rules) -> Judgement | None:
    """Judge a study from the outcomes of its trials so far, in any order; None while it is undecided."""
    step = live_bound(outcomes, rules)
    field = _field(outcomes, rules, step)
    if any(_known_until(outcomes.get(i)) < step for i in field):
        return None
    last = rules.trials.index(field[-1]) if len(field) == rules.asked else rules.limit - 1
    judged = tuple(_judged(outcomes[i], step, rules) for i in rules.trials[: last + 1])
    return Judgement(decided=step, trials=judged, best=tuple(_reached_by(outcomes, field, step)))


def next_round(outcomes: Mapping[int, Outcome], rules: Rules, rungs: Sequence[int]) -> list[tuple[int, int]]:
    """What must be trained next: (trial, step to train it to), independent of each other.

    The field goes up a ladder of steps together, so that no trial is trained much beyond the
    decision. Empty when the study is decided.

    Args:
        outcomes: The outcome of each trial so far.
        rules: What decides the study.
        rungs: Evaluated steps, increasing; the last one is the budget.
    """
    bound = live_bound(outcomes, rules)
    for rung in rungs:
        until = min(rung, bound)
        field = _field(outcomes, rules, until)
        waiting = [(i, until) for i in field if _known_until(outcomes.get(i)) < until]
        if waiting or until == bound:
            return waiting
    return []


def live_bound(outcomes: Mapping[int, Outcome], rules: Rules) -> int:
    """A step beyond which no trial needs to be trained, by the outcomes so far; at most the budget.

    Whatever happens later, a trial that has reached the goal stays in the field. So the decision
    falls no later than the first step at which `rank` trials of the field are known to have reached it.
    """
    for step in _candidate_steps(outcomes, rules):
        if len(_reached_by(outcomes, _field(outcomes, rules, step), step)) >= rules.rank:
            return step
    return rules.budget


def _field(outcomes: Mapping[int, Outcome], rules: Rules, step: int) -> list[int]:
    """The first `asked` trials that are not known to have diverged by `step`, or to have failed."""

    def still_in() -> Iterator[int]:
        for i in rules.trials:
            if i not in outcomes or not _is_out(outcomes[i], step):
                yield i

    return [i for _, i in zip(range(rules.asked), still_in(), strict=False)]


def _is_out(outcome: Outcome, step: int) -> bool:
    """Whether the trial had left the field by `step`: it diverged or failed, and had not reached the goal."""
    if outcome.reached is not None:
        return False
    if outcome.failed:
        return outcome.trained <= step
    return outcome.diverged is not None and outcome.diverged <= step


def _reached(outcome: Outcome, step: int) -> int | None:
    return outcome.reached if outcome.reached is not None and outcome.reached <= step else None


def _reached_by(outcomes: Mapping[int, Outcome], field: Sequence[int], step: int) -> list[tuple[int, int]]:
    """(step of the goal, trial) of those of the field that reached it by `step`, in order."""
    return sorted((r, i) for i in field if i in outcomes and (r := _reached(outcomes[i], step)) is not None)


def _known_until(outcome: Outcome | None) -> float:
    """The last step at which it is known what the trial counts as."""
    if outcome is None:
        return -1
    return inf if outcome.settled else outcome.trained


def _candidate_steps(outcomes: Mapping[int, Outcome], rules: Rules) -> list[int]:
    """The steps at which the study can be decided: where something happens, and the budget."""
    events = {step for o in outcomes.values() for step in (o.reached, o.diverged) if step is not None}
    events |= {o.trained for o in outcomes.values() if o.failed}
    return sorted({step for step in events if step < rules.budget} | {rules.budget})


def _judged(outcome: Outcome, decided: int, rules: Rules) -> Judged:
    if (reached := _reached(outcome, decided)) is not None:
        return Judged(outcome=outcome, status=Status.COMPLETE, trained=reached)
    if _is_out(outcome, decided):
        status = Status.FAILED if outcome.failed else Status.INFEASIBLE
        left = outcome.trained if outcome.failed or outcome.diverged is None else outcome.diverged
        return Judged(outcome=outcome, status=status, trained=left)
    status = Status.COMPLETE if decided == rules.budget else Status.STOPPED
    return Judged(outcome=outcome, status=status, trained=decided)
