"""The noise scale over training as the report shows it, beside the measured critical batch size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.analysis.noise_course import WARNING, Comparison, compare
from headrace.report.figures import Picture
from headrace.report.pictures import noise_course as picture
from headrace.report.tables import Cell, Table
from headrace.report.words import Words

if TYPE_CHECKING:
    from headrace.store.noise_course import NoiseCourses

TITLE = "The gradient noise scale over training"
CAPTION = (
    "The noise scale is the batch size at which the noise of a step's gradient equals its signal: a larger "
    "batch mostly averages what is already known. Each line is one trial, trained again up to the goal; a "
    "bar that leaves the frame says that the signal cannot be told from zero. The level band is the measured "
    "critical batch size of the same optimiser with its interval."
)


def noise_course(directory: Path, results: Mapping[str, Any]) -> Picture | None:
    """The figure of a run whose noise scale was measured; None where it was not.

    Raises:
        DamagedError: The file of the measurement was altered.
    """
    from headrace.store.noise_course import read

    measured = read(directory)
    return None if measured is None else figure(measured, results)


def figure(measured: NoiseCourses, results: Mapping[str, Any]) -> Picture:
    """The figure of these courses."""
    found = [compare(course, results) for course in measured.courses]
    sentences = " ".join(comparison.words for comparison in found)
    return Picture(
        name="noise-scale",
        words=Words(title=TITLE, caption=(CAPTION, sentences, WARNING)),
        description=f"{TITLE}. {sentences}",
        table=noise_table(found),
        draw=partial(picture.draw, found),
    )


def noise_table(found: Sequence[Comparison]) -> Table:
    """The values of the figure."""
    columns = (
        "curve", "batch_size", "step", "noise_scale", "low", "high", "predicted_critical_batch_size",
        "predicted_low", "predicted_high", "measured_critical_batch_size", "measured_low", "measured_high",
    )  # fmt: skip
    return Table(
        columns=columns, rows=tuple(_row(one, place) for one in found for place in range(len(one.scales)))
    )


def _row(one: Comparison, place: int) -> tuple[Cell, ...]:
    scale = one.scales[place]
    return (
        one.curve, one.batch_size, scale.step, _finite(scale.noise_scale), scale.low, _finite(scale.high),
        one.predicted, *map(_finite, one.predicted_interval),
        one.measured, *map(_finite, one.measured_interval),
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
