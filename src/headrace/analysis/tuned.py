"""The tuned optimum of an experiment's curves, from all trials of a curve together.

Which trials say what: one that reached the goal did so between two evaluations, so half way between them in
logs; one that was stopped, or trained to its budget in vain, needs more steps than it was trained for; one
that diverged needs more than those at which its study was decided, because it never arrives; one that failed
is left out. Hyperparameters other than the learning rate enter by their logarithms, the momentum by that of
1 - momentum: only those with such a scale can be distinguished from the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from headrace.analysis.studies import Curve, Study
from headrace.analysis.surface import Surface, fit_surface
from headrace.specs.space import INTEGERS
from headrace.specs.studies import Hyperparameters
from headrace.store.records import Status

RATE = "learning_rate"
LOG, ONE_MINUS_LOG = "log", "one-minus-log"


class _Row(NamedTuple):
    """One trial: batch size, log rate, logs of the other hyperparameters, log steps, only "more than"."""

    batch_size: float
    log_rate: float
    others: tuple[float, ...]
    log_steps: float
    censored: bool


def surface_of(studies: Sequence[Study], *, level: float = 0.95) -> Surface | None:
    """The surface of one curve; None if what was tuned does not allow one, or too few trials show it.

    Args:
        studies: Those that differ in their batch size alone; ones without trials are left out.
        level: Of the intervals.
    """
    judged = [study for study in studies if study.trials and study.result.steps != 0]
    if not judged:
        return None
    others = others_of(judged[0])
    if others is None or any(study.tuned != judged[0].tuned for study in judged):
        return None
    rows = [row for study in judged for row in _rows(study, others)]
    if not rows:
        return None
    return fit_surface(
        np.array([row.batch_size for row in rows]),
        np.exp([row.log_rate for row in rows]),
        np.array([row.log_steps for row in rows]),
        np.array([row.censored for row in rows]),
        others=np.array([row.others for row in rows]).reshape(len(rows), -1),
        # lr / (1 - momentum) is what acts.
        couplings=[-1.0 if scale == ONE_MINUS_LOG else 0.0 for scale in others.values()],
        level=level,
    )


def surfaces_of(studies: Sequence[Study]) -> dict[Curve, Surface | None]:
    """The surface of every curve."""
    curves: dict[Curve, list[Study]] = {}
    for study in studies:
        curves.setdefault(study.curve, []).append(study)
    return {curve: surface_of(members) for curve, members in curves.items()}


def tuned_of(study: Study, surface: Surface | None) -> tuple[float, tuple[float, float]] | None:
    """Steps to the goal at the best hyperparameters and their interval; None if nothing shows them."""
    if surface is None or study.batch_size not in surface.batch_sizes:
        return None
    place = surface.batch_sizes.index(study.batch_size)
    return surface.steps[place], surface.intervals[place]


@dataclass(frozen=True, kw_only=True)
class NextRun:
    """What a fresh run of one study takes, at a setting that can be recommended.

    Attributes:
        hyperparameters: Those that were tuned, at the recommended values.
        steps: The mean over seeds.
        draws: Values that it might have.
    """

    hyperparameters: Hyperparameters
    steps: float
    draws: np.ndarray


def next_runs(
    studies: Sequence[Study], surface: Surface, draws: int, rng: np.random.Generator
) -> dict[int, NextRun]:
    """Batch size -> what a fresh run takes, for the studies of one curve.

    Args:
        studies: The studies that `surface` was fitted to.
        surface: From `surface_of`.
        draws: How many values each expectation might have.
        rng: Where they are drawn from.
    """
    found = surface.expected(draws, rng)
    others = others_of(next(study for study in studies if study.trials)) or {}
    runs: dict[int, NextRun] = {}
    for place, size in enumerate(surface.batch_sizes):
        logs = dict(zip(others, found.others[place].tolist(), strict=True))
        values: dict[str, float] = {
            name: math.exp(log) if others[name] == LOG else 1 - math.exp(log) for name, log in logs.items()
        }
        values[RATE] = float(found.learning_rates[place])
        runs[int(size)] = NextRun(
            # Three digits: no more of an optimum found by descent is worth copying.
            hyperparameters={
                name: round(values[name]) if name in INTEGERS else float(f"{values[name]:.3g}")
                for name in sorted(values)
            },
            steps=float(f"{found.steps[place]:.4g}"),
            draws=found.draws[:, place],
        )
    return runs


def others_of(study: Study) -> Mapping[str, str] | None:
    """What was tuned as well as the learning rate, with its scale; None if a surface cannot hold it."""
    scales = {name: study.scales.get(name, "") for name in study.tuned if name != RATE}
    known = all(scale in (LOG, ONE_MINUS_LOG) for scale in scales.values())
    return scales if RATE in study.tuned and known else None


def _rows(study: Study, others: Mapping[str, str]) -> Iterator[_Row]:
    """Every trial that says something."""
    before = {after: max(step, 0.5) for step, after in pairwise(study.evaluated)}
    for judged in study.trials:
        values = study.hyperparameters[judged.outcome.trial]
        log_rate = _log(values, RATE, LOG)
        logs = [_log(values, name, scale) for name, scale in others.items()]
        beyond = study.decided if judged.status is Status.INFEASIBLE else judged.trained
        if judged.status is Status.FAILED or not beyond or log_rate is None:
            continue
        there = tuple(log for log in logs if log is not None)
        if len(there) == len(logs):
            steps = judged.reached
            shown = math.log(beyond) if steps is None else math.log(steps * before.get(steps, steps)) / 2
            yield _Row(study.batch_size, log_rate, there, shown, steps is None)


def _log(values: Hyperparameters, name: str, scale: str) -> float | None:
    """The logarithm of a trial's value, or of 1 less it; None if it has none."""
    value = values.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    inner = value if scale == LOG else 1 - value
    return math.log(inner) if inner > 0 else None
