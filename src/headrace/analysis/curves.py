"""The curves S(B) of an experiment: each with its fit, its limits, and the learning-rate rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace import scaling
from headrace.analysis.hyperparameters import RuleCheck, rules_of
from headrace.analysis.studies import Curve, Study
from headrace.analysis.surface import Surface
from headrace.analysis.tuned import surface_of


@dataclass(frozen=True, kw_only=True)
class CurveFit:
    """One curve: the studies that differ in their batch size alone.

    Attributes:
        curve: Optimizer, subset, policy, workers.
        studies: Its studies by batch size.
        fit: The fit to those that reached the goal after step 0; None for fewer than two.
        rules: The learning-rate rules; None where there are fewer than two best learning rates.
        surface: The tuned optimum from all trials together; None if more than the learning rate was tuned, or
            too few trials reached the goal.
    """

    curve: Curve
    studies: tuple[Study, ...]
    fit: scaling.ScalingFit | None
    rules: RuleCheck | None
    surface: Surface | None = None

    @property
    def points(self) -> tuple[Study, ...]:
        """The studies that enter the fit."""
        return tuple(study for study in self.studies if study.result.steps)


def fit_curves(studies: Sequence[Study], *, level: float = 0.95) -> list[CurveFit]:
    """The curves in the order of their first study.

    Args:
        studies: All studies of an experiment.
        level: The level of the intervals.
    """
    curves: dict[Curve, list[Study]] = {}
    for study in studies:
        curves.setdefault(study.curve, []).append(study)
    return [
        _fit_curve(curve, tuple(sorted(members, key=lambda study: study.batch_size)), level)
        for curve, members in curves.items()
    ]


def _fit_curve(curve: Curve, studies: tuple[Study, ...], level: float) -> CurveFit:
    points = [study for study in studies if study.result.steps]
    fitted = None
    if len(points) > 1:
        # The points are minima of searches: their scatter about the curve holds what the searches missed.
        fitted = scaling.fit(
            [study.batch_size for study in points],
            [study.result.steps or 0 for study in points],
            level=level,
            open_above=[study.result.high is None for study in points],
        )
    return CurveFit(
        curve=curve,
        studies=studies,
        fit=fitted,
        rules=rules_of(studies),
        surface=surface_of(studies, level=level),
    )
