"""The curves S(B) of an experiment: each with its fit, its limits, and the learning-rate rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from headrace import random, scaling
from headrace.analysis.hyperparameters import RuleCheck, rules_of
from headrace.analysis.regimes import TOLERANCE, limits
from headrace.analysis.steps_to_result import draws
from headrace.analysis.studies import Curve, Study

DRAWS = 1000
Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class CurveFit:
    """One curve: the studies that differ in their batch size alone.

    Attributes:
        curve: Optimiser, subset, policy, workers.
        studies: Its studies by batch size.
        fit: The fit to those that reached the goal after step 0; None for fewer than two.
        perfect_scaling_interval: Of `fit.perfect_scaling_limit`, over the best-of-K distributions.
        max_useful_interval: Of `fit.max_useful_batch_size`, likewise.
        rules: The learning-rate rules; None where there are fewer than two best learning rates.
    """

    curve: Curve
    studies: tuple[Study, ...]
    fit: scaling.ScalingFit | None
    perfect_scaling_interval: Interval | None
    max_useful_interval: Interval | None
    rules: RuleCheck | None

    @property
    def points(self) -> tuple[Study, ...]:
        """The studies that enter the fit."""
        return tuple(study for study in self.studies if study.result.steps)


def fit_curves(studies: Sequence[Study], *, seed: int, level: float = 0.95) -> list[CurveFit]:
    """The curves in the order of their first study.

    Args:
        studies: All studies of an experiment.
        seed: Of the draws from the best-of-K distributions.
        level: The level of the intervals.
    """
    curves: dict[Curve, list[Study]] = {}
    for study in studies:
        curves.setdefault(study.curve, []).append(study)
    return [
        _fit_curve(curve, tuple(sorted(members, key=lambda study: study.batch_size)), seed, level)
        for curve, members in curves.items()
    ]


def _fit_curve(curve: Curve, studies: tuple[Study, ...], seed: int, level: float) -> CurveFit:
    points = [study for study in studies if study.result.steps]
    rules = rules_of(studies)
    if len(points) < 2:
        return CurveFit(
            curve=curve,
            studies=studies,
            fit=None,
            perfect_scaling_interval=None,
            max_useful_interval=None,
            rules=rules,
        )
    batch_sizes = [study.batch_size for study in points]
    steps = [study.result.steps or 0 for study in points]
    table = _draw_table(points, seed)
    perfect, useful = limit_intervals(batch_sizes, table, level)
    return CurveFit(
        curve=curve,
        studies=studies,
        fit=scaling.fit(batch_sizes, steps, level=level, draws=table),
        perfect_scaling_interval=perfect,
        max_useful_interval=useful,
        rules=rules,
    )


def _draw_table(points: Sequence[Study], seed: int) -> Float[np.ndarray, "draws points"]:
    columns = [
        draws(study.result, DRAWS, random.generator(seed, "analysis", "draws", study.key.name))
        for study in points
    ]
    return np.column_stack(columns)


def limit_intervals(
    batch_sizes: Sequence[int], table: Float[np.ndarray, "draws points"], level: float
) -> tuple[Interval, Interval]:
    """The central `level` of the two limits over draws of the steps.

    Args:
        batch_sizes: Of the points.
        table: Steps, infinite where a draw does not reach the goal: such points are left out of their draw.
        level: The level.

    Returns:
        The intervals of the perfect-scaling limit and of the largest useful batch size.
    """
    found = [
        limits(*zip(*known, strict=True), tolerance=TOLERANCE)
        for row in table.tolist()
        if len(known := [(b, s) for b, s in zip(batch_sizes, row, strict=True) if np.isfinite(s)]) >= 2
    ]
    perfect = sorted(rules.perfect_scaling for rules in found) or [float(min(batch_sizes))]
    useful = sorted(rules.max_useful for rules in found) or [float(max(batch_sizes))]
    return _central(perfect, level), _central(useful, level)


def _central(ordered: Sequence[float], level: float) -> Interval:
    low = int((1 - level) / 2 * (len(ordered) - 1))
    return ordered[low], ordered[len(ordered) - 1 - low]
