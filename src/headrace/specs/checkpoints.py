"""When checkpoints of a training are taken."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from headrace.specs.limits import FEW, Checkpoints

if TYPE_CHECKING:
    pass


Share = Annotated[float, Field(gt=0, le=1)]


Shares = Annotated[tuple[Share, ...], Field(strict=False, min_length=1), FEW]


Schedule = Checkpoints | Shares
"""How many, spread over the second half of a training, or the shares of it after which they are taken."""


def shares(schedule: Schedule) -> tuple[float, ...]:
    """The shares of a training after which a checkpoint is taken; of a number, the last is the end."""
    if isinstance(schedule, int):
        return tuple(0.5 + 0.5 * (place + 1) / schedule for place in range(schedule))
    return schedule


def steps(schedule: Schedule, evaluated: Sequence[int]) -> frozenset[int]:
    """When a trial's weights are kept: the first evaluated step at or after each share of the budget.

    Args:
        schedule: The schedule.
        evaluated: The evaluated steps, rising; the last is the budget.
    """
    wanted = [share * evaluated[-1] for share in shares(schedule)]
    return frozenset(evaluated[min(bisect_left(evaluated, least), len(evaluated) - 1)] for least in wanted)
