"""The search space and the quasi-random points in it.

A trial's hyperparameters are a pure function of (seed, study, trial): point number `trial` of a
scrambled Halton sequence whose scrambling is drawn from the stream named after the study. So
trials may run anywhere, in any order, and again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

import numpy as np
from jaxtyping import Float
from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from headrace import random
from headrace.records import Record
from headrace.specs.limits import FEW
from headrace.specs.studies import Hyperparameters
from headrace.training import recipe

Value = bool | float | int | str

POLICY = "policy."
"""What the names of a policy's settings begin with among a trial's hyperparameters."""


@dataclass(frozen=True)
class Scale:
    """A monotone map between the unit interval and [low, high].

    Attributes:
        value: (unit, low, high) -> value.
        unit: (value, low, high) -> unit; the inverse.
    """

    value: Callable[[float, float, float], float]
    unit: Callable[[float, float, float], float]


def _log(u: float, low: float, high: float) -> float:
    return low * (high / low) ** u


def _log_unit(x: float, low: float, high: float) -> float:
    return math.log(x / low) / math.log(high / low)


SCALES: Mapping[str, Scale] = {
    "linear": Scale(
        value=lambda u, low, high: low + u * (high - low), unit=lambda x, low, high: (x - low) / (high - low)
    ),
    "log": Scale(value=_log, unit=_log_unit),
    "one-minus-log": Scale(
        value=lambda u, low, high: 1.0 - _log(u, 1.0 - low, 1.0 - high),
        unit=lambda x, low, high: _log_unit(1.0 - x, 1.0 - low, 1.0 - high),
    ),
}
"""Name in the experiment file -> scale. `one-minus-log` is logarithmic in 1 - value, as momentum needs."""

INTEGERS = frozenset(name for name, values in recipe.RANGES.items() if values.whole)
"""Hyperparameters whose value is rounded to the nearest integer."""


class Range(Record):
    """A hyperparameter tuned between two numbers."""

    model_config = ConfigDict(strict=True)

    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    scale: Literal["log", "linear", "one-minus-log"]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(
                f"low must be smaller than high, got low = {self.low!r} and high = {self.high!r}"
            )
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"a log scale needs low > 0, got low = {self.low!r}")
        if self.scale == "one-minus-log" and self.high >= 1:
            raise ValueError(f"a one-minus-log scale needs high < 1, got high = {self.high!r}")
        if not math.isfinite(SCALES[self.scale].value(1.0, self.low, self.high)):
            raise ValueError("low and high are too far apart for numbers of 64 bits")
        return self

    def value(self, unit: float) -> float:
        """The value at `unit` in [0, 1], within [low, high] in spite of rounding."""
        return min(max(SCALES[self.scale].value(unit, self.low, self.high), self.low), self.high)

    def unit(self, value: float) -> float:
        """The place of `value`, 0 at `low` and 1 at `high`."""
        return SCALES[self.scale].unit(value, self.low, self.high)


class Choices(Record):
    """A hyperparameter tuned over a list of values."""

    model_config = ConfigDict(strict=True)

    choices: Annotated[
        tuple[Annotated[float, Field(allow_inf_nan=False)], ...],
        Field(strict=False, min_length=1),
        FEW,
    ]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.choices)) < len(self.choices):
            raise ValueError(f"choices must differ from each other, got {list(self.choices)}")
        return self

    def value(self, unit: float) -> float:
        """The choice whose equal share of [0, 1) holds `unit`."""
        return self.choices[min(int(unit * len(self.choices)), len(self.choices) - 1)]


def _kind(entry: Any) -> str | None:
    """Which of the three forms an entry of the space has."""
    if isinstance(entry, Range | Choices):
        return type(entry).__name__.lower()
    if isinstance(entry, Mapping):
        return "choices" if "choices" in entry else "range"
    return "constant" if isinstance(entry, int | float) and not isinstance(entry, bool) else None


Entry = Annotated[
    Annotated[Range, Tag("range")]
    | Annotated[Choices, Tag("choices")]
    | Annotated[float, Field(allow_inf_nan=False, strict=True), Tag("constant")],
    Discriminator(
        _kind,
        custom_error_type="space_entry",
        custom_error_message="must be a number, a table { low, high, scale } or a table { choices }",
    ),
]
"""One line of `[search.space]`."""


def _setting_kind(entry: Any) -> str | None:
    return "constant" if isinstance(entry, bool | str) else _kind(entry)


Setting = Annotated[
    Annotated[Range, Tag("range")]
    | Annotated[Choices, Tag("choices")]
    | Annotated[bool | int | float | str, Tag("constant")],
    Discriminator(
        _setting_kind,
        custom_error_type="policy_setting",
        custom_error_message="must be a constant, a table { low, high, scale } or a table { choices }",
    ),
]
"""One line of `[search.policy.NAME]`: as in the space, but a constant may also be text, true or false."""

AnyEntry = Range | Choices | bool | float | int | str
"""An entry of the space, or of a policy's settings."""


