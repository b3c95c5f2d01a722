"""What the scaling figures show: curves of S(B), taken from the tables of an analysis.

Everything here is a pure function of tables. Formulas: S(B) and the dashed line of perfect scaling from
Shallue et al. (2019); S = Smin (1 + Bcrit/B) and E = Emin (1 + B/Bcrit) from McCandlish et al. (2018).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace.training.registry import in_words

if TYPE_CHECKING:
    from headrace.analysis.results import Analysis

Row = Mapping[str, Any]

KEY = ("optimizer", "subset", "policy", "workers")
"""What distinguishes one curve from another."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One study: the steps to result at one batch size, None where no trial reached the goal.

    Attributes:
        batch_size: Examples per step.
        steps: Steps to result.
        low: Lower end of the interval of `steps`.
        high: Upper end; None or infinite where the interval is open.
        study: The study's name.
        forwarded: Examples that went forward to the result, selection passes and preparation included; None
            where that is not known.
        forwarded_low: The fewest, of the trials within the interval of `steps`.
        forwarded_high: The most; None or infinite where the interval is open.
    """

    batch_size: int
    steps: float | None
    low: float | None = None
    high: float | None = None
    study: str = ""
    forwarded: float | None = None
    forwarded_low: float | None = None
    forwarded_high: float | None = None

    @property
    def examples(self) -> float | None:
        """Examples to result: batch size times steps."""
        return None if self.steps is None else self.batch_size * self.steps

    @property
    def selects(self) -> bool:
        """Whether more examples went forward than were trained on."""
        return self.forwarded is not None and self.examples is not None and self.forwarded > self.examples

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of `steps` with its open ends closed: the point itself below, infinity above."""
        low = self.low if self.low is not None else (self.steps if self.steps is not None else math.nan)
        return low, math.inf if self.high is None else self.high


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The fitted curve and the regimes of one curve; batch sizes in examples."""

    steps_min: float | None
    critical_batch_size: float | None
    low: float | None = None
    high: float | None = None
    perfect_scaling_limit: float | None = None
    perfect_scaling_low: float | None = None
    perfect_scaling_high: float | None = None
    perfect_scaling_is_largest_tested: bool = False
    max_useful_batch_size: float | None = None
    max_useful_low: float | None = None
    max_useful_high: float | None = None
    max_useful_is_largest_tested: bool = False

    def steps(self, batch_size: float) -> float | None:
        """S = Smin (1 + Bcrit/B), or None where there is no fit, or one with an infinite Bcrit (Smin = 0)."""
        if not self.steps_min or self.critical_batch_size is None or math.isinf(self.critical_batch_size):
            return None
        return self.steps_min * (1 + self.critical_batch_size / batch_size)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """S(B) of one optimizer, subset, policy and number of workers; points in ascending batch size.

    Attributes:
        label: Its name.
        optimizer: Its optimizer.
        points: Its studies.
        fit: What was fitted to them.
        tokens: How many tokens an example has, if tokens are the unit.
    """

    label: str
    optimizer: str
    points: tuple[Point, ...]
    fit: Fit | None = None
    tokens: float | None = None

    @property
    def unit(self) -> str:
        """What costs are counted in."""
        return "examples" if self.tokens is None else "tokens"

    @property
    def worth(self) -> float:
        """How many of the unit an example is."""
        return 1.0 if self.tokens is None else self.tokens

    @property
    def reached(self) -> tuple[Point, ...]:
        """The points that have steps to result; step 0, untrained, has no place on logarithmic axes."""
        return tuple(point for point in self.points if point.steps)

    @property
    def fewest(self) -> Point | None:
        """The point of the fewest steps; of equals the smallest batch size."""
        known = [(point.steps, point.batch_size, point) for point in self.points if point.steps is not None]
        return min(known, key=lambda item: item[:2])[2] if known else None

    def perfect(self, batch_size: float) -> float | None:
        """Steps under perfect scaling from the smallest batch size that reached the goal: S(B0) B0 / B."""
        if not self.reached or self.reached[0].steps is None:
            return None
        return self.reached[0].steps * self.reached[0].batch_size / batch_size


def curves(analysis: Analysis) -> tuple[Curve, ...]:
    """The curves of an analysis, in the order of its table of steps."""
    studies = analysis.steps.to_dicts()
    fits = {key_of(row): row for row in analysis.fits.to_dicts()}
    keys = list(dict.fromkeys(key_of(row) for row in studies))
    name = partial(label, varying=varying(keys))
    return tuple(
        Curve(
            label=name(key),
            optimizer=str(key[0]),
            points=_points(row for row in studies if key_of(row) == key),
            fit=_fit(fits.get(key)),
            tokens=analysis.results.get("tokens_per_example"),
        )
        for key in keys
    )


def key_of(row: Row) -> tuple[Any, ...]:
    """What distinguishes the curve of this row from others."""
    return tuple(row[name] for name in KEY)


def varying(keys: Sequence[tuple[Any, ...]]) -> frozenset[str]:
    """The parts of the keys that differ; the optimizer if nothing does."""
    parts = {name for place, name in enumerate(KEY) if len({key[place] for key in keys}) > 1}
    return frozenset(parts or {"optimizer"})


def label(key: tuple[Any, ...], varying: frozenset[str]) -> str:
    """A curve's name from the parts that differ: `SGD`, `SGD, 4 workers`."""
    optimizer, subset, policy, workers = key
    words = {
        "optimizer": in_words(str(optimizer), first=True),
        "subset": f"subset {subset}",
        "policy": f"policy {policy}",
        "workers": f"{workers} worker" + ("" if workers == 1 else "s"),
    }
    return ", ".join(words[name] for name in KEY if name in varying)


def _points(rows: Iterable[Row]) -> tuple[Point, ...]:
    fields = ("batch_size", "steps", "low", "high", "study", "forwarded_low", "forwarded_high")
    points = (
        Point(**{name: row[name] for name in fields if name in row}, forwarded=row.get("examples_forwarded"))
        for row in rows
    )
    return tuple(sorted(points, key=lambda point: point.batch_size))


def _fit(row: Row | None) -> Fit | None:
    """The fit of a curve; None where the curve has too few points for one."""
    if row is None or row["steps_min"] is None:
        return None
    return Fit(**{name: row[name] for name in Fit.__dataclass_fields__})
