"""What the rules across batch sizes cost, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headrace.analysis import words
from headrace.analysis.regimes import TOLERANCE
from headrace.analysis.rules import Carried, Cost


def say_rules(found: Sequence[Carried], unit: str) -> list[str]:
    """A sentence for each rule on each curve: what it costs at its worst, and the verdict.

    Args:
        found: The rules.
        unit: "examples" or "tokens".
    """
    return [_said(one, unit) for one in found]


def _said(one: Carried, unit: str) -> str:
    name = f"{words.curve(one.curve)}, rule {one.rule}"
    worst, ends = one.worst, one.interval
    if worst is None or ends is None:
        return f"{name}: it cannot be judged, because {one.reason}."
    stays = f" ({words.listed(one.unmoved)} stays: it was not searched)" if one.unmoved else ""
    factor = words.number(float(f"{worst.factor or 1.0:.3g}"))
    at_least = "at least " if worst.at_least else ""
    return (
        f"{name}: carrying the best setting of batch size {words.number(one.start)}{stays} costs "
        f"{at_least}{factor} times the {unit} of full tuning at batch size {words.number(worst.batch_size)}, "
        f"where it costs most (95% interval {_interval(ends)}): {_VERDICTS[one.verdict or 'undecided']}."
        f"{_outside(one.at)}"
    )


_VERDICTS = {
    "holds": f"it holds within {TOLERANCE:.0%}",
    "fails": f"it does not hold within {TOLERANCE:.0%}",
    "undecided": f"whether it holds within {TOLERANCE:.0%} is not decided",
}


def _interval(ends: tuple[float, float]) -> str:
    low, high = ends
    return f"{low:.3g} or more" if math.isinf(high) else f"[{low:.3g}, {high:.3g}]"


def _outside(costs: Sequence[Cost]) -> str:
    """Where the carried setting lies outside of what was searched."""
    sizes = [words.number(cost.batch_size) for cost in costs if cost.outside]
    names = sorted({name for cost in costs for name in cost.outside})
    if not sizes:
        return ""
    return (
        f" At batch size {words.listed(sizes)} the carried {words.listed(names)} is outside of the searched "
        "space, so that what it costs there is at least what was seen."
    )
