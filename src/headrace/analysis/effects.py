"""What made a difference in a grid: each level of each axis, and which gains add up, with corrected verdicts.

Every contrast is read off the joint model (`headrace.analysis.joint`), averaged over all configurations and
batch sizes at which both of its sides were tried. Those that are reported together are corrected together
(Holm): the probability that any of them is called a difference where none is, is at most 5% for the whole
report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from headrace.analysis.correction import holm, holm_levels
from headrace.analysis.joint import Estimate, Joint, Levels, Place, Quantity
from headrace.analysis.power import detectable_difference

Verdict = Literal["less", "more", "no difference shown"]
Side = tuple[tuple[str, str, str], ...]
"""(axis, level, the level it is compared with): one for a level, two for an interaction."""

Asked = tuple[Quantity, Side, list[Place]]

KINDS: dict[Quantity, str] = {
    "steps": "steps to the goal",
    "fewest": "fewest possible steps",
    "critical": "critical batch size",
}
"""What is compared -> how it is written."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One contrast: how many times a quantity is multiplied.

    Attributes:
        what: The quantity.
        side: What is compared.
        ratio: Of a level: the quantity relative to that of the level it is compared with. Of an
            interaction: by how much the two levels together differ from the product of the ratios of each
            alone; 1: the gains add up.
        interval: Of the ratio, at the level at which Holm's procedure tests it: it leaves out 1 exactly
            where a difference is shown, and covers at least at 95% by itself.
        p_adjusted: Holm's p-value.
        verdict: What is shown.
        detectable: The factor (above 1) that would have been shown four times in five.
        configurations: Over how many configurations of the other axes it is averaged.
        batch_sizes: Those at which both sides were tried.
    """

    what: Quantity
    side: Side
    ratio: float
    interval: tuple[float, float]
    p_adjusted: float
    verdict: Verdict
    detectable: float
    configurations: int
    batch_sizes: tuple[float, ...]

    @property
    def shown(self) -> bool:
        """Whether it is a finding."""
        return self.verdict != "no difference shown"

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that it is about."""
        return tuple(axis for axis, _, _ in self.side)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        sides = [{"axis": axis, "level": level, "against": base} for axis, level, base in self.side]
        return {
            "what": self.what,
            "of": sides,
            "ratio": self.ratio,
            "interval": [*self.interval],
            "p_adjusted": self.p_adjusted,
            "verdict": self.verdict,
            "detectable_ratio": self.detectable,
            "configurations": self.configurations,
            "batch_sizes": [*self.batch_sizes],
        }


def find_effects(
    joint: Joint,
    baselines: Levels,
    *,
    besides: Sequence[tuple[str, str, str]] = (),
    level: float = 0.95,
) -> tuple[Effect, ...]:
    """All effects of a grid: each level against its axis's baseline, and each pair that the model has.

    Args:
        joint: The fitted model.
        baselines: Axis -> the level that others are compared with.
        besides: Further (axis, level, other level) to compare: a chosen subset with a random one as large.
        level: Of the verdicts together.
    """
    asked: list[Asked] = [
        (what, side, places)
        for side in _sides(joint, baselines, besides)
        for what, places in _contrasts(joint, side)
    ]
    found = [joint.estimate(what, places) for what, _, places in asked]
    p_values = [_p(one.value, one.error, joint.freedom) for one in found]
    adjusted, alphas = holm(p_values), holm_levels(p_values, 1 - level)
    return tuple(
        _effect(one, joint, estimate, p, alpha)
        for one, estimate, p, alpha in zip(asked, found, adjusted, alphas, strict=True)
    )


def _p(value: float, error: float, freedom: float) -> float:
    from scipy.special import stdtr

    return 2 * float(stdtr(freedom, -abs(value) / error)) if error > 0 else float(value == 0)


def _effect(asked: Asked, joint: Joint, found: Estimate, p: float, alpha: float) -> Effect:
    from scipy.special import stdtrit

    (what, side, places), value, error = asked, found.value, found.error
    half = error * float(stdtrit(joint.freedom, 1 - alpha / 2))
    shown = abs(value) > half
    return Effect(
        what=what,
        side=side,
        ratio=math.exp(value),
        interval=(math.exp(value - half), math.exp(value + half)),
        p_adjusted=p,
        verdict=("less" if value < 0 else "more") if shown else "no difference shown",
        detectable=math.exp(detectable_difference(error, joint.freedom, alpha, estimated=True)),
        configurations=len({_key(levels) for levels, _, _ in places}) // 2 ** len(side),
        batch_sizes=tuple(sorted({batch for _, batch, _ in places})),
    )


def _key(levels: Levels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(levels.items()))


def _sides(joint: Joint, baselines: Levels, besides: Sequence[tuple[str, str, str]]) -> Iterator[Side]:
    """Levels of one axis after the other, then pairs of levels that the model can distinguish."""
    alone = [term.parts[0] for term in joint.terms if len(term.parts) == 1]
    for axis, base in baselines.items():
        yield from (((axis, level, base),) for name, level in alone if name == axis)
        yield from (((axis, level, other),) for name, level, other in besides if name == axis)
    for term in joint.terms:
        if len(term.parts) == 2:
            yield tuple((axis, level, baselines[axis]) for axis, level in term.parts)


def _contrasts(joint: Joint, side: Side) -> Iterator[tuple[Quantity, list[Place]]]:
    """What can be said of a side: steps, and the two ends of its curves where each corner has a curve."""
    steps, curves = list[Place](), list[Place]()
    for corners, sizes in _contexts(joint, side):
        for sign, levels in corners:
            steps += [(levels, batch, float(sign)) for batch in sizes]
            if _curved(joint, corners):
                curves.append((levels, sizes[0], float(sign)))
    if steps:
        yield "steps", _averaged(steps, len(side))
    if curves:
        ends: tuple[Quantity, ...] = ("fewest", "critical") if len(side) == 1 else ("critical",)
        for end in ends:
            yield end, _averaged(curves, len(side))


def _averaged(places: Sequence[Place], order: int) -> list[Place]:
    count = len(places) / 2**order
    return [(levels, batch, weight / count) for levels, batch, weight in places]


def _curved(joint: Joint, corners: Sequence[tuple[int, Levels]]) -> bool:
    return all(
        term.curved for term in joint.terms for _, levels in corners if term.parts and term.holds(levels)
    )


def _contexts(joint: Joint, side: Side) -> Iterator[tuple[list[tuple[int, Levels]], list[float]]]:
    """Per configuration of the other axes: the corners with their signs, and the sizes that all share."""
    there: dict[tuple[tuple[str, str], ...], set[float]] = {}
    for point in joint.points:
        there.setdefault(_key(point.levels), set()).add(point.batch_size)
    axes = {axis for axis, _, _ in side}
    rests = dict.fromkeys(
        tuple((axis, level) for axis, level in point.levels.items() if axis not in axes)
        for point in joint.points
    )
    for rest in rests:
        corners = list(_corners(dict(rest), side))
        tried = [there.get(_key(levels), set[float]()) for _, levels in corners]
        if sizes := sorted(set.intersection(*tried)):
            yield corners, sizes


def _corners(rest: Mapping[str, str], side: Side) -> Iterator[tuple[int, Levels]]:
    """All choices of the level (+) or the one it is compared with (-) on each axis of the side."""
    for count in range(len(side), -1, -1):
        for taken in combinations(range(len(side)), count):
            chosen = {axis: level if i in taken else base for i, (axis, level, base) in enumerate(side)}
            yield (-1) ** (len(side) - count), {**rest, **chosen}
