"""The bound: which trials can still change a study's result, and what each trial counts as.

S(B) is a minimum over trials, and its interval (best of K from N trials) needs only the few
smallest values: the `rank` smallest. So trial *i* matters only if it reaches the goal in fewer
steps than the `rank`-th smallest among the trials *before* it. That number, `bound(i)`, depends
on no order of execution: whatever ran first, on however many processes, every trial is judged by
the trials of smaller index. A trial that was trained further than its bound, because the bound
was not known yet, is judged as if it had been stopped there.

What a trial counts as, with steps being evaluated steps:

- reached the goal before `bound(i)`: COMPLETE;
- diverged before `bound(i)` and before the goal: INFEASIBLE, does not count towards the asked number;
- neither, and `bound(i)` lies within the budget: STOPPED;
- neither, trained to the budget: COMPLETE (goal not reached);
- raised an error: FAILED, does not count towards the asked number.

Departure from Shallue et al. (2019), who call a trial infeasible if it diverges at *any* point of
its budget: here only if it diverges while it could still have changed the result. With their rule
no trial could ever be stopped without changing which trials count.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import comb

from headrace.experiments.records import Outcome, Status


def best_of(trials: int) -> int:
    """K for the interval of best-of-K from N trials: half of them, rounded up."""
    return (trials + 1) // 2


def interval_rank(trials: int, level: float = 0.95) -> int:
    """How many of the smallest steps-to-result the interval at `level` needs, for N = `trials`.

    Best of K from N without resampling, s(1) <= .. <= s(N): P(min = s(i)) = C(N-i, K-1) / C(N, K).
    The rank is the smallest r with P(min <= s(r)) >= level.
    """
    k = best_of(trials)
    total, cumulated = comb(trials, k), 0
    for i in range(1, trials + 1):
        cumulated += comb(trials - i, k - 1)
        if cumulated >= level * total:
            return i
    return trials


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One trial as it counts.

    Attributes:
        outcome: What was measured.
        status: What it counts as.
        bound: The step from which it could no longer change the result, or None where there was none.
    """

    outcome: Outcome
    status: Status
    bound: int | None

    @property
    def reached(self) -> int | None:
        """The step of the goal, where it counts."""
        return self.outcome.reached if self.status is Status.COMPLETE else None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A study's trials in the order of their index, as far as they are known without a gap.

    Attributes:
        trials: The judged trials; those after the asked number was reached are left out.
        best: The `rank` smallest (step, trial) that reached the goal, in order.
        finished: Whether the asked number of trials, or the upper limit, is reached.
    """

    trials: tuple[Judged, ...]
    best: tuple[tuple[int, int], ...]
    finished: bool

    @property
    def counted(self) -> int:
        """How many trials count towards the asked number."""
        return sum(judged.status in (Status.COMPLETE, Status.STOPPED) for judged in self.trials)


def judge(outcomes: Mapping[int, Outcome], *, asked: int, limit: int, rank: int, budget: int) -> Judgement:
    """Judge the trials of one study; pure, and the same for any order in which they were run.

    Args:
        outcomes: Trial index -> outcome, in any order; the first gap ends the judgement.
        asked: The number of trials that must count.
        limit: The upper limit of trials, those that do not count included.
        rank: How many of the smallest steps-to-result must be exact.
        budget: The step budget.

    Returns:
        The judged trials, up to the asked number.
    """
    judged: list[Judged] = []
    best: list[tuple[int, int]] = []
    counted = 0
    while counted < asked and len(judged) < limit and len(judged) in outcomes:
        outcome = outcomes[len(judged)]
        bound = best[-1][0] if len(best) == rank else None
        status = status_of(outcome, bound=bound, budget=budget)
        judged.append(Judged(outcome=outcome, status=status, bound=bound))
        counted += status in (Status.COMPLETE, Status.STOPPED)
        if status is Status.COMPLETE and outcome.reached is not None:
            insort(best, (outcome.reached, outcome.trial))
            del best[rank:]
    return Judgement(
        trials=tuple(judged), best=tuple(best), finished=counted >= asked or len(judged) >= limit
    )


def status_of(outcome: Outcome, *, bound: int | None, budget: int) -> Status:
    """What a trial counts as, given its bound (None where there is none); see the module's text."""
    end = budget + 1 if bound is None else bound
    if outcome.failed:
        return Status.FAILED
    if outcome.reached is not None and outcome.reached < end:
        return Status.COMPLETE
    if outcome.diverged is not None and outcome.diverged < end:
        return Status.INFEASIBLE
    return Status.STOPPED if end <= budget else Status.COMPLETE


def live_bound(reached_before: Iterable[int], rank: int) -> int | None:
    """The bound of a running trial from those trials of smaller index that have reached the goal so far.

    Never smaller than the trial's final bound, since that one knows of more trials: stopping at it is safe.
    """
    smallest = sorted(reached_before)[:rank]
    return smallest[-1] if len(smallest) == rank else None
