"""What a claim is, and how it is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Row:
    """One claim in one world.

    Attributes:
        claim: What is claimed.
        world: Where.
        found: The share of simulated experiments, or another number, that came out.
        error: Its Monte Carlo standard error.
        least: At least this is asked; None if nothing is.
        most: At most this is asked.
        detail: Another number worth seeing, for example the width of the interval.
    """

    claim: str
    world: str
    found: float
    error: float
    least: float | None = None
    most: float | None = None
    detail: str = ""

    @property
    def holds(self) -> bool:
        """Whether it keeps to what is asked, give or take two Monte Carlo errors."""
        low = self.least is None or self.found >= self.least - 2 * self.error
        return low and (self.most is None or self.found <= self.most + 2 * self.error)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return vars(self) | {"holds": self.holds}


Claim = Callable[[np.random.Generator, int], list[Row]]


def share(hits: np.ndarray) -> tuple[float, float]:
    """A share and its Monte Carlo error; never 0, since no simulation is certain."""
    count, found = hits.size, float(hits.mean())
    smoothed = (hits.sum() + 1) / (count + 2)
    return found, math.sqrt(smoothed * (1 - smoothed) / count)


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| claim | world | asked | found | |", "|---|---|---:|---:|---|"]
    for row in rows:
        asked = " to ".join(f"{end:g}" for end in (row.least, row.most) if end is not None)
        sign = (
            "≤ " if row.least is None and row.most is not None else "≥ " if row.most is None and asked else ""
        )
        found = f"{row.found:.3f} ± {row.error:.3f}"
        shown = found if row.holds else f"**{found}**"
        lines.append(f"| {row.claim} | {row.world} | {sign}{asked} | {shown} | {row.detail} |")
    return "\n".join(lines) + "\n"
