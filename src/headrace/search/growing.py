"""How a subset grows: pure functions of arrays. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float64, Int32, Int64

from headrace.selection.registry import Input
from headrace.specs.methods import Select


@dataclass(frozen=True, kw_only=True)
class Growing:
    """A subset on its way, over all examples of the training set.

    Attributes:
        times: How often each example was chosen [examples].
        rounds: The round in which it was first chosen; -1 where it was not [examples].
        scores: The score for which it was chosen then; NaN where chance chose it [examples].
        fresh: What the last round chose for the first time, rising [fresh].
    """

    times: Int64[np.ndarray, " examples"]
    rounds: Int32[np.ndarray, " examples"]
    scores: Float64[np.ndarray, " examples"]
    fresh: Int64[np.ndarray, " fresh"]

    @property
    def indices(self) -> Int64[np.ndarray, " chosen"]:
        """The chosen examples, rising."""
        return np.flatnonzero(self.times)

    @property
    def weights(self) -> Float64[np.ndarray, " chosen"]:
        """How often each of `indices` was chosen."""
        return self.times[self.indices].astype(np.float64)

    @property
    def size(self) -> int:
        """Examples in the subset, duplicates counted."""
        return int(self.times.sum())


def empty(examples: int) -> Growing:
    """The subset with nothing in it."""
    return Growing(
        times=np.zeros(examples, dtype=np.int64),
        rounds=np.full(examples, -1, dtype=np.int32),
        scores=np.full(examples, np.nan),
        fresh=np.empty(0, dtype=np.int64),
    )


def add(
    growing: Growing, chosen: Int64[np.ndarray, " chosen"], number: int, scores: np.ndarray | None
) -> Growing:
    """The subset with `chosen` added in round `number`, for these scores [examples] (None for chance)."""
    times, rounds, kept = growing.times.copy(), growing.rounds.copy(), growing.scores.copy()
    fresh = np.sort(chosen[times[chosen] == 0])
    times[chosen] += 1
    rounds[fresh] = number
    if scores is not None:
        kept[fresh] = scores[fresh]
    return Growing(times=times, rounds=rounds, scores=kept, fresh=fresh)


def choose(
    growing: Growing,
    scores: Float[np.ndarray, " examples"],
    count: int,
    rng: np.random.Generator,
    *,
    select: Select,
    choose_from: Literal["remainder", "pool"],
    classes: Int64[np.ndarray, " examples"] | None,
) -> Int64[np.ndarray, " chosen"]:
    """The next `count` examples.

    Args:
        growing: What was chosen before.
        scores: Higher is more wanted.
        count: How many.
        rng: The stream of what is drawn.
        select: The strategy.
        choose_from: "remainder": none that was chosen before; "pool": any, each at most once a round.
        classes: True classes where labels are known, else the ensemble's; `class_balanced` shares by them.
            None where an example has none.

    Raises:
        InputError: There are fewer to choose from.
    """
    candidates = candidates_of(growing, choose_from)
    inputs: dict[Input, Any] = {"scores": scores, "classes": classes}
    return select.strategy.choose(inputs, count, rng, candidates=candidates, settings=select.settings)


def candidates_of(
    growing: Growing, choose_from: Literal["remainder", "pool"]
) -> Int64[np.ndarray, " candidates"]:
    """What may be chosen, rising."""
    return np.arange(len(growing.times)) if choose_from == "pool" else np.flatnonzero(growing.times == 0)
