"""Numbers as a reader writes them, and the ticks of logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Sequence


def plain(value: float | None, digits: int = 3) -> str:
    """A number to `digits` significant digits, without exponents: `1,234`, `0.0125`; a dash for none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def whole(value: float | None) -> str:
    """A count with thousands separators, a dash for none."""
    return plain(value) if value is None or not math.isfinite(value) else f"{round(value):,}"


def short(count: int) -> str:
    """A batch size on an axis: 512 as it is, 1024 as `1k`; only exact multiples of 1024 are shortened."""
    return f"{count // 1024}k" if count >= 1024 and count % 1024 == 0 else str(count)


def binary_ticks(low: float, high: float, most: int) -> list[int]:
    """At most `most` powers of two within [low, high], evenly spaced in the logarithm.

    Args:
        low: Lower end, positive.
        high: Upper end.
        most: The largest number of ticks that have room; at least 2.

    Returns:
        The ticks, ascending; the spacing is the smallest power that fits.
    """
    first, last = max(0, math.ceil(math.log2(low) - 1e-9)), math.floor(math.log2(high) + 1e-9)
    stride = max(1, math.ceil((last - first + 1) / max(2, most)))
    return [2**exponent for exponent in range(first, last + 1, stride)]


def decimal_ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` round numbers within [low, high] for a logarithmic axis.

    Of the families 1-2-5, 1-3, 1, and every second, third, .. power of ten, the densest that fits.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    families: list[tuple[Sequence[int], int]] = [((1, 2, 5), 1), ((1, 3), 1)]
    families += [((1,), stride) for stride in range(1, last - first + 2)]
    ticks: list[float] = []
    for mantissas, stride in families:
        powers = [power for power in range(first, last + 1) if power % stride == 0]
        ticks = [float(f"{m}e{power}") for power in powers for m in mantissas]
        ticks = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(ticks) <= most:
            return ticks
    return ticks[:most]


def linear_ticks(low: float, high: float, most: int, *, integers: bool = False) -> list[float]:
    """At most `most` (at least 2) round numbers within [low, high]: multiples of 1, 2, 2.5 or 5 times 10^n.

    Args:
        low: Lower end.
        high: Upper end, greater.
        most: The largest number of ticks that have room.
        integers: Whole numbers only.
    """
    rough = (high - low) / max(1, max(2, most) - 1)
    power = math.floor(math.log10(rough))
    steps = [m * 10.0**p for p in (power, power + 1) for m in (1, 2, 2.5, 5)]
    for step in (s for s in steps if not integers or s == round(s)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= max(2, most):
            return [round(place * step, 12) for place in range(first, last + 1)]
    return [low, high]
