"""The tuned optimum of an experiment's curves, from all trials of a curve together.

Which trials say what: one that reached the goal did so between two evaluations, so half way between them in
logs; one that was stopped, or trained to its budget in vain, needs more steps than it was trained for; one
that diverged or failed is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from headrace.analysis.studies import Study
from headrace.analysis.surface import Surface, fit_surface
from headrace.store.records import Status

Row = tuple[float, float, float, bool]


def surface_of(studies: Sequence[Study], *, level: float = 0.95) -> Surface | None:
    """The surface of one curve; None if more than the learning rate was tuned, or too few trials show it.

    Args:
        studies: Those that differ in their batch size alone; ones without trials are left out.
        level: Of the intervals.
    """
    judged = [study for study in studies if study.trials and study.result.steps != 0]
    if not judged or any(tuple(study.tuned) != ("learning_rate",) for study in judged):
        return None
    rows = [row for study in judged for row in _rows(study)]
    if not rows:
        return None
    batch, rate, log_steps = (np.array([row[place] for row in rows]) for place in range(3))
    return fit_surface(batch, rate, log_steps, np.array([row[3] for row in rows]), level=level)


def tuned_of(study: Study, surface: Surface | None) -> tuple[float, tuple[float, float]] | None:
    """Steps to the goal at the best learning rate and their interval; None if nothing shows them."""
    if surface is None or study.batch_size not in surface.batch_sizes:
        return None
    place = surface.batch_sizes.index(study.batch_size)
    return surface.steps[place], surface.intervals[place]


def _rows(study: Study) -> Iterator[Row]:
    """Batch size, learning rate, log steps and whether they are only "more than", per trial that counts."""
    before = {after: max(step, 0.5) for step, after in pairwise(study.evaluated)}
    for judged in study.trials:
        rate = study.hyperparameters[judged.outcome.trial].get("learning_rate")
        counts = judged.status in (Status.COMPLETE, Status.STOPPED) and judged.trained > 0
        if not counts or not isinstance(rate, int | float) or isinstance(rate, bool) or rate <= 0:
            continue
        steps = judged.reached
        if steps is None:
            yield study.batch_size, rate, math.log(judged.trained), True
        else:
            yield study.batch_size, rate, math.log(steps * before.get(steps, steps)) / 2, False
