"""Which batch size and how many workers: steps to the goal and seconds per step, put together.

Time to the goal is T = S(B) t(B, W), its cost W T device-seconds. The *fastest* option has the least T, the
*cheapest* the least cost. The *knee* is where time and cost together are best: the least product of relative
time and relative cost, (T / least T) (C / least C) [D]. Doubling the workers is then worth it only while it
saves more than 29% of the time (1 - 1/sqrt 2), since T^2 W must fall.

S(B) here is what a fresh run is expected to take, by the tuned surface of its curve; where there is none, the
fewest steps of a search. All uncertainty is carried by draws: each draw takes the steps of every study from
what they might be (the surface's parameters, or the best of half the trials) and every step time from its
interval, and decides anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from headrace.errors import InputError
from headrace.specs.studies import Hyperparameters

Draws = Float[np.ndarray, " draws"]
Interval = tuple[float, float]

GOALS = ("fastest", "cheapest", "knee")
Basis = Literal["surface", "search"]
"""Whether steps are those expected of a fresh run, or the fewest that a search found."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One way to train to the goal.

    Attributes:
        optimizer: The optimizer.
        subset: The subset.
        policy: The policy.
        batch_size: Examples per step, over all workers.
        workers: How many workers.
        steps: Of a run to the goal.
        seconds_per_step: The step time.
        measured: Whether the step time was measured for this batch size and number of workers.
        time_draws: Values that the time to the goal might have, in seconds; infinite where the goal would not
            have been reached.
        basis: What `steps` are.
        fewest: The fewest steps that the search found, S(B); None where only `steps` are known.
        hyperparameters: At which a run is expected to take `steps`: those that were tuned.
    """

    optimizer: str
    subset: str
    policy: str
    batch_size: int
    workers: int
    steps: float
    seconds_per_step: float
    measured: bool
    time_draws: Draws
    basis: Basis = "search"
    fewest: float | None = None
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)

    @property
    def seconds(self) -> float:
        """Time to the goal."""
        return self.steps * self.seconds_per_step

    @property
    def device_seconds(self) -> float:
        """What it costs: the time of all workers."""
        return self.workers * self.seconds


@dataclass(frozen=True, kw_only=True)
class Pick:
    """The best option for one aim, and how sure that is.

    Attributes:
        option: The option.
        seconds: The interval of its time to the goal.
        batch_size: The interval of the batch size picked, over the draws.
        workers: The interval of the number of workers picked.
        share: The share of the draws in which this very option is picked.
        alone: Whether there was no other option.
    """

    option: Option
    seconds: Interval
    batch_size: Interval
    workers: Interval
    share: float
    alone: bool = False


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The options, the best of them, and the frontier.

    Attributes:
        options: All options, in the order given.
        intervals: Of each option's time to the goal.
        picks: "fastest", "cheapest" and "knee".
        frontier: The options that no other beats in both time and cost, the fastest first.
        level: The level of the intervals.
    """

    options: tuple[Option, ...]
    intervals: tuple[Interval, ...]
    picks: dict[str, Pick]
    frontier: tuple[Option, ...]
    level: float


def recommend(options: Sequence[Option], *, level: float = 0.95) -> Recommendation:
    """Weigh the options up.

    Args:
        options: At least one; all with equally many draws, the same draw of each belonging together.
        level: The level of the intervals.

    Raises:
        InputError: No option exists: no study reached the goal.
    """
    if not options:
        raise InputError(
            "no study reached the goal, so there is nothing to recommend",
            where="recommend",
            fix="Give the experiment a larger budget or an easier goal.",
        )
    workers = np.array([option.workers for option in options], np.float64)
    estimates = np.array([[option.seconds for option in options]])
    draws = np.stack([option.time_draws for option in options], axis=1)
    intervals = tuple(central(option.time_draws, level, including=option.seconds) for option in options)
    picks = {
        aim: _pick(
            options, intervals, winners(estimates, workers, aim)[0], winners(draws, workers, aim), level
        )
        for aim in GOALS
    }
    order = np.flatnonzero(efficient(estimates[0], workers)).tolist()
    return Recommendation(
        options=tuple(options),
        intervals=intervals,
        picks=picks,
        frontier=tuple(sorted((options[i] for i in order), key=lambda option: option.seconds)),
        level=level,
    )


