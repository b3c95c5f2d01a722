"""Examples at the ends of a column of numbers, such as a score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float, Int64

if TYPE_CHECKING:
    pass


SHOWN = 12
"""Examples shown in a group."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """A group to be shown: the examples at one end of a column.

    Attributes:
        name: The group's name.
        column: The column.
        end: Which end comes first.
        above: Only examples whose number is greater than this; None for any.
    """

    name: str
    column: str
    end: Literal["highest", "lowest"]
    above: float | None = None


PREDICTIONS = (
    Ranking(name="suspicious", column="aum", end="lowest"),
    Ranking(name="hardest", column="mean_loss", end="highest"),
    Ranking(name="forgotten", column="transitions", end="highest", above=0.0),
)
"""The groups of a history of predictions."""


LOSSES = (
    Ranking(name="hardest", column="mean_loss", end="highest"),
    Ranking(name="unsteady", column="loss_variance", end="highest"),
)
"""The groups of a history of losses."""


def extremes(
    values: Float[np.ndarray, " examples"],
    count: int,
    *,
    end: Literal["highest", "lowest"],
    among: Bool[np.ndarray, " examples"] | None = None,
) -> Int64[np.ndarray, " found"]:
    """The `count` examples at one end of `values`, the outermost first; of equals the lowest index."""
    keys = -values if end == "highest" else values
    places = np.arange(len(values)) if among is None else np.flatnonzero(among)
    return places[np.argsort(keys[places], kind="stable")[:count]].astype(np.int64)


def rank(ranking: Ranking, columns: Mapping[str, np.ndarray], count: int = SHOWN) -> np.ndarray:
    """The examples of a group, only from those that were trained on at all."""
    values = columns[ranking.column]
    among = columns["count"] > 0
    if ranking.above is not None:
        among = among & (values > ranking.above)
    return extremes(values, count, end=ranking.end, among=among)
