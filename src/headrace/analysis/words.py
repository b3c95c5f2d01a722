"""Numbers and names as they are written in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headrace.analysis.studies import Curve
from headrace.training.registry import in_words


def number(value: float) -> str:
    """Three significant digits, thousands apart; whole numbers in full."""
    if math.isinf(value):
        return "no limit"
    # 999.5 has three digits only as a thousand.
    if value == round(value) or abs(value) >= 999.5:
        rounded = value if value == round(value) else float(f"{value:.3g}")
        return f"{round(rounded):,}"
    return f"{value:.3g}"


def interval(ends: tuple[float, float]) -> str:
    """`[low, high]`, with words for an end that is not bounded."""
    low, high = ends
    if low <= 0 and math.isinf(high):
        return "not bounded"
    if math.isinf(high):
        return f"at least {number(low)}"
    return f"at most {number(high)}" if low <= 0 else f"[{number(low)}, {number(high)}]"


def beside(ends: tuple[float, float]) -> str:
    """An interval right after the number that it belongs to."""
    said = interval(ends)
    return said if said.startswith("[") else f"({said})"


def percent(share: float, digits: int = 2) -> str:
    """A share as a percentage to `digits` significant digits, none of them lost: `0.3%`, `12%`, `100%`."""
    return f"{float(f'{100 * share:.{digits}g}'):g}%"


def curve(name: Curve) -> str:
    """What a curve is called: its optimizer, and everything that is not the default."""
    optimizer, subset, policy, workers = name
    parts = [in_words(optimizer)]
    parts += [f"policy {policy}"] if policy != "shuffle" else []
    parts += [f"subset {subset}"] if subset != "full" else []
    parts += [f"{workers} workers"] if workers != 1 else []
    return ", ".join(parts)


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def span(low: float, high: float) -> str:
    """An interval of durations in words; one that is open above is said to be at least its low end."""
    return f"{duration(low)} to {duration(high)}" if math.isfinite(high) else f"at least {duration(low)}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, to three digits."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