def _pick(
    options: Sequence[Option],
    intervals: Sequence[Interval],
    best: int,
    drawn: Int[np.ndarray, " draws"],
    level: float,
) -> Pick:
    sizes = np.array([option.batch_size for option in options], np.float64)
    workers = np.array([option.workers for option in options], np.float64)
    option = options[best]
    return Pick(
        option=option,
        seconds=intervals[best],
        batch_size=central(sizes[drawn], level, including=option.batch_size),
        workers=central(workers[drawn], level, including=option.workers),
        share=float((drawn == best).mean()) if len(drawn) else 1.0,
        alone=len(options) == 1,
    )


def winners(
    seconds: Float[np.ndarray, "draws options"], workers: Float[np.ndarray, " options"], aim: str
) -> Int[np.ndarray, " draws"]:
    """The best option of each row for one of `GOALS`; of equals the cheaper, then the first.

    Rows in which no option reaches the goal are left out.
    """
    known = seconds[np.isfinite(seconds).any(axis=1)]
    cost = known * workers
    value = {"fastest": known, "cheapest": cost, "knee": known * cost}[aim]
    other = known if aim == "cheapest" else cost
    # Rounding must not decide between equals: four workers at a quarter of the time cost the same.
    best = value <= value.min(axis=1, keepdims=True) * (1 + 1e-9)
    return np.where(best, other, math.inf).argmin(axis=1)


def efficient(
    seconds: Float[np.ndarray, " options"], workers: Float[np.ndarray, " options"]
) -> Bool[np.ndarray, " options"]:
    """Which options are on the frontier: none other is as good in time and cost and better in one."""
    cost = seconds * workers
    as_good = (seconds[None] <= seconds[:, None]) & (cost[None] <= cost[:, None])
    better = (seconds[None] < seconds[:, None]) | (cost[None] < cost[:, None])
    return np.logical_not(np.any(as_good & better, axis=1))


def central(values: Draws, level: float, *, including: float) -> Interval:
    """The central `level` of the values, widened to hold the estimate."""
    if not len(values):
        return including, including
    ordered = np.sort(values)
    place = math.floor((1 - level) / 2 * (len(ordered) - 1))
    return min(float(ordered[place]), including), max(float(ordered[-1 - place]), including)


def to_dict(found: Recommendation, tokens: float | None = None) -> dict[str, Any]:
    """Plain JSON; infinite ends stay infinite.

    Args:
        found: The recommendation.
        tokens: How many tokens an example has, if tokens are the unit: each option then has `batch_tokens`,
            and the `tokens` that its steps take.
    """
    return {
        "level": found.level,
        **{aim: _pick_dict(pick, tokens) for aim, pick in found.picks.items()},
        "frontier": [_row(option, found, tokens) for option in found.frontier],
        "options": [_row(option, found, tokens) for option in found.options],
    }


def _pick_dict(pick: Pick, tokens: float | None) -> dict[str, Any]:
    return {
        **_option_dict(pick.option, pick.seconds, tokens),
        "batch_size_interval": [*pick.batch_size],
        "workers_interval": [*pick.workers],
        "share_of_draws": pick.share,
    }


def _row(option: Option, found: Recommendation, tokens: float | None) -> dict[str, Any]:
    place = next(i for i, other in enumerate(found.options) if other is option)
    return _option_dict(option, found.intervals[place], tokens)


def _option_dict(option: Option, seconds: Interval, tokens: float | None) -> dict[str, Any]:
    names = (
        "optimizer",
        "subset",
        "policy",
        "batch_size",
        "workers",
        "steps",
        "seconds_per_step",
        "measured",
    )
    return {
        **{name: getattr(option, name) for name in names},
        "basis": option.basis,
        "fewest_steps": option.fewest,
        "hyperparameters": dict(option.hyperparameters),
        "seconds": option.seconds,
        "seconds_interval": [*seconds],
        "device_seconds": option.device_seconds,
        "device_seconds_interval": [option.workers * end for end in seconds],
        **_in_tokens(option, tokens),
    }


def _in_tokens(option: Option, tokens: float | None) -> dict[str, float]:
    if tokens is None:
        return {}
    size = option.batch_size * tokens
    return {"batch_tokens": size, "tokens": option.steps * size}
