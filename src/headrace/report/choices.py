"""A choice of batch size and workers, as a page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One option: a batch size on some workers.

    Attributes:
        curve: The optimiser, and what else is not the default, with the number of workers.
        batch_size: Examples per step, over all workers.
        workers: How many.
        steps: Steps to the goal.
        seconds: Time to the goal.
        interval: Its interval; infinite where it may not be reached.
        seconds_per_step: The step time.
        measured: Whether that was measured.
        frontier: Whether no other option is as good in time and in cost and better in one.
        best_as: The aims for which it is the best.
    """

    curve: str
    batch_size: int
    workers: int
    steps: float
    seconds: float
    interval: tuple[float, float]
    seconds_per_step: float
    measured: bool
    frontier: bool
    best_as: tuple[str, ...]
