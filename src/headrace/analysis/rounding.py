"""Numbers as they are stored: as many digits as every machine agrees on."""

from __future__ import annotations

import math
from typing import Any

DIGITS = 6
"""Significant digits of what is computed: beyond them, platforms may differ."""


def rounded(value: Any) -> Any:
    """Floats to `DIGITS` significant digits, and null where they are not finite; tuples as lists."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value
