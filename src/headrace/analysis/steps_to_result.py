"""Steps to result, S(B): the least over a study's trials, with the interval of best-of-K from N.

S(B) is the first evaluated step whose validation metric is strictly better than the goal, at its
minimum over the trials that count; ties go to the smallest trial (Shallue et al. 2019 [V]).

Its interval answers: had the search had K = N/2 of these N trials, what would it have found? For
sorted steps s(1) <= .. <= s(N) the minimum of K trials drawn without replacement is s(i) with
probability C(N-i, K-1) / C(N, K) [D], so nothing is resampled. The interval runs from s(1), which is
S(B) itself, to the smallest s(r) that the minimum does not pass with the level's probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, inf
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from headrace.errors import InputError
from headrace.specs.interval import best_of, interval_rank

if TYPE_CHECKING:
    import polars as pl

    from headrace.store.experiments import StoredExperiment

Each = Float[np.ndarray, " draws"]


@dataclass(frozen=True, kw_only=True)
class StepsToResult:
    """One study's result.

    Attributes:
        steps: S(B), or None where no trial reached the goal.
        high: The upper end of the interval (the lower is `steps`); None where it lies beyond the budget.
        best_trial: The trial with S(B) steps, or None.
        counted: The number of trials that count, N.
        reached: (step, trial) of the trials that reached the goal, the fewest steps first.
    """

    steps: int | None
    high: int | None
    best_trial: int | None
    counted: int
    reached: tuple[tuple[int, int], ...]


def summarise(reached: Sequence[tuple[int, int]], counted: int, *, level: float = 0.95) -> StepsToResult:
    """S(B) and its interval.

    Args:
        reached: (step, trial) of those that reached the goal, in order; the `interval_rank` first matter.
        counted: The number of trials that count, N.
        level: The level of the interval.
    """
    if not reached:
        return StepsToResult(steps=None, high=None, best_trial=None, counted=counted, reached=())
    rank = interval_rank(counted, level)
    return StepsToResult(
        steps=reached[0][0],
        high=reached[rank - 1][0] if len(reached) >= rank else None,
        best_trial=reached[0][1],
        counted=counted,
        reached=tuple(reached),
    )


def best_of_probabilities(trials: int) -> list[float]:
    """P(the best of K drawn from N is s(i)) for i = 1 .. N, with K = `best_of(N)`."""
    k = best_of(trials)
    ways, total, found = comb(trials - 1, k - 1), comb(trials, k), list[float]()
    for left in range(trials - 1, -1, -1):
        found.append(ways / total)
        ways = ways * (left - k + 1) // max(1, left)
    return found


def draws(result: StepsToResult, size: int, rng: np.random.Generator) -> Each:
    """Values that S(B) might have had in searches of half the size: the best-of-K distribution.

    Where the interval is closed, the rest of the probability (at most 1 - level) stands at the last step
    that is known; where it is open, it is infinite: the goal would not have been reached.

    Args:
        result: A study's result.
        size: The number of draws.
        rng: Where they are drawn from.
    """
    if not result.counted:
        return np.full(size, inf)
    known = [float(step) for step, _ in result.reached[: result.counted]]
    beyond = known[-1] if known and result.high is not None else inf
    values = np.array(known + [beyond] * (result.counted - len(known)))
    return rng.choice(values, size=size, p=best_of_probabilities(result.counted))


def first_below(measurements: pl.DataFrame | pl.LazyFrame, *, metric: str, goal: float) -> pl.DataFrame:
    """The first measured step of each trial whose metric is strictly below the goal.

    Args:
        measurements: trial, step, the metric; with a column `study` the trials of each study apart. A lazy
            frame is read in pieces, so that it need not fit in memory.
        metric: The metric's column; lower is better. Null and NaN are not below.
        goal: The goal.

    Returns:
        (study,) trial, reached; only trials that reached the goal, sorted.
    """
    import polars as pl

    frame = measurements.lazy()
    keys = [name for name in ("study", "trial") if name in frame.collect_schema().names()]
    # NaN counts as the largest number in a comparison, so it is never below.
    return (
        frame.filter(pl.col(metric) < goal)
        .group_by(keys)
        .agg(pl.col("step").min().alias("reached"))
        .sort(keys)
        .collect(engine="streaming")
    )


def published_rule(
    statuses: pl.DataFrame, reached: pl.DataFrame, *, asked: int = 100, level: float = 0.95
) -> StepsToResult:
    """S(B) by the rule of Shallue et al. (2019): the minimum over the first `asked` COMPLETE trials.

    For archives in which every trial was trained to its budget and carries the status it ended with.

    Args:
        statuses: trial, status; one study.
        reached: trial, reached; as from `first_below`.
        asked: N; 100 in the published archive, 50 in two of its workloads.
        level: The level of the interval.
    """
    import polars as pl

    field = statuses.filter(pl.col("status") == "COMPLETE").sort("trial").head(asked)
    best = field.join(reached, on="trial", how="inner").sort("reached", "trial")
    return summarise(list(best.select("reached", "trial").iter_rows()), field.height, level=level)


def published_results(
    stored: StoredExperiment, *, goal: float | None = None, asked: int | None = None, level: float = 0.95
) -> dict[str, StepsToResult]:
    """S(B) of every study by the paper's rule, for any goal; every trial was trained to its budget.

    The measurements of one study at a time are in memory.

    Args:
        stored: From `headrace.store.experiments.load`; imported archives among them.
        goal: The validation metric to get strictly below; None for the store's own.
        asked: N; None for the experiment's number of trials.
        level: The level of the intervals.

    Returns:
        The study's name -> its result.

    Raises:
        DamagedError: A stored part is truncated or was altered.
    """
    threshold = stored.goal if goal is None else goal
    if threshold is None:
        raise InputError("the store has no goal", where=str(stored.directory), fix="Give one.")
    return {
        key.name: published_rule(
            _statuses(stored, key.name),
            first_below(
                stored.study_measurements(key.name), metric=f"validation/{stored.metric_name}", goal=threshold
            ),
            asked=asked or stored.experiment.search.trials,
            level=level,
        )
        for key in stored.experiment.studies()
    }


def _statuses(stored: StoredExperiment, study: str) -> pl.DataFrame:
    """Trial and status by the paper's rule: a trial that diverged at any point is INFEASIBLE."""
    import polars as pl

    rows = [
        (record.trial, "FAILED" if record.failed else "COMPLETE" if record.diverged is None else "INFEASIBLE")
        for record in stored.study_records(study)
    ]
    return pl.DataFrame(rows, schema={"trial": pl.Int64, "status": pl.String}, orient="row")
