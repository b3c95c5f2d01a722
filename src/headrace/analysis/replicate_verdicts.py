"""Verdicts on what distinguishes two studies, a policy or a subset above all: from fresh seeds alone.

One search per cell has no seeds to replicate it, so no verdict rests on a search. Studies that differ in one
axis of the grid are compared with its baseline at each batch size, by `headrace.analysis.comparison`. Steps
and forwarded examples are compared by their logarithms; a run that did not reach the goal is an outcome of
its own (Fisher's exact test) and enters no mean. The level is shared by all comparisons of one axis and one
metric, so that between equals any wrong verdict among them has a probability of at most 5%.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headrace.analysis.comparison import GroupResult, Verdict, compare
from headrace.analysis.replicates import Replicated
from headrace.specs.studies import FULL, StudyKey
from headrace.specs.subset_names import is_random
from headrace.store.replicates import Replicate

BASELINE = "shuffle"
LEVEL = 0.95
LEAST_SEEDS = 2
AS_LARGE = 0.1
"""Two subsets are as large as each other where their sizes differ by at most this share of the larger one."""

Axis = Literal["optimizer", "policy", "subset", "workers"]
AXES: tuple[Axis, ...] = ("policy", "subset", "optimizer", "workers")
Metric = Literal["steps", "examples_forwarded", "test"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A study against its baseline in one metric.

    Attributes:
        axis: In what they differ.
        metric: What is compared.
        study: The study.
        baseline: The baseline; equal in all other axes.
        shared: Whether both were trained with one setting.
        reached: The runs of the study and of the baseline that enter their means: those that reached the
            goal, or of the test metric those that did not diverge.
        seeds: All runs of the study and of the baseline.
        result: The comparison; of logarithms except for the test metric.
    """

    axis: Axis
    metric: Metric
    study: StudyKey
    baseline: StudyKey
    shared: bool
    reached: tuple[int, int]
    seeds: tuple[int, int]
    result: GroupResult

    @property
    def verdict(self) -> Verdict:
        """The verdict; fewer steps and a lower error are better."""
        return self.result.verdict

    @property
    def effect(self) -> float:
        """The ratio of the means (of the test metric: their difference), NaN if a side has none."""
        return self._plain(self.result.difference)

    @property
    def interval(self) -> tuple[float, float]:
        """Of the effect."""
        low, high = self.result.interval
        return self._plain(low), self._plain(high)

    @property
    def detectable(self) -> float:
        """The smallest effect that would have been shown four times in five: a ratio > 1, or a difference."""
        return self._plain(self.result.detectable_difference)

    def _plain(self, value: float) -> float:
        if self.metric == "test":
            return value
        return math.exp(value) if value < 700 else math.inf

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; null stands for what is not finite."""
        what = "difference" if self.metric == "test" else "ratio"
        return {
            "axis": self.axis,
            "metric": self.metric,
            "study": self.study.name,
            "baseline": self.baseline.name,
            "batch_size": self.study.configuration.batch_size,
            "verdict": self.verdict,
            what: _finite(self.effect),
            "interval": [_finite(end) for end in self.interval],
            "detectable": _finite(self.detectable),
            "p_adjusted": _finite(self.result.p_adjusted),
            "seeds": list(self.seeds),
            "reached": list(self.reached),
            "setting": "shared" if self.shared else "own",
        }


def _finite(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


Table = tuple[Replicated, Sequence[Replicated]]
"""A baseline and the studies that are compared with it."""


def verdicts(found: Mapping[str, Replicated], examples: Mapping[str, int]) -> list[Cell]:
    """Every comparison of an experiment.

    Args:
        found: The fresh runs of each study.
        examples: Subset of the grid -> its size.
    """
    able = [one for one in found.values() if len(one.runs) >= LEAST_SEEDS]
    cells: list[Cell] = []
    for axis in AXES:
        tables = list(_once(_tables(axis, able, examples)))
        for metric in _metrics(axis, able):
            level = 1 - (1 - LEVEL) / max(len(tables), 1)
            cells += [cell for table in tables for cell in _compared(axis, metric, table, level)]
    return cells


def _metrics(axis: Axis, able: Sequence[Replicated]) -> Iterator[Metric]:
    yield "steps"
    if axis == "policy" and any(_forwards_more(one) for one in able):
        yield "examples_forwarded"
    if any(run.test is not None for one in able if one.until == "budget" for run in one.runs):
        yield "test"


def _forwards_more(one: Replicated) -> bool:
    size = one.study.batch_size
    return any(run.reached and run.examples_forwarded > run.reached * size for run in one.runs)


def _tables(axis: Axis, able: Sequence[Replicated], examples: Mapping[str, int]) -> Iterator[Table]:
    like: dict[tuple[Any, ...], list[Replicated]] = {}
    for one in able:
        like.setdefault(_but(axis, one.study.key), []).append(one)
    for members in like.values():
        base = _baseline(axis, members)
        others = [one for one in members if one is not base]
        if base is not None and others:
            yield base, others
        if axis == "subset":
            yield from _against_chance(members, examples)


def _once(tables: Iterator[Table]) -> Iterator[Table]:
    """Each comparison once: studies that are the same function have the same runs."""
    seen: set[tuple[str, str]] = set()
    for base, others in tables:
        pairs = {(one.trained, base.trained): one for one in others if one.trained != base.trained or one.own}
        fresh = [one for pair, one in pairs.items() if pair not in seen]
        seen |= pairs.keys()
        if fresh:
            yield base, fresh


def _but(axis: Axis, key: StudyKey) -> tuple[Any, ...]:
    """A study's place in all axes except one."""
    values = {"optimizer": key.optimizer, **key.configuration.model_dump()}
    return tuple(value for name, value in values.items() if name != axis)


