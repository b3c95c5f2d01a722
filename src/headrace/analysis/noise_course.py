"""The noise scale over training compared with the measured critical batch size.

At a state of the model a step at batch size b makes x = 1/(1 + B_simple/b) of the progress that a step
without noise makes (McCandlish et al. 2018 [V]: S = Smin (1 + B/b), here piece by piece). So a trial at b has
made sum x of such steps, and would need sum (1 + B_simple/b') x steps at any other batch size b'. Hence

    predicted critical batch size = sum B_simple x / sum x = b sum (1 - x) / sum x [D]

It is the mean of the noise scale over progress. It takes for granted that every step is as long as is best
for its batch, which a constant learning rate is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from headrace import random
from headrace.analysis import words
from headrace.analysis.recommendation import central
from headrace.errors import InputError
from headrace.specs.studies import Configuration, StudyKey

if TYPE_CHECKING:
    from headrace.store.noise_course import NoiseCourse, NoisePoint

Interval = tuple[float, float]
DRAWS = 4000
WARNING = (
    "The noise scale is an estimate of the critical batch size, and not a close one: it is known to be "
    "above it on MNIST and below it by orders of magnitude for language models. Believe the measured one."
)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The noise scale at one step, in examples; the high end is infinite where the signal may be zero."""

    step: int
    noise_scale: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """The number and its interval."""
        return f"{words.number(self.noise_scale)} {words.beside((self.low, self.high))}"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One trial's noise scale, what it predicts, and what was measured.

    Attributes:
        optimizer: The optimizer.
        batch_size: Examples per step.
        curve: What the curve is called.
        scales: Over training.
        predicted: The predicted critical batch size.
        predicted_interval: Its interval, over the choice of the examples.
        measured: The measured critical batch size; None: there is none.
        measured_interval: Its interval.
        ratio: Predicted over measured.
        ratio_interval: Its interval.
    """

    optimizer: str
    batch_size: int
    curve: str
    scales: tuple[Scale, ...]
    predicted: float
    predicted_interval: Interval
    measured: float | None
    measured_interval: Interval
    ratio: float | None
    ratio_interval: Interval

    @property
    def words(self) -> str:
        """The comparison as a sentence."""
        first, last = self.scales[0], self.scales[-1]
        said = (
            f"{self.curve}, batch size {words.number(self.batch_size)}: the noise scale went from "
            f"{first.words} to {last.words} examples; its mean over "
            f"progress, {words.number(self.predicted)} {words.beside(self.predicted_interval)}, "
        )
        if self.ratio is None:
            return said + "cannot be compared: no critical batch size was measured."
        return said + (
            f"is {words.number(self.ratio)} {words.beside(self.ratio_interval)} times the measured "
            f"critical batch size, {words.number(self.measured or 0)} "
            f"{words.beside(self.measured_interval)}."
        )


def compare(course: NoiseCourse, results: Mapping[str, Any], *, level: float = 0.95) -> Comparison:
    """Hold one course against the critical batch size of its curve in results.json.

    Args:
        course: From `headrace.trials.noise_course.measure_course`.
        results: The object of results.json.
        level: The level of the intervals.
    """
    study, size = course.study, course.study.configuration.batch_size
    rng = random.generator(int(results.get("seed", 0)), "noise scale", study.name, course.trial)
    signal, noise = _drawn(course, rng)
    steps = np.array([point.step for point in course.points])
    estimate = np.array([[p.signal for p in course.points]]), np.array([[p.noise for p in course.points]])
    predicted = float(prediction(*estimate, steps, size)[0])
    interval = central(prediction(signal, noise, steps, size), level, including=predicted)
    row = _curve_of(study, results)
    measured = None if row is None else row["critical_batch_size"]
    ends = _ends(row) if row is not None else (0.0, math.inf)
    return Comparison(
        optimizer=study.optimizer,
        batch_size=size,
        curve=words.curve((study.optimizer, *_rest(study.configuration.model_dump()))),
        scales=tuple(
            _scale(point, signal[:, place], noise[:, place], level)
            for place, point in enumerate(course.points)
        ),
        predicted=predicted,
        predicted_interval=interval,
        measured=measured,
        measured_interval=ends,
        ratio=predicted / measured if measured else None,
        ratio_interval=ratio_interval(predicted, interval, measured, ends) if measured else (0.0, math.inf),
    )


def prediction(
    signal: Float[np.ndarray, "draws points"],
    noise: Float[np.ndarray, "draws points"],
    steps: Float[np.ndarray, " points"],
    batch_size: int,
) -> Float[np.ndarray, " draws"]:
    """The predicted critical batch size, by the trapezoid rule over the steps; see the module's text.

    A signal that is not positive counts as no progress.
    """
    signal, noise = np.maximum(signal, 0.0), np.maximum(noise, np.finfo(np.float64).tiny)
    progress = batch_size * signal / (batch_size * signal + noise)
    if len(steps) == 1:
        weights = np.ones(1)
    else:
        gaps = np.diff(steps).astype(np.float64)
        weights = (np.append(gaps, 0.0) + np.insert(gaps, 0, 0.0)) / 2
    made = progress @ weights
    with np.errstate(divide="ignore"):
        return batch_size * ((1 - progress) @ weights) / made


def ratio_interval(value: float, ends: Interval, by: float, by_ends: Interval) -> Interval:
    """The interval of value / by from theirs, independent of each other, by MOVER on logarithms [M].

    Each end of the ratio is as far off as the ends that it comes from together, at right angles.
    """

    def off(first: float, second: float) -> float:
        return math.hypot(math.log(first), math.log(second)) if first > 0 and second < math.inf else math.inf

    ratio = value / by
    low = off(value / ends[0] if ends[0] > 0 else math.inf, by_ends[1] / by)
    high = off(ends[1] / value, by / by_ends[0] if by_ends[0] > 0 else math.inf)
    return ratio * math.exp(-low), ratio * math.exp(high)


def _drawn(course: NoiseCourse, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Values that signal and noise might have, [draws, points] each."""
    columns = [
        rng.multivariate_normal(
            [p.signal, p.noise],
            [[p.covariance[0], p.covariance[1]], [p.covariance[1], p.covariance[2]]],
            DRAWS,
        )
        for p in course.points
    ]
    both = np.stack(columns, axis=1)
    return both[..., 0], both[..., 1]


