"""Each subset of the grid against the whole training set, and against chance: a random subset as large.

What a comparison of two searches can show is said in `policy_verdicts`: all subsets of an experiment try the
same hyperparameters trial by trial, as all policies do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from headrace.analysis import words
from headrace.analysis.curves import CurveFit
from headrace.analysis.policy_verdicts import cells, parts, worth
from headrace.specs.studies import FULL
from headrace.specs.subset_names import is_random

AS_LARGE = 0.1
"""Two subsets are as large as each other where their sizes differ by at most this share of the larger one."""


def conclude_subsets(curves: Sequence[CurveFit], examples: Mapping[str, int]) -> list[str]:
    """One sentence or more for each pair, and what the comparisons are worth.

    Args:
        curves: The experiment's curves.
        examples: Subset -> its size.
    """
    compared = [(curve, base, cells(curve, base)) for curve, base in pairs(curves, examples)]
    found = [
        f"{_name(curve, examples)} against {_name(base, examples)}: {' '.join(parts(curve, row))}"
        for curve, base, row in compared
        if row
    ]
    every = [cell for _, _, row in compared for cell in row]
    return (
        [*found, worth(every, compared="of a subset with another or with everything", equal="subsets")]
        if every
        else []
    )


def pairs(curves: Sequence[CurveFit], examples: Mapping[str, int]) -> Iterator[tuple[CurveFit, CurveFit]]:
    """Each curve on a subset with the curve on everything, then with those on random subsets as large."""
    for curve in curves:
        if curve.curve[1] == FULL:
            continue
        like = [other for other in curves if _like(other) == _like(curve)]
        yield from ((curve, other) for other in like if other.curve[1] == FULL)
        if not is_random(curve.curve[1]):
            yield from ((curve, other) for other in like if _chance(curve, other, examples))


def _chance(curve: CurveFit, other: CurveFit, examples: Mapping[str, int]) -> bool:
    if not is_random(other.curve[1]):
        return False
    mine, theirs = examples.get(curve.curve[1], 0), examples.get(other.curve[1], 0)
    return abs(mine - theirs) <= AS_LARGE * max(mine, theirs)


def _like(curve: CurveFit) -> tuple[str, str, int]:
    optimizer, _, policy, workers = curve.curve
    return optimizer, policy, workers


def _name(curve: CurveFit, examples: Mapping[str, int]) -> str:
    size = examples.get(curve.curve[1])
    return words.curve(curve.curve) + ("" if size is None else f" ({words.number(size)} examples)")