def value_of(axis: Axis, key: StudyKey) -> Any:
    """A study's place in one axis."""
    return key.optimizer if axis == "optimizer" else getattr(key.configuration, axis)


def _baseline(axis: Axis, members: Sequence[Replicated]) -> Replicated | None:
    """Plain shuffling, the whole training set, SGD or else the first optimizer, the fewest workers."""
    by_value = {value_of(axis, one.study.key): one for one in members}
    if axis == "workers":
        return by_value[min(by_value)]
    return by_value.get({"policy": BASELINE, "subset": FULL, "optimizer": "sgd"}[axis]) or (
        members[0] if axis == "optimizer" else None
    )


def _against_chance(members: Sequence[Replicated], examples: Mapping[str, int]) -> Iterator[Table]:
    """Each random subset with the chosen ones of its size."""
    subsets = {one.study.key.configuration.subset: one for one in members}
    for name, base in subsets.items():
        size = examples.get(name, 0)
        others = [
            one
            for other, one in subsets.items()
            if other != FULL and not is_random(other) and _near(examples.get(other, 0), size)
        ]
        if is_random(name) and others:
            yield base, others


def _near(mine: int, theirs: int) -> bool:
    return abs(mine - theirs) <= AS_LARGE * max(mine, theirs)


def _compared(axis: Axis, metric: Metric, table: Table, level: float) -> list[Cell]:
    base, others = table
    rows = [
        (one.study.key.name, run.seed, value)
        for one in (base, *others)
        for run, value in _values(one, metric)
    ]
    # Detected if it is a count over test examples; of steps it is the schedule of evaluations.
    step = None if metric == "test" else max(one.step_granularity for one in (base, *others))
    found = compare(
        [name for name, _, _ in rows],
        [seed for _, seed, _ in rows],
        [value for _, _, value in rows],
        baseline=base.study.key.name,
        level=level,
        granularity=step,
    )
    by_name = {one.study.key.name: one for one in others}
    return [_cell(axis, metric, by_name[result.group], base, result) for result in found.groups]


_VALUE: dict[Metric, Callable[[Replicate], float | None]] = {
    "steps": lambda run: run.reached and math.log(run.reached),
    "examples_forwarded": lambda run: run.reached and math.log(max(run.examples_forwarded, 1)),
    "test": lambda run: run.test,
}


def _values(one: Replicated, metric: Metric) -> list[tuple[Replicate, float]]:
    """Each run with what is compared; NaN if the goal was not reached, or the run diverged."""
    pairs = [(run, _VALUE[metric](run)) for run in one.runs]
    return [(run, math.nan if value is None else float(value)) for run, value in pairs]


def _cell(axis: Axis, metric: Metric, one: Replicated, base: Replicated, result: GroupResult) -> Cell:
    counted = tuple(sum(math.isfinite(v) for _, v in _values(side, metric)) for side in (one, base))
    same = axis != "optimizer" and one.setting.trial == base.setting.trial
    return Cell(
        axis=axis,
        metric=metric,
        study=one.study.key,
        baseline=base.study.key,
        shared=same,
        reached=(counted[0], counted[1]),
        seeds=(len(one.runs), len(base.runs)),
        result=result,
    )
