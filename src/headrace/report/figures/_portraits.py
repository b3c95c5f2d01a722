"""Several figures of one kind, where there are more portraits than one figure can show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.analysis.portraits import Reading

TOGETHER = 6
"""The most policies in one figure of lines; of more there are several, each with the first policy."""


def together(readings: Sequence[Reading]) -> list[list[Reading]]:
    """The readings in groups small enough for one figure of lines, the first one in each."""
    if len(readings) <= TOGETHER:
        return [list(readings)] if readings else []
    first, others = readings[0], list(readings[1:])
    return [[first, *others[i : i + TOGETHER - 1]] for i in range(0, len(others), TOGETHER - 1)]


def numbered(name: str, place: int) -> str:
    """`name`, `name-2`, `name-3`, ..."""
    return name if place == 0 else f"{name}-{place + 1}"
