"""Which classes the methods took, over how often they occur."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.analysis.chosen import largest
from headrace.report.canvas import (
    Box,
    Layout,
    legend_height,
    linear_axis,
    panel_grid,
)
from headrace.report.figures import _common as common
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.numbers import plain
from headrace.report.style import FAINT, mark
from headrace.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.chosen import Holding
    from headrace.analysis.search_results import SearchAnalysis

WORDS = Words(
    title="Which classes were taken",
    caption=(
        "A class's share of the largest subset over its share of the training set: at 1 it is taken as often "
        "as it occurs. The bar is the range over the seeds. How far random subsets scatter shows what chance "
        "alone does.",
    ),
)

MOST_CLASSES = 16
"""With more classes those are shown that some method takes most or least."""


@dataclass(frozen=True, kw_only=True)
class ClassShares:
    """How often classes are taken, over how often they occur.

    Attributes:
        classes: Their names, as many as are shown.
        groups: Method -> its ratios: mean, least and greatest over the seeds, for each class.
        left_out: How many classes are not shown.
    """

    classes: tuple[str, ...]
    groups: Mapping[str, tuple[tuple[float, float, float], ...]]
    left_out: int = 0


def figures(analysis: SearchAnalysis) -> list[Picture | Absent]:
    """The figure of a search."""
    shares = class_shares(analysis.classes, largest(analysis.holdings))
    if shares is None:
        reason = "The labels of what was not chosen are hidden, so it is not known how often classes occur."
        return [Absent(name="classes", words=WORDS, reason=reason)]
    words = WORDS
    if shares.left_out:
        left = f"Of {shares.left_out + len(shares.classes)} classes those are shown that differ most from 1."
        words = replace(WORDS, caption=(*WORDS.caption, left))
    said = " ".join(
        f"{group}: {plain(min(some)[0])} to {plain(max(some)[0])}." for group, some in shares.groups.items()
    )
    return [
        Picture(
            name="classes",
            words=words,
            description=f"{WORDS.title}, the means of the classes. {said}",
            table=class_table(shares),
            draw=partial(draw, shares),
        )
    ]


def class_shares(names: Sequence[str], found: Sequence[Holding]) -> ClassShares | None:
    """The ratios of each method; None where labels are not known.

    Args:
        names: The classes' names.
        found: One holding a method, of its largest subset.
    """
    known = [(holding.group, holding.ratios) for holding in found if holding.ratios is not None]
    if not known:
        return None
    means = np.array([ratios.mean(axis=0) for _, ratios in known])
    there = np.flatnonzero(~np.isnan(means[0]))
    far = np.abs(means[:, there] - 1).max(axis=0)
    shown = np.sort(there[np.argsort(-far, kind="stable")[:MOST_CLASSES]])
    return ClassShares(
        classes=tuple(names[int(place)] for place in shown),
        groups={
            group: tuple(
                (float(column.mean()), float(column.min()), float(column.max()))
                for column in ratios[:, shown].T
            )
            for group, ratios in known
        },
        left_out=len(there) - len(shown),
    )


def class_table(shares: ClassShares) -> Table:
    """The values of the figure."""
    rows = tuple(
        (group, name, *values)
        for group, some in shares.groups.items()
        for name, values in zip(shares.classes, some, strict=True)
    )
    return Table(columns=("group", "class", "ratio", "least_over_seeds", "greatest_over_seeds"), rows=rows)


_ROW, _MARK = 12, 9
"""Pixels of one class, and of each mark in it."""


def draw(shares: ClassShares, layout: Layout) -> Figure:
    """A row for each class: how often each method took it over how often it occurs, with the seeds' range."""
    handles = [
        common.line_handle(group, linestyle="", **mark(place).style())
        for place, group in enumerate(shares.groups)
    ]
    left = 30 + min(150, 7 * max(len(name) for name in shares.classes))
    rows = len(shares.classes)
    canvas, (axes,) = panel_grid(
        layout,
        1,
        columns=1,
        height=(_ROW + _MARK * len(shares.groups)) * rows + 8,
        box=Box(left=left, right=16, top=12, bottom=48),
        head=legend_height(handles, layout.width),
    )
    ends = [value for some in shares.groups.values() for values in some for value in values]
    linear_axis(axes, max(0.0, min(*ends, 1.0) - 0.1), max(*ends, 1.0) + 0.1, which="x")
    axes.set_xlabel("share of the subset / share of the training set")
    axes.axvline(1.0, color=FAINT, linestyle="--", linewidth=1.3, zorder=1)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks(range(rows), [_cut(name) for name in shares.classes])
    for place, some in enumerate(shares.groups.values()):
        _dots(axes, some, place, len(shares.groups))
    canvas.legend(handles)
    return canvas.figure


def _dots(axes: Axes, some: Sequence[tuple[float, float, float]], place: int, count: int) -> None:
    shift = (place - (count - 1) / 2) * _MARK / (_ROW + _MARK * count)
    style: dict[str, Any] = mark(place).style(5.5)
    for row, (mean, low, high) in enumerate(some):
        axes.plot([low, high], [row + shift] * 2, color=mark(place).colour, linewidth=1.4, zorder=2)
        axes.plot([mean], [row + shift], linestyle="", zorder=3, **style)


def _cut(name: str) -> str:
    return name if len(name) <= 20 else name[:19] + "…"
