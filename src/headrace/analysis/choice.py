"""Which setting of each study is trained again from fresh seeds, so that luck in tuning is no verdict.

*Own.* The trial of fewest steps is the luckiest of N: a fresh run of its setting takes 1.08 times as many
steps at N = 16 and 1.31 times at N = 100, and what is lost by taking it grows with N. So a study's own choice
is the counted trial with the fewest *smoothed* steps: those of the response surface of its curve, from which
seeds are averaged out. The optimum of the surface itself is no choice, because no trial was trained there and
other studies have no trial of equal values. Without a surface it is the trial with the fewest steps: its luck
is in no verdict either, because those rest on fresh seeds.

*Common.* If every study went its own way, studies that are the same would be trained at different settings,
and called different (in 65% to 97% of simulated comparisons of 22 policies [D]). Trials of one number have
the same values in all studies of an optimizer and batch size, so these have a common choice: the trial of the
least median, over studies, of smoothed log steps less the study's least.

*Pilot.* A study departs from the common setting only if two fresh runs of its own setting take fewer steps
than two of the common one by two standard errors. These runs enter no verdict. Together: wrong verdicts in
5% to 8%, at more power than before [D].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headrace.analysis.studies import Study
from headrace.analysis.surface import Surface
from headrace.analysis.tuned import surfaces_of
from headrace.store.records import Status
from headrace.store.replicates import Replicate, StudySetting

PILOTS = 2
"""Seeds of each of two settings that are compared."""
ERRORS = 2.0
"""Standard errors of the difference by which a study's own setting must be better."""
SCATTER, SCATTER_FREEDOM = 0.2, 4.0
"""The scatter of log steps between seeds that is expected, and how many degrees of freedom it counts for: it
is averaged with that of the few pilots. On four data sets it was 0.15 to 0.27 [D]."""
_SLOPE, _CLIFF = 0.8, 6.0
"""The powers by which steps grow below and above the best learning rate: as the surface expects."""

Smoothed = Mapping[int, float]
"""Trial -> log steps, up to a constant of the study."""


def choose(studies: Sequence[Study]) -> list[StudySetting]:
    """The own and the common choice of every study; see `candidates`.

    Args:
        studies: Those of an experiment that are trained apart, all of them decided.
    """
    families: dict[tuple[str, int], list[tuple[str, Smoothed]]] = {}
    surfaces = surfaces_of(studies)
    for study in studies:
        steps = smoothed_steps(study, surfaces[study.curve]) if study.result.steps is not None else {}
        families.setdefault((study.key.optimizer, study.batch_size), []).append((study.key.name, steps))
    found = {setting.study: setting for family in families.values() for setting in candidates(family)}
    return [found[study.key.name] for study in studies]


def smoothed_steps(study: Study, surface: Surface | None) -> Smoothed:
    """How the trials of a study that count compare, without their seeds' luck if there is a surface.

    Args:
        study: A decided study.
        surface: Of its curve, or None.
    """
    counted = [
        trial for trial in study.trials if trial.status in (Status.COMPLETE, Status.STOPPED) and trial.trained
    ]
    if surface is None or study.tuned != ("learning_rate",) or study.batch_size not in surface.batch_sizes:
        # A trial that was stopped needs more steps than any that reached the goal.
        late = math.log(2)
        return {
            trial.outcome.trial: math.log(trial.trained) + (late if trial.reached is None else 0.0)
            for trial in counted
        }
    best = math.log(surface.learning_rates[surface.batch_sizes.index(study.batch_size)])
    return {trial.outcome.trial: _excess(_log_rate(study, trial.outcome.trial) - best) for trial in counted}


def _log_rate(study: Study, trial: int) -> float:
    return math.log(float(study.hyperparameters[trial]["learning_rate"]))


def _excess(distance: float) -> float:
    """Log steps beyond the least, at a log learning rate this far from the best; see `analysis.surface`."""
    p, q = _SLOPE, _CLIFF
    return float(np.logaddexp(math.log(q) - p * distance, math.log(p) + q * distance)) - math.log(p + q)


def candidates(family: Sequence[tuple[str, Smoothed]]) -> list[StudySetting]:
    """The own and the common choice of studies of one optimizer and batch size.

    Args:
        family: (name, smoothed steps) of each study; empty steps if no trial of it reached the goal.

    Returns:
        One setting per study; the trial is decided if both choices agree, otherwise it is the common one for
        the time being.
    """
    able = [steps for _, steps in family if steps]
    common = _common(able)
    found: list[StudySetting] = []
    for name, steps in family:
        own = min(steps, key=lambda trial: (steps[trial], trial)) if steps else None
        found.append(StudySetting(study=name, own=own, common=common, trial=None if own is None else common))
    return found


def _common(able: Sequence[Smoothed]) -> int | None:
    """The trial of the least median over studies, ties to the first; None if no study has one."""
    trials = sorted({trial for steps in able for trial in steps})
    if not trials:
        return None
    table = np.array(
        [[steps.get(trial, math.inf) - min(steps.values()) for trial in trials] for steps in able]
    )
    return trials[int(np.argmin(np.sort(table, axis=0)[len(able) // 2]))]


@dataclass(frozen=True, kw_only=True)
class Pilots:
    """Pilot runs of one study.

    Attributes:
        setting: The study's two choices.
        own: Runs of its own.
        common: Runs of the common one, from the same seeds.
    """

    setting: StudySetting
    own: Sequence[Replicate]
    common: Sequence[Replicate]


def settle(pilots: Sequence[Pilots]) -> list[StudySetting]:
    """Decide by pilot runs between the two choices of each study.

    A run that did not reach the goal, or diverged, takes its budget for a lower bound of its steps.

    Args:
        pilots: All studies of the experiment whose choices differ; their scatter is pooled.
    """
    scatter = pooled_scatter([side for one in pilots for side in (one.own, one.common)])
    return [
        one.setting.model_copy(update={"trial": _settled(one, scatter), "compared": True}) for one in pilots
    ]


def _settled(one: Pilots, scatter: float) -> int | None:
    broken = any(run.error is not None for run in (*one.own, *one.common))
    if broken or any(run.reached is None for run in one.own):
        return one.setting.common
    own, common = (np.mean([_log_steps(run) for run in side]) for side in (one.own, one.common))
    error = scatter * math.sqrt(1 / len(one.own) + 1 / len(one.common))
    return one.setting.own if common - own > ERRORS * error else one.setting.common


def pooled_scatter(groups: Sequence[Sequence[Replicate]]) -> float:
    """The standard deviation of log steps between seeds, of groups of few runs and what is expected [D]."""
    squares, freedom = SCATTER_FREEDOM * SCATTER**2, SCATTER_FREEDOM
    for group in groups:
        steps = [_log_steps(run) for run in group if run.reached is not None]
        if len(steps) >= 2:
            squares += (len(steps) - 1) * float(np.var(steps, ddof=1))
            freedom += len(steps) - 1
    return math.sqrt(squares / freedom)


def _log_steps(run: Replicate) -> float:
    return math.log(max(run.budget if run.reached is None else run.reached, 1))
