"""Each policy against plain shuffling at each batch size, claiming no more than was measured.

One search per cell has no seeds to replicate it. What it has is the interval of best-of-K: how much the
result would vary had other trials been drawn. Intervals that overlap show no difference. Intervals that are
apart are a hint: all policies of an experiment try the same hyperparameters trial by trial, so between two
equal policies each of the `rank` trials that one must be ahead with is ahead by the toss of a coin, and they
come apart, in either direction, with probability at most 2^(1 - rank) [D]. The sentences say so, and how many
comparisons were made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from headrace.analysis import words
from headrace.analysis.curves import CurveFit
from headrace.analysis.studies import Study
from headrace.policies import POLICIES, make_policy
from headrace.specs.interval import interval_rank

BASELINE = "shuffle"
Verdict = Literal["fewer", "more", "no difference shown"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A policy against the baseline at one batch size.

    Attributes:
        study: The policy's.
        base: The baseline's.
        verdict: Whether the policy's interval of steps is wholly below or above the baseline's.
    """

    study: Study
    base: Study
    verdict: Verdict

    @property
    def forwarded(self) -> float | None:
        """Examples forwarded to the goal, relative to the baseline's; None where one did not reach it."""
        mine, theirs = self.study.to_result, self.base.to_result
        return mine.forwarded / theirs.forwarded if mine and theirs and theirs.forwarded else None

    @property
    def passes(self) -> float | None:
        """Examples forwarded for each one trained on, to the goal; None where it was not reached."""
        return self.study.passes

    @property
    def chance(self) -> float:
        """At most how often equal policies would come apart."""
        counted = min(self.study.result.counted, self.base.result.counted)
        return min(1.0, 2.0 ** (1 - interval_rank(counted))) if counted else 1.0


def verdict(study: Study, base: Study) -> Verdict:
    """Of one study against another, by their intervals of steps to result."""
    mine, theirs = _interval(study), _interval(base)
    if mine[1] < theirs[0]:
        return "fewer"
    return "more" if theirs[1] < mine[0] else "no difference shown"


def _interval(study: Study) -> tuple[float, float]:
    """Where it is open, and where the goal was not reached, infinite."""
    result = study.result
    return (
        math.inf if result.steps is None else result.steps,
        math.inf if result.high is None else result.high,
    )


def against_shuffle(curves: Sequence[CurveFit]) -> list[tuple[CurveFit, CurveFit]]:
    """Each curve of another policy, with the curve of plain shuffling that is otherwise like it."""
    plain = {_like(curve): curve for curve in curves if curve.curve[2] == BASELINE}
    return [
        (curve, plain[_like(curve)])
        for curve in curves
        if curve.curve[2] != BASELINE and _like(curve) in plain
    ]


def _like(curve: CurveFit) -> tuple[str, str, int]:
    optimizer, subset, _, workers = curve.curve
    return optimizer, subset, workers


def cells(curve: CurveFit, base: CurveFit) -> list[Cell]:
    """The batch sizes at which both are decided and at least one reached the goal."""
    by_size = {study.batch_size: study for study in base.studies if study.decided is not None}
    pairs = [
        (s, by_size[s.batch_size]) for s in curve.studies if s.decided is not None and s.batch_size in by_size
    ]
    return [
        Cell(study=study, base=other, verdict=verdict(study, other))
        for study, other in pairs
        if study.result.steps is not None or other.result.steps is not None
    ]


def conclude_policies(curves: Sequence[CurveFit]) -> list[str]:
    """One sentence or more for each policy except shuffling, and what the comparisons are worth."""
    compared = [(curve, base, cells(curve, base)) for curve, base in against_shuffle(curves)]
    found = [_sentence(curve, base, row) for curve, base, row in compared if row]
    every = [cell for _, _, row in compared for cell in row]
    return [*found, worth(every, compared="of a policy with shuffle", equal="policies")] if every else []


def _sentence(curve: CurveFit, base: CurveFit, row: Sequence[Cell]) -> str:
    return f"{words.curve(curve.curve)} against {words.curve(base.curve)}: {' '.join(parts(curve, row))}"


def parts(curve: CurveFit, row: Sequence[Cell]) -> Iterator[str]:
    """What the comparisons of a curve with its baseline, one per batch size, come to."""
    alike = [cell for cell in row if cell.verdict == "no difference shown"]
    if alike:
        yield f"no difference in steps shown at {_sizes(alike)}."
    for way in ("fewer", "more"):
        apart = [cell for cell in row if cell.verdict == way]
        if apart:
            said = f"{way} steps at {_sizes(apart)}, where the intervals do not overlap"
            yield f"{said[0].upper() + said[1:] if alike else said} (a hint, see below)."
    forwarded = [cell.forwarded for cell in row if cell.forwarded is not None]
    passes = [cell.passes for cell in row if cell.passes is not None]
    if forwarded and passes:
        yield f"To the goal it forwarded {_times(forwarded)} as many examples{_each(passes)}."
    if _changes_objective(curve.curve[2]):
        yield "It minimises something else than the mean loss."


def _each(passes: Sequence[float]) -> str:
    return f", {_range(passes)} for each that it trained on" if max(passes) > 1 else ""


def _times(values: Sequence[float]) -> str:
    return f"{_range(values)} times"


def _range(values: Sequence[float]) -> str:
    low, high = words.number(float(f"{min(values):.3g}")), words.number(float(f"{max(values):.3g}"))
    return low if low == high else f"{low} to {high}"


def _sizes(row: Sequence[Cell]) -> str:
    sizes = [words.number(cell.study.batch_size) for cell in row]
    return f"batch size{'s' if len(sizes) > 1 else ''} {words.listed(sizes)}"


def _changes_objective(policy: str) -> bool:
    return policy in POLICIES and make_policy(policy).changes_objective


def worth(row: Sequence[Cell], *, compared: str, equal: str) -> str:
    """How many comparisons came apart, and how many would between equals."""
    chance, apart = (
        max(cell.chance for cell in row),
        sum(cell.verdict != "no difference shown" for cell in row),
    )
    return (
        f"{apart} of {len(row)} comparisons {compared} came apart; of {len(row)} between equal "
        f"{equal} up to {words.number(round(chance * len(row), 1))} would. Each is one search without "
        "repeated seeds: to show a difference, train the best setting of each with several seeds and use "
        "headrace compare."
    )
