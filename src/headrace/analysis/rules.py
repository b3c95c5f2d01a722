"""Whether a rule could have replaced tuning: what carrying the best setting would have cost.

The best setting at B0, by the surface of all trials of a curve, is carried to every other batch size by a
rule of `headrace.specs.rules`. What it costs there is its steps over those of the best setting that was
searched at that batch size; examples and tokens are in the same ratio. No further training is needed.

One verdict per rule, about the batch size at which it costs most:

- `holds`: at most a fifth more than full tuning, at every batch size (the interval ends there);
- `fails`: more than a fifth more at some batch size;
- `undecided`: the interval has room for both;
- None: nothing is known, because no surface was found or the rule leads out of what was searched.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from headrace import random
from headrace.analysis import _carrying
from headrace.analysis._carrying import Carrying, Setting
from headrace.analysis.curves import CurveFit
from headrace.analysis.regimes import TOLERANCE
from headrace.analysis.rounding import rounded
from headrace.analysis.studies import Curve
from headrace.analysis.surface import Surface
from headrace.analysis.tuned import LOG, ONE_MINUS_LOG, RATE, others_of
from headrace.specs.rules import carried, moves

Verdict = Literal["holds", "fails", "undecided"]
Interval = tuple[float, float]
DRAWS = 4000


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a carried setting costs at one batch size.

    Attributes:
        batch_size: Examples per step.
        setting: The searched hyperparameters, as the rule carries them.
        outside: Those that lie outside of what was searched.
        factor: Steps over those of the best setting that was searched; None if nothing is known.
        interval: Of the factor; open above if that is a lower bound.
        at_least: Whether the factor is a lower bound: something is `outside`, or it is ten or more.
        steps: Steps to the goal at the carried setting.
        steps_interval: Of those.
    """

    batch_size: int
    setting: Mapping[str, float]
    outside: tuple[str, ...]
    factor: float | None
    interval: Interval | None
    steps: float | None
    steps_interval: Interval | None
    at_least: bool = False


@dataclass(frozen=True, kw_only=True)
class Carried:
    """One rule on one curve.

    Attributes:
        curve: Optimizer, subset, policy, workers.
        rule: Its name.
        start: The batch size from which the best setting is carried, B0.
        setting: That setting.
        unmoved: What the rule would carry too, but was not searched: it stays as it is.
        at: Its cost at every other batch size.
        worst: At the batch size where it costs most; None if nothing is known anywhere.
        interval: Of the cost there.
        verdict: See the module.
        reason: Why there is no verdict.
    """

    curve: Curve
    rule: str
    start: int
    setting: Mapping[str, float] = field(default_factory=dict)
    unmoved: tuple[str, ...] = ()
    at: tuple[Cost, ...] = ()
    worst: Cost | None = None
    interval: Interval | None = None
    verdict: Verdict | None = None
    reason: str = ""


def carry(
    curve: CurveFit, rules: Sequence[str], *, start: int | None = None, seed: int = 0, level: float = 0.95
) -> list[Carried]:
    """What each rule would have cost on one curve.

    Args:
        curve: With its surface.
        rules: Names, as in `headrace.specs.rules`.
        start: B0; None for the smallest batch size at which the goal was reached.
        seed: The experiment's seed.
        level: Of the intervals.
    """
    surface, points = curve.surface, curve.points
    sizes = [study.batch_size for study in points]
    first = start if start is not None else points[0].batch_size if points else 0
    if surface is None or first not in sizes or not points:
        reason = _NO_SURFACE if surface is None else f"no trial reached the goal at batch size {first:,}"
        return [Carried(curve=curve.curve, rule=rule, start=first, reason=reason) for rule in rules]
    rng = random.generator(seed, "rules", *map(str, curve.curve))
    scales = others_of(points[0]) or {}
    return judge(
        surface, rules, scales=scales, start=first, rng=rng, curve=curve.curve, sizes=sizes, level=level
    )


def judge(
    surface: Surface,
    rules: Sequence[str],
    *,
    scales: Mapping[str, str],
    start: int,
    rng: np.random.Generator,
    curve: Curve = ("", "", "", 1),
    sizes: Sequence[int] | None = None,
    level: float = 0.95,
) -> list[Carried]:
    """What each rule would have cost, by a surface.

    Args:
        surface: Of the trials.
        rules: Names, as in `headrace.specs.rules`.
        scales: The other hyperparameters that it holds, in order, and the scale of each.
        start: B0, one of its batch sizes.
        rng: Where draws are from.
        curve: What the surface is of.
        sizes: The batch sizes at which the goal was reached; None for all of the surface.
        level: Of the intervals.
    """
    carrying = Carrying.of(surface.fitted, DRAWS, rng, level)
    known = tuple(int(size) for size in surface.batch_sizes if sizes is None or int(size) in sizes)
    return [_Rule(curve, surface, carrying, dict(scales), start, known).judged(rule) for rule in rules]


_NO_SURFACE = (
    "the trials show no surface of the hyperparameters: too few reached the goal, or one of those searched "
    "is on a linear scale or a list"
)