def _scale(point: NoisePoint, signals: np.ndarray, noises: np.ndarray, level: float) -> Scale:
    value = point.noise / point.signal if point.signal > 0 else math.inf
    drawn = np.where(signals > 0, noises / np.where(signals > 0, signals, 1.0), math.inf)
    low, high = central(drawn, level, including=value)
    return Scale(step=point.step, noise_scale=value, low=max(low, 0.0), high=high)


def _ends(row: Mapping[str, Any]) -> Interval:
    low, high = row["interval"]
    return low or 0.0, math.inf if high is None else high


def _curve_of(study: StudyKey, results: Mapping[str, Any]) -> Mapping[str, Any] | None:
    key = (study.optimizer, *_rest(study.configuration.model_dump()))
    rows = [row for row in results["scaling"] if (row["optimizer"], *_rest(row)) == key]
    return rows[0] if rows and rows[0]["critical_batch_size"] else None


def _rest(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["subset"], row["policy"], row["workers"]


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best trial of a study, and the step at which it reached the goal."""

    study: StudyKey
    trial: int
    steps: int


def best_trials(results: Mapping[str, Any], batch_sizes: Sequence[int] | None = None) -> list[Best]:
    """The trials to measure: of each curve the best at these batch sizes.

    Args:
        results: The object of results.json.
        batch_sizes: None for the one nearest the curve's critical batch size.

    Raises:
        InputError: No study reached the goal at these.
    """
    found = [
        Best(
            study=StudyKey(optimizer=row["optimizer"], configuration=Configuration(**row["configuration"])),
            trial=row["best_trial"]["trial"],
            steps=row["steps_to_result"],
        )
        for row in results["studies"]
        if row["steps_to_result"]
    ]
    known = sorted({row["configuration"]["batch_size"] for row in results["studies"]})
    strange = sorted(set(batch_sizes or ()) - set(known))
    if strange:
        raise InputError(
            f"the run does not have these batch sizes; it has {', '.join(map(str, known))}",
            where="--batch-size",
            got=strange,
        )
    if batch_sizes is not None:
        found = [best for best in found if best.study.configuration.batch_size in batch_sizes]
    else:
        found = _nearest(found, results)
    if not found:
        raise InputError(
            "no study reached the goal" + (" at these batch sizes" if batch_sizes else ""),
            where="noise",
            got=batch_sizes or known,
            fix="Give the experiment a larger budget or an easier goal.",
        )
    return found


def _nearest(found: Sequence[Best], results: Mapping[str, Any]) -> list[Best]:
    curves: dict[tuple[Any, ...], list[Best]] = {}
    for best in found:
        key = (best.study.optimizer, *_rest(best.study.configuration.model_dump()))
        curves.setdefault(key, []).append(best)
    picked: list[Best] = []
    for some in curves.values():
        row = _curve_of(some[0].study, results)
        middle = row["critical_batch_size"] if row else some[len(some) // 2].study.configuration.batch_size
        picked.append(
            min(some, key=lambda b, at=middle: abs(math.log(b.study.configuration.batch_size / at)))
        )
    return picked
