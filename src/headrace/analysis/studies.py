"""Each study of a store as it counts: its judged trials, its result, its best trial's borders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.analysis.steps_to_result import StepsToResult, summarise
from headrace.specs.space import AnyEntry, Border, Range, borders
from headrace.specs.studies import Hyperparameters, StudyKey
from headrace.store.bound import Judged
from headrace.store.records import Status

if TYPE_CHECKING:
    import polars as pl

    from headrace.store.experiments import StoredExperiment

Curve = tuple[str, str, str, int]
"""What the studies of one curve S(B) share: optimizer, subset, policy, workers."""


FORWARD = 1 / 3
"""The cost of forwarding an example, relative to training on it: the forward pass alone [D]."""


class Cost(NamedTuple):
    """The examples that training took: went forward (selection passes and all), and went backward."""

    forwarded: int
    backpropagated: int


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study as it counts; nothing in it depends on the order in which trials were run.

    Attributes:
        key: Optimizer and dataset configuration.
        budget: The step budget of a trial.
        decided: The step at which the study was decided; None while it is not.
        trials: The judged trials by index; none while the study is undecided.
        result: S(B) with its interval.
        hyperparameters: Trial -> its hyperparameters.
        tuned: The names that were searched over.
        borders: The best trial's hyperparameters at the edge of the space.
        last: Trial -> its last canonical measurement: step and metrics.
        evaluated: The steps at which its trials are evaluated.
        scales: Tuned name -> the scale of its range ("log", ..); "choices" for a list.
        course: The measurements of its best trial, or of the nearest to the goal; None without any.
    """

    key: StudyKey
    budget: int
    decided: int | None
    trials: tuple[Judged, ...]
    result: StepsToResult
    hyperparameters: Mapping[int, Hyperparameters]
    tuned: tuple[str, ...]
    borders: tuple[Border, ...]
    last: Mapping[int, Mapping[str, Any]]
    evaluated: Sequence[int] = ()
    scales: Mapping[str, str] = field(default_factory=dict)
    course: pl.DataFrame | None = None

    @property
    def batch_size(self) -> int:
        """Examples per step."""
        return self.key.configuration.batch_size

    @property
    def curve(self) -> Curve:
        """The curve that the study is a point of."""
        c = self.key.configuration
        return self.key.optimizer, c.subset, c.policy, c.workers

    @property
    def identity(self) -> dict[str, Any]:
        """The columns that name the study in every frame."""
        c = self.key.configuration
        return {
            "study": self.key.name,
            "optimizer": self.key.optimizer,
            "subset": c.subset,
            "policy": c.policy,
            "workers": c.workers,
            "batch_size": c.batch_size,
        }

    def count(self, status: Status) -> int:
        """How many trials count as `status`."""
        return sum(judged.status is status for judged in self.trials)

    def cost(self, trial: int) -> Cost:
        """What a judged trial took up to the step that counts, however much further it was trained.

        Where that was not measured (stores from elsewhere): its steps times the batch size.
        """
        last = self.last.get(trial, {})
        forwarded, backpropagated = last.get("examples_forwarded"), last.get("examples_backpropagated")
        if forwarded is None or backpropagated is None:
            steps = next(judged.trained for judged in self.trials if judged.outcome.trial == trial)
            return Cost(steps * self.batch_size, steps * self.batch_size)
        return Cost(forwarded, backpropagated)

    @property
    def total(self) -> Cost:
        """What all trials took, each up to its goal, its divergence or the decision."""
        costs = [self.cost(judged.outcome.trial) for judged in self.trials]
        return Cost(sum(c.forwarded for c in costs), sum(c.backpropagated for c in costs))

    @property
    def to_result(self) -> Cost | None:
        """What the best trial took to the goal, or None where no trial reached it."""
        return None if self.result.best_trial is None else self.cost(self.result.best_trial)

    @property
    def passes(self) -> float | None:
        """Examples forwarded for each one trained on, to the goal; None where it was not reached."""
        cost = self.to_result
        return cost.forwarded / cost.backpropagated if cost and cost.backpropagated else None

    @property
    def forwarded_within(self) -> tuple[int, int | None] | None:
        """The fewest and the most examples forwarded by a trial within the interval of the steps.

        The second is None where that interval is open; None alone where no trial reached the goal.
        """
        result = self.result
        near = [trial for step, trial in result.reached if result.high is None or step <= result.high]
        if not near:
            return None
        counts = [self.cost(trial).forwarded for trial in near]
        return min(counts), None if result.high is None else max(counts)

    @property
    def best(self) -> Hyperparameters | None:
        """The best trial's hyperparameters."""
        trial = self.result.best_trial
        return None if trial is None else self.hyperparameters[trial]


def read_studies(stored: StoredExperiment) -> list[Study]:
    """Every study of the experiment, in its order.

    Raises:
        DamagedError: A stored part is truncated or was altered.
    """
    return [_study(stored, key) for key in stored.experiment.studies()]


def _study(stored: StoredExperiment, key: StudyKey) -> Study:
    judgement = stored.judgement(key)
    trials = judgement.trials if judgement else ()
    result = summarise(judgement.best if judgement else (), judgement.counted if judgement else 0)
    values = {record.trial: record.hyperparameters for record in stored.study_records(key.name)}
    space = stored.experiment.space_of(key)
    best = None if result.best_trial is None else values[result.best_trial]
    budget = stored.budget_steps(key) if values else 0
    measured = stored.study_measurements(key.name)
    # Of an undecided study all is shown; nothing is concluded from it.
    known = canonical(measured, trials) if trials else measured
    return Study(
        key=key,
        budget=budget,
        decided=judgement.decided if judgement else None,
        trials=trials,
        result=result,
        hyperparameters=values,
        tuned=stored.experiment.tuned(key),
        borders=borders(space, best, policy=key.configuration.policy) if best is not None else (),
        last=_last(known) if trials else {},
        evaluated=stored.experiment.evaluation_steps(budget) if budget else (),
        scales={name: _scale(space[name]) for name in stored.experiment.tuned(key)},
        course=course_of(known, result.best_trial, f"validation/{stored.metric_name}"),
    )


def _scale(entry: AnyEntry) -> str:
    return entry.scale if isinstance(entry, Range) else "choices"


def canonical(measurements: pl.DataFrame, trials: tuple[Judged, ...]) -> pl.DataFrame:
    """The measurements of judged trials up to the step that counts; what lies beyond is left out."""
    import polars as pl

    ends = pl.DataFrame(
        {"trial": [j.outcome.trial for j in trials], "end": [j.trained for j in trials]},
        schema={"trial": pl.Int64, "end": pl.Int64},
    )
    rows = measurements.join(ends, on="trial", how="inner").filter(pl.col("step") <= pl.col("end"))
    return rows.drop("end").sort("trial", "step")


def course_of(measurements: pl.DataFrame, best: int | None, metric: str) -> pl.DataFrame | None:
    """The measurements of the best trial; without one, of that with the least metric anywhere."""
    import polars as pl

    if best is None:
        seen = measurements.filter(pl.col(metric).is_finite()).sort(metric, "trial", "step")
        best = None if seen.is_empty() else seen["trial"][0]
    return None if best is None else measurements.filter(pl.col("trial") == best).sort("step")


def _last(measurements: pl.DataFrame) -> dict[int, dict[str, Any]]:
    rows = measurements.group_by("trial", maintain_order=True).last()
    return {row["trial"]: row for row in rows.iter_rows(named=True)}
