"""Maps of the training data: how sure and how steady the model is of each example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace.analysis.words import percent
from headrace.report.canvas import (
    Box,
    Layout,
    heading,
    legend_height,
    linear_axis,
    panel_grid,
)
from headrace.report.figures import _common as common
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.portraits import Reading
    from headrace.analysis.results import Analysis

WORDS = Words(
    title="A map of the training data",
    caption=(
        "Every example that was trained on is in one of the squares. Up: its confidence, the mean "
        "probability that the model gave to its label over the passes; across: its variability, how much "
        "that probability moved. The colour says how often its label was predicted, the size how many "
        "examples are there.",
        "Upper left: easy, learnt at once. Right: ambiguous, now right and now wrong. Lower left: hard, "
        "never learnt; here wrong labels gather, if there are any. (Swayamdipta et al. 2020.)",
    ),
)

BIN, WIDE_BIN = 0.02, 0.04
"""The width of a data map's cells, which are twice as high; the wide one where there are more than four."""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The examples in one cell of a data map.

    Attributes:
        variability: The cell's middle.
        confidence: The cell's middle.
        examples: How many.
        correctness: The mean share of observations in which they were predicted right.
    """

    variability: float
    confidence: float
    examples: int
    correctness: float


@dataclass(frozen=True, kw_only=True)
class DataMap:
    """One policy's data map: every example is in one of the bins."""

    policy: str
    bins: tuple[Bin, ...]


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of all portraits; none where there are no portraits."""
    return [_figure(analysis.portraits)] if analysis.portraits else []


def _figure(readings: Sequence[Reading]) -> Picture | Absent:
    maps = data_maps(readings)
    if not maps:
        reason = "The targets are not classes, so examples have no probability of the right class."
        return Absent(name="data-map", words=WORDS, reason=reason)
    said = " ".join(f"{r.policy}: {percent(r.never_learnt or 0)} never predicted right." for r in readings)
    return Picture(
        name="data-map",
        words=WORDS,
        description=f"{WORDS.title}. {said}",
        table=data_map_table(maps),
        draw=partial(draw, maps),
    )


def data_maps(readings: Sequence[Reading]) -> tuple[DataMap, ...]:
    """One a policy whose history holds predictions."""
    known = [reading for reading in readings if reading.of_classes]
    width = BIN if len(known) <= 4 else WIDE_BIN
    return tuple(data_map(reading, width) for reading in known)


def data_map(reading: Reading, width: float) -> DataMap:
    """The data map of Swayamdipta et al. (2020), of the examples that were trained on.

    Cells are `width` wide in variability and twice as high in confidence.
    """
    import polars as pl

    table = reading.examples.filter(pl.col("count") > 0)
    cells = table.group_by(
        (pl.col("variability").clip(0, 0.4999) / width).floor().alias("x"),
        (pl.col("confidence").clip(0, 0.9999) / (2 * width)).floor().alias("y"),
    ).agg(pl.len().alias("examples"), pl.col("correctness").cast(pl.Float64).mean())
    return DataMap(
        policy=reading.policy,
        bins=tuple(
            Bin(
                variability=(row["x"] + 0.5) * width,
                confidence=(row["y"] + 0.5) * 2 * width,
                examples=row["examples"],
                correctness=row["correctness"],
            )
            for row in cells.sort("x", "y").iter_rows(named=True)
        ),
    )


def data_map_table(maps: Sequence[DataMap]) -> Table:
    """The values of the figure."""
    rows = ((m.policy, b.variability, b.confidence, b.examples, b.correctness) for m in maps for b in m.bins)
    return Table(columns=("policy", "variability", "confidence", "examples", "correctness"), rows=tuple(rows))


_SHADES = ("#00204d", "#414d6b", "#7c7b78", "#bcae6c", "#ffe945")
"""Cividis in five steps: its lightness alone distinguishes them, for every eye and in print."""

_RIGHT = ("never right", "up to 25%", "up to 50%", "up to 75%", "more")

_SIZES = ((1, 3.0), (9, 5.0), (99, 7.2), (10**12, 9.4))

_NUMBERS = ("1", "2 to 9", "10 to 99", "100 examples or more")


def shade(correctness: float) -> int:
    """The place of the colour: 0 for never right, then the quarters."""
    return 0 if correctness <= 0 else 1 + min(3, int((correctness - 1e-9) * 4))


def size(examples: int) -> int:
    """The place of the mark's size."""
    return next(place for place, (most, _) in enumerate(_SIZES) if examples <= most)


def draw(maps: Sequence[DataMap], layout: Layout) -> Figure:
    """A panel for each policy: variability across, confidence up, the colour shows how often right."""
    handles = _handles()
    columns = layout.panels if len(maps) <= 4 else max(1, layout.small_panels - 1)
    columns = min(columns, len(maps))
    canvas, frames = panel_grid(
        layout,
        len(maps),
        columns=columns,
        height=250 if len(maps) <= 4 else 180,
        box=Box(left=46, right=14, top=36, bottom=46),
        head=legend_height(handles, layout.width),
    )
    for axes, one in zip(frames, maps, strict=True):
        linear_axis(axes, 0, 0.5, which="x")
        linear_axis(axes, 0, 1)
        axes.set_xlabel("variability")
        heading(axes, f"confidence: {one.policy}" if len(maps) > 1 else "confidence", left=40)
        _bins(axes, one.bins)
    canvas.legend(handles)
    return canvas.figure


def _bins(axes: Axes, bins: Sequence[Bin]) -> None:
    """Equal marks together, few elements in all."""
    groups: dict[tuple[int, int], list[Bin]] = {}
    for one in bins:
        groups.setdefault((shade(one.correctness), size(one.examples)), []).append(one)
    for (colour, place), some in sorted(groups.items()):
        axes.plot(
            [one.variability for one in some],
            [one.confidence for one in some],
            **_mark(colour, _SIZES[place][1]),
        )


def _mark(colour: int, pixels: float) -> dict[str, Any]:
    return {
        "linestyle": "",
        "marker": "s",
        "markersize": pixels,
        "markerfacecolor": _SHADES[colour],
        "markeredgecolor": "#55523f",
        "markeredgewidth": 0.4,
        "clip_on": False,
    }


def _handles() -> list[Any]:
    right = [
        common.line_handle(f"predicted right: {words}" if place == 0 else words, **_mark(place, 8))
        for place, words in enumerate(_RIGHT)
    ]
    return right + [
        common.line_handle(words, **_mark(2, pixels))
        for words, (_, pixels) in zip(_NUMBERS, _SIZES, strict=True)
    ]