@lru_cache(maxsize=1024)
def unit_points(
    seed: int, study: str, dimensions: int, trials: int
) -> Float[np.ndarray, "trials dimensions"]:
    """The first `trials` points of a study's scrambled Halton sequence, in [0, 1).

    Point i does not depend on `trials`.
    """
    from scipy.stats import qmc

    engine = qmc.Halton(dimensions, scramble=True, rng=random.generator(seed, "search", study))
    points = engine.random(trials)
    points.flags.writeable = False
    return points


def draw(
    space: Mapping[str, AnyEntry],
    *,
    seed: int,
    study: str,
    trial: int,
    trials: int,
    whole: Collection[str] = INTEGERS,
) -> Hyperparameters:
    """The values of trial `trial`: constants as they are, the tuned ones at the trial's point.

    Args:
        space: Name -> entry; the dimensions of the sequence are the tuned names in alphabetical order, those
            of a policy last: so the values of the others do not depend on what the policy has.
        seed: The experiment's seed.
        study: The name of the points' stream.
        trial: The trial's index, from 0, below `trials`.
        trials: How many points to make at once.
        whole: The names whose values are rounded to the nearest integer.

    Returns:
        Name -> value, in alphabetical order.
    """
    names = sorted(space, key=lambda name: (name.startswith(POLICY), name))
    tuned = [name for name in names if isinstance(space[name], Range | Choices)]
    units: Sequence[float] = unit_points(seed, study, len(tuned), trials)[trial].tolist() if tuned else []
    at = dict(zip(tuned, units, strict=True))
    return {name: _value(space[name], at.get(name, 0.0), whole=name in whole) for name in sorted(space)}


def _value(entry: AnyEntry, unit: float, *, whole: bool) -> Value:
    value = entry.value(unit) if isinstance(entry, Range | Choices) else entry
    return round(value) if whole and not isinstance(value, str) else value


def widen(key: str, side: str) -> str:
    """What to do about a border, as the rest of a sentence."""
    if key.startswith("search.policy."):
        return f"move {key}.{side} outwards and run again in a new folder."
    return f"move {key}.{side} outwards in the file and give `headrace run FILE --out DIR --extend`."


@dataclass(frozen=True, kw_only=True)
class Border:
    """A best trial's hyperparameter that is at the edge of the space: the optimum may be beyond.

    Attributes:
        name: The hyperparameter.
        key: Where it is in the experiment file.
        side: "low" or "high".
        limit: The space's end on that side.
        value: The best trial's value.
    """

    name: str
    key: str
    side: Literal["low", "high"]
    limit: float
    value: float

    @property
    def suggestion(self) -> str:
        """What to change in the experiment file, as a sentence."""
        return (
            f"The best {self.name} ({self.value:.4g}) is at the {self.side} end of its range "
            f"({self.limit:g}): {widen(self.key, self.side)}"
        )


def borders(
    space: Mapping[str, AnyEntry],
    values: Mapping[str, Value],
    *,
    policy: str = "shuffle",
    margin: float = 0.05,
) -> tuple[Border, ...]:
    """The hyperparameters of a best trial that are on the border of the space.

    Args:
        space: Name -> entry; only ranges have borders.
        values: The best trial's hyperparameters.
        policy: The study's policy, to name its settings by.
        margin: How much of the unit range, at each end, counts as the border.

    Returns:
        The borders, by name.
    """
    found: list[Border] = []
    for name in sorted(set(space) & set(values)):
        entry, value = space[name], values[name]
        if isinstance(entry, Range) and not isinstance(value, str):
            unit = entry.unit(value)
            if margin < unit < 1 - margin:
                continue
            side, limit = ("low", entry.low) if unit <= margin else ("high", entry.high)
            key = _key(name, policy)
            found.append(Border(name=name, key=key, side=side, limit=limit, value=value))
    return tuple(found)


def _key(name: str, policy: str) -> str:
    """Where a hyperparameter's entry is in the experiment file."""
    if name.startswith(POLICY):
        return f"search.policy.{policy}.{name.removeprefix(POLICY)}"
    return f"search.space.{name}"


def split(values: Hyperparameters) -> tuple[dict[str, Any], dict[str, Any]]:
    """A trial's hyperparameters apart: those of the recipe, and the policy's settings by their own names."""
    of_policy = {name for name in values if name.startswith(POLICY)}
    recipe_values = {name: value for name, value in values.items() if name not in of_policy}
    return recipe_values, {name.removeprefix(POLICY): values[name] for name in sorted(of_policy)}
