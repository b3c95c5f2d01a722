"""Quasi-random points in a space that was widened, so that trials of before still count.

The points of a wider box spread over all of it. One that falls in the box of before could as well be any
other point of a sequence that is spread as evenly there, and the trials of before are such points. So the
j-th point of the wider box that falls in the earlier one is replaced by the j-th trial of before. Of the
first N trials, as many are from before as the earlier box's share of the wider one allows. Further trials of
before do not count, because the earlier box would be covered more densely than the rest.

Trials of before keep their indices; those of the wider box are numbered after them. So the order in which
trials count is not that of their indices.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from headrace.specs.space import SCALES, AnyEntry, Choices, Range, Value, draw
from headrace.specs.studies import Hyperparameters


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The space of one study at one time.

    Attributes:
        space: Name -> entry.
        trials: How many trials it has: the upper limit of that time.
    """

    space: Mapping[str, AnyEntry]
    trials: int


@dataclass(frozen=True, kw_only=True)
class Design:
    """The trials of one study: first those of the space as it was at first, then those of each wider one.

    Attributes:
        layers: The spaces, the narrowest first; each is within the next.
        seed: The experiment's seed.
        stream: The name of the points' stream.
        whole: The names whose values are rounded to the nearest integer.
    """

    layers: Sequence[Layer]
    seed: int
    stream: str
    whole: Collection[str]

    def hyperparameters(self, trial: int) -> Hyperparameters:
        """The values of a trial, by its index."""
        first = 0
        for number, layer in enumerate(self.layers[:-1]):
            if trial < first + layer.trials:
                return self._drawn(number, trial - first)
            first += layer.trials
        return self._drawn(len(self.layers) - 1, trial - first)

    def order(self) -> tuple[int, ...]:
        """The indices of all trials in the order in which they count."""
        order = tuple(range(self.layers[0].trials))
        first = len(order)
        for number, layer in enumerate(self.layers[1:], 1):
            earlier = iter(order)
            inside = self.layers[number - 1].space
            order = tuple(
                next(earlier, own) if _is_within(self._drawn(number, own - first), inside) else own
                for own in range(first, first + layer.trials)
            )
            first += layer.trials
        return order

    def _drawn(self, number: int, point: int) -> Hyperparameters:
        layer = self.layers[number]
        return draw(
            layer.space,
            seed=self.seed,
            study=self.stream if number == 0 else f"{self.stream}, widened {number}",
            trial=point,
            trials=layer.trials,
            whole=self.whole,
        )


def _is_within(values: Mapping[str, Value], space: Mapping[str, AnyEntry]) -> bool:
    """Whether a point is in a space."""
    return all(_holds(entry, values[name]) for name, entry in space.items())


def _holds(entry: AnyEntry, value: Value) -> bool:
    if isinstance(entry, Range):
        return not isinstance(value, str) and entry.low <= value <= entry.high
    return value in entry.choices if isinstance(entry, Choices) else True


def why_not_wider(narrow: AnyEntry | None, wide: AnyEntry | None) -> str | None:
    """Why trials drawn from one entry could not count among those of another; None if they can."""
    if narrow is None or wide is None:
        return "it was tuned or set in the trials that are there, and would not be in others"
    if isinstance(narrow, Range) and isinstance(wide, Range):
        if narrow.scale != wide.scale:
            return "on another scale the trials that are there are not spread evenly"
        if wide.low > narrow.low or wide.high < narrow.high:
            return "a range can only be widened, because trials that are there would be outside"
        return None
    if isinstance(narrow, Choices) and isinstance(wide, Choices):
        left = set(narrow.choices) - set(wide.choices)
        return "choices can only be added, because trials that are there have the others" if left else None
    return (
        "trials with one value are no share of those with many: no number of them would cover it evenly"
        if not isinstance(narrow, Range | Choices)
        else "the trials that are there were drawn from an entry of another kind"
    )


def share(narrow: Mapping[str, AnyEntry], wide: Mapping[str, AnyEntry]) -> float:
    """The share of a wider space that a narrower one has."""
    found = 1.0
    for name, entry in narrow.items():
        other = wide[name]
        if isinstance(entry, Range) and isinstance(other, Range):
            unit = SCALES[other.scale].unit
            found *= unit(entry.high, other.low, other.high) - unit(entry.low, other.low, other.high)
        elif isinstance(entry, Choices) and isinstance(other, Choices):
            found *= len(entry.choices) / len(other.choices)
    return found
