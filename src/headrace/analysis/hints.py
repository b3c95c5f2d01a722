"""What searches hint at: policies against plain shuffling, subsets against everything and against chance.

One search per cell has no repeated seeds, so none of this is a verdict: that needs fresh runs of the settings
that were chosen. But trials of equal number are pairs (see `ordered_pairs`), and the tuned surfaces of two
curves give the ratio of their steps with an interval. All comparisons of an experiment are corrected
together, by Holm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headrace.analysis import words
from headrace.analysis.correction import holm
from headrace.analysis.curves import CurveFit
from headrace.analysis.ordered_pairs import Ordered, ordered
from headrace.analysis.studies import Study
from headrace.analysis.surface import ratio_of
from headrace.policies import POLICIES, make_policy
from headrace.specs.studies import FULL
from headrace.specs.subset_names import is_random

BASELINE = "shuffle"
LEVEL = 0.05
AS_LARGE = 0.1
"""Two subsets are as large as each other where their sizes differ by at most this share of the larger one."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One curve against another whose trials had the same hyperparameters.

    Attributes:
        curve: The one.
        base: The other.
        studies: Theirs, in pairs of one batch size, decided, the goal reached by at least one of the two.
        pairs: Their ordered pairs of trials.
    """

    curve: CurveFit
    base: CurveFit
    studies: tuple[tuple[Study, Study], ...]
    pairs: Ordered

    @property
    def sizes(self) -> tuple[float, ...]:
        """The batch sizes compared."""
        return tuple(float(study.batch_size) for study, _ in self.studies)


def hints(curves: Sequence[CurveFit], examples: Mapping[str, int]) -> list[str]:
    """A few sentences per comparison, and what they are worth.

    Args:
        curves: The experiment's curves.
        examples: Subset of the grid -> its size.
    """
    found = [_compare(*pair) for pair in (*against_shuffle(curves), *against_subsets(curves, examples))]
    found = [comparison for comparison in found if comparison.studies]
    if not found:
        return []
    adjusted = holm([comparison.pairs.p for comparison in found])
    said = [
        f"{_names(one, examples)}: {' '.join(_parts(one, p, len(found)))}"
        for one, p in zip(found, adjusted, strict=True)
    ]
    return [
        *said,
        "These are hints of one search each, without repeated seeds, and no verdicts. For verdicts, add "
        '[replicates] with "seeds = 5" to the experiment file and run it again: only the chosen setting of '
        "each is then trained, from fresh seeds.",
    ]


def against_shuffle(curves: Sequence[CurveFit]) -> list[tuple[CurveFit, CurveFit]]:
    """Each curve of another policy, with the curve of plain shuffling that is otherwise like it."""

    def like(curve: CurveFit) -> tuple[str, str, int]:
        optimizer, subset, _, workers = curve.curve
        return optimizer, subset, workers

    plain = {like(curve): curve for curve in curves if curve.curve[2] == BASELINE}
    return [
        (curve, plain[like(curve)]) for curve in curves if curve.curve[2] != BASELINE and like(curve) in plain
    ]


def against_subsets(
    curves: Sequence[CurveFit], examples: Mapping[str, int]
) -> Iterator[tuple[CurveFit, CurveFit]]:
    """Each curve on a subset with the curve on everything, then with those on random subsets as large."""

    def like(curve: CurveFit) -> tuple[str, str, int]:
        optimizer, _, policy, workers = curve.curve
        return optimizer, policy, workers

    def chance(curve: CurveFit, other: CurveFit) -> bool:
        mine, theirs = (examples.get(one.curve[1], 0) for one in (curve, other))
        return is_random(other.curve[1]) and abs(mine - theirs) <= AS_LARGE * max(mine, theirs)

    for curve in curves:
        if curve.curve[1] != FULL:
            others = [other for other in curves if like(other) == like(curve)]
            yield from ((curve, other) for other in others if other.curve[1] == FULL)
            if not is_random(curve.curve[1]):
                yield from ((curve, other) for other in others if chance(curve, other))


def _compare(curve: CurveFit, base: CurveFit) -> Comparison:
    by_size = {study.batch_size: study for study in base.studies if study.decided is not None}
    studies = tuple(
        (study, other)
        for study in curve.studies
        if study.decided is not None
        and (other := by_size.get(study.batch_size)) is not None
        and (study.result.steps is not None or other.result.steps is not None)
    )
    return Comparison(curve=curve, base=base, studies=studies, pairs=ordered(studies))


def _parts(found: Comparison, p: float, comparisons: int) -> Iterator[str]:
    pairs = found.pairs
    yield (
        f"of {pairs.pairs} pairs of trials with the same hyperparameters that the searches ordered, "
        f"{pairs.fewer} needed fewer steps{_verdict(pairs, p, comparisons)}."
    )
    ratio = _ratio(found)
    if ratio is not None:
        yield f"At the best hyperparameters it takes {_with_interval(ratio)} times as many steps."
    yield from _forwarded(found, ratio)
    if _changes_objective(found.curve.curve[2]):
        yield "It minimises something else than the mean loss."


def _verdict(pairs: Ordered, p: float, comparisons: int) -> str:
    if comparisons * pairs.least_p > LEVEL:
        return ", which is too few pairs to hint at a difference"
    corrected = f", corrected for {comparisons} comparisons" if comparisons > 1 else ""
    said = f"(p = {p:.2g}{corrected})"
    if p > LEVEL:
        return f": no difference in steps shown {said}"
    return f": a hint at {'fewer' if pairs.fewer > pairs.more else 'more'} steps {said}"


Ratio = tuple[float, tuple[float, float]]


def _ratio(found: Comparison) -> Ratio | None:
    """Steps at the best hyperparameters over the baseline's, the mean over batch sizes in logs."""
    mine, theirs = found.curve.surface, found.base.surface
    if mine is None or theirs is None:
        return None
    sizes = [s for s in found.sizes if s in mine.batch_sizes and s in theirs.batch_sizes]
    return ratio_of(mine, theirs, sizes) if sizes else None


