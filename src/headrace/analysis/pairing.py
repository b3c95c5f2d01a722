"""From a table of runs to differences from the baseline: at equal seeds if seeds matter, else independent.

Runs of one seed share their initialisation and order of examples. If that makes them alike, their
differences scatter less; if it does not, pairing throws away half of the degrees of freedom. So the seeds'
effect is tested first, over all groups together, at a level (1%) at which a wrong choice can hardly touch
the verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from headrace.analysis import moderation
from headrace.analysis.runs import Table

Pairing = Literal["auto", "always", "never"]
MATTERS = 0.01
"""The level at which seeds must be shown to matter before runs of one seed are taken as pairs."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One group's mean less the baseline's; the fields of a `Contrast` that come from the runs."""

    test: Literal["paired", "welch"]
    mean: float
    difference: float
    standard_error: float
    freedom: float
    seeds: int


def finite(rows: Mapping[Hashable, float]) -> dict[Hashable, float]:
    """The runs that did not diverge."""
    return {seed: value for seed, value in rows.items() if math.isfinite(value)}


def mean(values: Sequence[float]) -> float:
    """NaN without any value."""
    return math.fsum(values) / len(values) if values else math.nan


def contrasts(table: Table, baseline: str, pairing: Pairing, floor: float) -> dict[str, Difference]:
    """Every group's difference from the baseline.

    Args:
        table: Group -> seed -> finite metric.
        baseline: One of the groups.
        pairing: Whether runs of one seed are pairs; "always" pairs every group that shares two seeds.
        floor: The least variance that one run's metric can have.
    """
    others = [name for name in table if name != baseline]
    paired = [name for name in others if _is_paired(table, baseline, name, pairing)]
    if pairing == "auto" and not (len(paired) == len(others) and _seeds_matter(table, baseline, others)):
        paired = []
    rest = [name for name in others if name not in paired]
    found = _unpaired(table, baseline, rest, floor) | _paired(table, baseline, paired, floor)
    return {name: found[name] for name in others}


def probability_of_improvement(
    rows: Mapping[Hashable, float], base: Mapping[Hashable, float], higher_is_better: bool
) -> float:
    """The share of pairs (a run of the group, one of the baseline) of which the group's is better.

    Mann and Whitney's U over the number of pairs; ties count half, a run that diverged loses to all others.
    """
    worst = -math.inf if higher_is_better else math.inf
    ours, theirs = (
        np.array([value if math.isfinite(value) else worst for value in side.values()])
        for side in (rows, base)
    )
    theirs.sort()
    lower, not_higher = (np.searchsorted(theirs, ours, side).sum() for side in ("left", "right"))
    better = lower if higher_is_better else ours.size * theirs.size - not_higher
    return float((better + 0.5 * (not_higher - lower)) / (ours.size * theirs.size))


def _common(table: Table, baseline: str, name: str) -> list[Hashable]:
    return [seed for seed in table[name] if seed in table[baseline]]


def _is_paired(table: Table, baseline: str, name: str, pairing: Pairing) -> bool:
    """Whether all seeds of the smaller group occur in the other; asked for expressly, two are enough."""
    shared = len(_common(table, baseline, name))
    smaller = min(len(table[name]), len(table[baseline]))
    return pairing != "never" and shared >= 2 and (shared == smaller or pairing == "always")


def _seeds_matter(table: Table, baseline: str, others: Sequence[str]) -> bool:
    """Whether the F test of seeds shows an effect that makes differences at equal seeds the sharper ones.

    Two-way analysis of variance without interaction: over the seeds that all groups share, groups and seeds
    out, the mean square of seeds over that of the rest.
    """
    from scipy.special import fdtrc

    shared = [seed for seed in table[baseline] if all(seed in table[name] for name in others)]
    rows = np.array([[table[name][seed] for seed in shared] for name in (baseline, *others)])
    count, seeds = rows.shape
    if seeds < 3:
        return False
    centred = rows - rows.mean(axis=1, keepdims=True)
    effect = centred.mean(axis=0)
    between = count * float((effect**2).sum()) / (seeds - 1)
    within = float(((centred - effect) ** 2).sum()) / ((seeds - 1) * (count - 1))
    if within == 0:
        return between > 0
    if float(fdtrc(seeds - 1, (seeds - 1) * (count - 1), between / within)) > MATTERS:
        return False
    # Of two runs: within is the part that pairing leaves, the correlation the part that it takes away.
    alike = (between - within) / (between + (count - 1) * within)
    apart = min(1 / len(table[name]) + 1 / len(table[baseline]) for name in others)
    return 2 * (1 - alike) / seeds < apart


def _unpaired(table: Table, baseline: str, names: Sequence[str], floor: float) -> dict[str, Difference]:
    """Groups with fewer than two runs have no scatter and take no part in the others' prior."""
    if not names:
        return {}
    sides = {name: list(table[name].values()) for name in (baseline, *names)}
    known = [name for name in names if len(sides[name]) >= 2 and len(sides[baseline]) >= 2]
    centre = mean(sides[baseline])
    found = {name: _unknown(sides[name], centre) for name in names if name not in known}
    if not known:
        return found
    runs = [sides[name] for name in (baseline, *known)]
    tested = moderation.unpaired(
        np.array([mean(values) for values in runs]),
        np.array([variance(values) for values in runs]),
        np.array([float(len(values)) for values in runs]),
        floor=floor,
    )
    return found | {
        name: _difference("welch", mean(sides[name]), len(sides[name]), tested, place)
        for place, name in enumerate(known)
    }


def _paired(table: Table, baseline: str, names: Sequence[str], floor: float) -> dict[str, Difference]:
    if not names:
        return {}
    shared = {name: _common(table, baseline, name) for name in names}
    apart = [[table[name][seed] - table[baseline][seed] for seed in shared[name]] for name in names]
    tested = moderation.paired(
        np.array([mean(values) for values in apart]),
        np.array([variance(values) for values in apart]),
        np.array([float(len(values)) for values in apart]),
        floor=floor,
    )
    means = [mean([table[name][seed] for seed in shared[name]]) for name in names]
    return {
        name: _difference("paired", means[place], len(shared[name]), tested, place)
        for place, name in enumerate(names)
    }


def _difference(
    test: Literal["paired", "welch"], own: float, seeds: int, tested: moderation.Tested, place: int
) -> Difference:
    return Difference(
        test=test,
        mean=own,
        difference=float(tested.difference[place]),
        standard_error=float(tested.standard_error[place]),
        freedom=float(tested.freedom[place]),
        seeds=seeds,
    )


def _unknown(values: Sequence[float], base: float) -> Difference:
    own = mean(values)
    return Difference(
        test="welch",
        mean=own,
        difference=own - base,
        standard_error=math.inf,
        freedom=1.0,
        seeds=len(values),
    )


def variance(values: Sequence[float]) -> float:
    """The sample variance, of at least two values."""
    centre = mean(values)
    return math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1)