@dataclass(frozen=True)
class _Rule:
    """One curve, from whose surface rules are judged."""

    curve: Curve
    surface: Surface
    carrying: Carrying
    scales: Mapping[str, str]
    start: int
    sizes: tuple[int, ...]

    def judged(self, rule: str) -> Carried:
        """What the rule costs, and the verdict."""
        setting = self._values(_carrying.best(self.surface.fitted, self._place(self.start)))
        known = moves(rule)
        unmoved = tuple(sorted(known.keys() - setting.keys()))
        found = Carried(
            curve=self.curve, rule=rule, start=self.start, setting=_shown(setting), unmoved=unmoved
        )
        if known and len(unmoved) == len(known):
            return replace(found, reason=f"{' and '.join(unmoved)} was not searched")
        costs = [
            self._cost(self._place(size), carried(rule, setting, size / self.start))
            for size in self.sizes
            if size != self.start
        ]
        return replace(found, at=tuple(costs), **verdict_on(costs))

    def _place(self, size: int) -> int:
        return self.surface.batch_sizes.index(float(size))

    def _cost(self, index: int, values: Mapping[str, float]) -> Cost:
        size = int(self.surface.batch_sizes[index])
        impossible = tuple(name for name in values if not math.isfinite(self._log(name, values[name])))
        nothing: dict[str, Any] = dict.fromkeys(("factor", "interval", "steps", "steps_interval"))
        if impossible:
            return Cost(batch_size=size, setting=_shown(values), outside=impossible, **nothing)
        setting, fitted = self._setting(values), self.surface.fitted
        excess = self.carrying.excess(index, setting)
        inside = self._values(_carrying.within(fitted, setting))
        outside = tuple(name for name in values if not math.isclose(inside[name], values[name], rel_tol=1e-9))
        ends = np.quantile(excess.log_steps, [_tail(self.carrying.level), 1 - _tail(self.carrying.level)])
        low, high = np.exp(ends).tolist()
        return Cost(
            batch_size=size,
            setting=_shown(values),
            outside=outside,
            factor=excess.factor,
            interval=excess.interval,
            steps=self.surface.steps[index] * excess.factor,
            steps_interval=(low, high if math.isfinite(excess.interval[1]) else math.inf),
            at_least=excess.bound,
        )

    def _values(self, setting: Setting) -> dict[str, float]:
        """The hyperparameters of a setting."""
        logs = setting.others + self.surface.fitted.mean_others
        values = {
            name: math.exp(log) if scale == LOG else 1 - math.exp(log)
            for (name, scale), log in zip(self.scales.items(), logs.tolist(), strict=True)
        }
        return {RATE: math.exp(setting.rate), **values}

    def _log(self, name: str, value: float) -> float:
        inner = 1 - value if self.scales.get(name) == ONE_MINUS_LOG else value
        # A momentum below 0 is none.
        possible = inner > 0 and not (inner > 1 and self.scales.get(name) == ONE_MINUS_LOG)
        return math.log(inner) if possible else math.nan

    def _setting(self, values: Mapping[str, float]) -> Setting:
        logs = np.array([self._log(name, values[name]) for name in self.scales], np.float64)
        return Setting(rate=self._log(RATE, values[RATE]), others=logs - self.surface.fitted.mean_others)


def verdict_on(costs: Sequence[Cost]) -> dict[str, Any]:
    """Where it costs most, with its interval and the verdict.

    The interval ends at the largest of the low ends and at the largest of the high ends: that of the batch
    size at which the cost is truly largest is among them.
    """
    known = [(cost, cost.factor, cost.interval) for cost in costs if cost.factor and cost.interval]
    if not known:
        return {"reason": "at every batch size it leads out of what was searched"}
    low = max(ends[0] for _, _, ends in known)
    high = math.inf if len(known) < len(costs) else max(ends[1] for _, _, ends in known)
    verdict = "fails" if low > 1 + TOLERANCE else "holds" if high <= 1 + TOLERANCE else "undecided"
    worst = max(known, key=lambda one: one[1])[0]
    return {"worst": worst, "interval": (low, high), "verdict": verdict}


def _tail(level: float) -> float:
    return (1 - level) / 2


def _shown(values: Mapping[str, float]) -> dict[str, float]:
    """Three digits, of what is 1 less them for a momentum: no more of an optimum are worth copying."""
    return {name: _three(value) for name, value in values.items()}


def _three(value: float) -> float:
    return 1 - float(f"{1 - value:.3g}") if 0.5 < value < 1 else float(f"{value:.3g}")


def to_dict(found: Carried, tokens: float | None) -> dict[str, Any]:
    """As in results.json: in examples, and in tokens if they are the unit; infinite ends are None."""
    names = dict(zip(("optimizer", "subset", "policy", "workers"), found.curve, strict=True))
    worst = found.worst
    return {
        **names,
        "rule": found.rule,
        "from": found.start,
        "setting": dict(found.setting),
        "unmoved": list(found.unmoved),
        "verdict": found.verdict,
        "reason": found.reason or None,
        "worst": None
        if worst is None
        else {
            "batch_size": worst.batch_size,
            "factor": rounded(worst.factor),
            "interval": _ends(found.interval),
        },
        "at": [_cost_to_dict(cost, tokens) for cost in found.at],
    }


def _cost_to_dict(cost: Cost, tokens: float | None) -> dict[str, Any]:
    units = {"examples": 1.0} | ({} if tokens is None else {"tokens": tokens})
    size = cost.batch_size
    return {
        "batch_size": size,
        "setting": dict(cost.setting),
        "outside": list(cost.outside),
        "at_least": cost.at_least,
        "factor": rounded(cost.factor),
        "interval": _ends(cost.interval),
        **{
            key: value
            for unit, worth in units.items()
            for key, value in (
                (f"{unit}_to_result", None if cost.steps is None else _four(cost.steps * size * worth)),
                (f"{unit}_interval", _ends(cost.steps_interval, size * worth)),
            )
        },
    }


def _ends(ends: Interval | None, times: float = 1.0) -> list[float | None] | None:
    return None if ends is None else [_four(end * times) for end in ends]


def _four(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
