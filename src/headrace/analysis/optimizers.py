"""How many times the examples (or tokens) of one optimizer another takes to the goal, at each batch size.

T_AdamW(B) / T_Muon(B), both at their best hyperparameters by the surfaces of all their trials, and how that
ratio changes from the smallest to the largest batch size that both were tuned at (Essential AI 2025 [V] find
it above 1 for Muon, and not decreasing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headrace.analysis import words
from headrace.analysis.curves import CurveFit
from headrace.analysis.rounding import rounded
from headrace.analysis.surface import ratio_change, ratio_of
from headrace.training.registry import in_words

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A ratio at one batch size."""

    batch_size: int
    value: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class Ratios:
    """One optimizer against the first of the grid, equal in all else.

    Attributes:
        first: The first optimizer: above the line.
        other: The other.
        rest: Subset, policy, workers.
        at: The ratio T_first(B) / T_other(B) at each batch size of both, by its surface.
        change: The ratio at the largest of these over that at the smallest, with its interval; None for one.
    """

    first: str
    other: str
    rest: tuple[str, str, int]
    at: tuple[Ratio, ...]
    change: tuple[float, Interval] | None

    def to_dict(self) -> dict[str, Any]:
        """As in results.json."""
        subset, policy, workers = self.rest
        return rounded(
            {
                "optimizers": [self.first, self.other],
                "subset": subset,
                "policy": policy,
                "workers": workers,
                "ratios": [
                    {"batch_size": one.batch_size, "ratio": one.value, "interval": one.interval}
                    for one in self.at
                ],
                "change": None
                if self.change is None
                else {"ratio": self.change[0], "interval": self.change[1]},
            }
        )


def ratios_of(curves: Sequence[CurveFit]) -> list[Ratios]:
    """Every optimizer against the first that shares its subset, policy and workers; by surfaces alone."""
    families: dict[tuple[str, str, int], list[CurveFit]] = {}
    for curve in curves:
        families.setdefault(curve.curve[1:], []).append(curve)
    return [
        found
        for members in families.values()
        for other in members[1:]
        if (found := _ratios(members[0], other)) is not None
    ]


def _ratios(first: CurveFit, other: CurveFit) -> Ratios | None:
    mine, theirs = first.surface, other.surface
    if mine is None or theirs is None:
        return None
    reached = [{float(study.batch_size) for study in one.points} for one in (first, other)]
    both = {*mine.batch_sizes} & {*theirs.batch_sizes} & reached[0] & reached[1]
    sizes = sorted(both)
    if not sizes:
        return None
    found = [(size, *ratio_of(mine, theirs, [size])) for size in sizes]
    return Ratios(
        first=first.curve[0],
        other=other.curve[0],
        rest=first.curve[1:],
        at=tuple(Ratio(batch_size=int(size), value=value, interval=ends) for size, value, ends in found),
        change=ratio_change(mine, theirs, sizes[0], sizes[-1]) if sizes[1:] else None,
    )


def say_ratios(found: Sequence[Ratios], unit: str) -> list[str]:
    """A sentence about each.

    Args:
        found: The ratios.
        unit: "examples" or "tokens".
    """
    return [_said(one, unit) for one in found]


def _said(one: Ratios, unit: str) -> str:
    first, other = in_words(one.first, first=True), in_words(one.other)
    _, *rest = words.curve(("", *one.rest)).split(", ")
    where = f" ({', '.join(rest)})" if rest else ""
    ends = [*one.at[:1], *one.at[1:][-1:]]
    parts = [
        f"{words.number(ratio.value)} {words.interval(ratio.interval)} at batch size "
        f"{words.number(ratio.batch_size)}"
        for ratio in ends
    ]
    text = (
        f"{first} takes {words.listed(parts)} times the {unit} of {other} to the goal{where}, "
        "each at its best hyperparameters (95% intervals)."
    )
    if one.change is None:
        return text
    value, (low, high) = one.change
    trend = "grows with" if low > 1 else "falls with" if high < 1 else "is not shown to change with"
    factor = f"{words.number(value)} {words.interval((low, high))}"
    return (
        f"{text} The ratio {trend} the batch size: from the smallest to the largest by a factor of {factor}."
    )