def _forwarded(found: Comparison, ratio: Ratio | None) -> Iterator[str]:
    """What selection costs; how many examples go forward for each trained on is counted, not estimated."""
    passes = [study.passes for study, _ in found.studies if study.passes is not None]
    if not passes or max(passes) <= 1:
        return
    said = f"It forwards {_range(passes)} examples for each that it trains on"
    known = [(mine, theirs) for mine, theirs in found.studies if mine.passes and theirs.passes]
    if ratio is None or not known:
        yield f"{said}."
        return
    logs = [math.log((mine.passes or 1) / (theirs.passes or 1)) for mine, theirs in known]
    more = math.exp(math.fsum(logs) / len(logs))
    (low, high) = ratio[1]
    yield f"{said}: {_with_interval((more * ratio[0], (more * low, more * high)))} times as many to the goal."


def _with_interval(ratio: Ratio) -> str:
    value, (low, high) = ratio
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"


def _range(values: Sequence[float]) -> str:
    low, high = words.number(float(f"{min(values):.3g}")), words.number(float(f"{max(values):.3g}"))
    return low if low == high else f"{low} to {high}"


def _changes_objective(policy: str) -> bool:
    return policy in POLICIES and make_policy(policy).changes_objective


def _names(found: Comparison, examples: Mapping[str, int]) -> str:
    """Both curves, with the sizes of their subsets if these differ."""
    curves = (found.curve.curve, found.base.curve)
    sizes = [examples.get(subset) for _, subset, _, _ in curves]
    differ = curves[0][1] != curves[1][1]
    said = [
        words.curve(curve) + (f" ({words.number(size)} examples)" if differ and size is not None else "")
        for curve, size in zip(curves, sizes, strict=True)
    ]
    return " against ".join(said)
