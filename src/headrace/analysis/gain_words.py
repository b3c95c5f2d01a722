"""Whether the gradient noise under a policy's own sampling predicted its gain: a line of the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.analysis import words
from headrace.analysis.gain import Predicted
from headrace.analysis.joint import Joint, Levels

UNIFORM = frozenset({"shuffle", "uniform"})
"""Policies whose sampling is the one that predictions compare with."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """A prediction next to what was measured: logarithms of ratios of steps, and their standard errors."""

    policy: str
    batch_size: float
    predicted: Predicted
    measured: float
    error: float

    @property
    def off(self) -> float:
        """By how many standard errors they differ."""
        low, high = self.predicted.interval
        own = math.log(max(high, 1e-9) / max(low, 1e-9)) / (2 * 1.96)
        return abs(self.measured - math.log(self.predicted.ratio)) / math.hypot(self.error, own)

    def text(self, quantile: float) -> str:
        """Both numbers with their intervals, and the batch size."""
        ends = [math.exp(self.measured + sign * quantile * self.error) for sign in (-1, 1)]
        return (
            f"{_three(self.predicted.ratio)} {_ends(self.predicted.interval)} times the steps at batch size "
            f"{words.number(self.batch_size)} (measured: {_three(math.exp(self.measured))} {_ends(ends)})"
        )


def held(joint: Joint, baselines: Levels, predicted: Sequence[Predicted]) -> dict[str, list[Held]]:
    """Policy -> its predictions next to the model's ratios, by batch size, all else as in the baseline.

    Args:
        joint: The model of the replicates.
        baselines: The axes that vary -> the level that others are compared with.
        predicted: The predictions.
    """
    if baselines.get("policy") not in UNIFORM:
        return {}
    there = {(_key(point.levels), point.batch_size) for point in joint.points}
    found: dict[str, list[Held]] = {}
    for one in sorted(predicted, key=lambda one: one.study.configuration.batch_size):
        levels, size = levels_of(one, baselines), float(one.study.configuration.batch_size)
        base = {**levels, "policy": baselines["policy"]}
        alone = all(levels[axis] == base for axis, base in baselines.items() if axis != "policy")
        both = (_key(levels), size) in there and (_key(base), size) in there
        if alone and both and levels["policy"] not in UNIFORM:
            estimate = joint.estimate("steps", [(levels, size, 1.0), (base, size, -1.0)])
            found.setdefault(levels["policy"], []).append(
                Held(
                    policy=levels["policy"],
                    batch_size=size,
                    predicted=one,
                    measured=estimate.value,
                    error=estimate.error,
                )
            )
    return found


def levels_of(predicted: Predicted, axes: Mapping[str, str]) -> dict[str, str]:
    """The level of a predicted study on each of these axes."""
    c = predicted.study.configuration
    every = {
        "optimizer": predicted.study.optimizer,
        "policy": c.policy,
        "subset": c.subset,
        "workers": str(c.workers),
    }
    return {axis: every[axis] for axis in axes}


def said(joint: Joint, baselines: Levels, predicted: Sequence[Predicted]) -> str | None:
    """The line: of the policy of which most is known, at its smallest and largest batch size; None: nothing.

    Refuted if the two differ at either end by more than both allow, corrected for all that was compared.
    Confirmed if they do not, and a gain was both predicted and measured at the smallest batch size.
    """
    from scipy.special import stdtrit

    ends = {policy: (some[0], some[-1]) for policy, some in held(joint, baselines, predicted).items()}
    if not ends:
        return None
    strict = float(stdtrit(joint.freedom, 1 - 0.025 / (2 * len(ends))))
    quantile = float(stdtrit(joint.freedom, 0.975))
    refuted = [pair for pair in ends.values() if max(one.off for one in pair) > strict]
    confirmed = [
        pair
        for pair in ends.values()
        if pair not in refuted
        and pair[0].predicted.interval[1] < 1
        and pair[0].measured + strict * pair[0].error < 0
    ]
    for verdict, pairs in (("refuted", refuted), ("confirmed", confirmed)):
        if pairs:
            first, last = max(pairs, key=lambda pair: pair[0].off if verdict == "refuted" else -pair[0].off)
            more = f" ({len(pairs) - 1} more in the figure)" if len(pairs) > 1 else ""
            then = "" if first is last else f"; {last.text(quantile)}"
            numbers = f"{first.text(quantile)}{then}{more}"
            return f"Predicted from gradient noise, {verdict} for {first.policy}: {numbers}."
    return None


def _key(levels: Levels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(levels.items()))


def _three(value: float) -> str:
    return words.number(float(f"{value:.3g}"))


def _ends(ends: Sequence[float]) -> str:
    return words.interval((float(f"{ends[0]:.3g}"), float(f"{ends[1]:.3g}")))
