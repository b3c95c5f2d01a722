"""The distributions of scores in groups of examples, a panel for each score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.report.canvas import (
    Box,
    Layout,
    decimal_axis,
    heading,
    legend_height,
    linear_axis,
    panel_grid,
)
from headrace.report.figures import _common as common
from headrace.report.figures._base import Picture, Words
from headrace.report.style import INK, mark
from headrace.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 28
"""Bins of a distribution."""

SCORES: Mapping[str, str] = {
    "confidence": "confidence",
    "variability": "variability",
    "mean_loss": "mean loss",
    "aum": "AUM (mean margin)",
    "el2n": "EL2N",
    "transitions": "times forgotten",
    "loss_variance": "variance of the loss",
}
"""Column -> how it is written; a figure shows the first six that there are."""


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """The distribution of one score: the same bins for every policy.

    Attributes:
        score: The column.
        edges: [bins + 1]; of whole numbers the bins are one wide.
        shares: Policy -> the share of its examples in each bin [bins].
        least: The share that one example is, at the least.
    """

    score: str
    edges: tuple[float, ...]
    shares: Mapping[str, tuple[float, ...]]
    least: float


def score_figure(found: Sequence[Distribution], name: str, said: Words) -> Picture:
    """The distributions of scores in some groups of examples."""
    scores = ", ".join(one.score.replace("_", " ") for one in found)
    return Picture(
        name=name,
        words=said,
        description=f"{said.title}: {scores}, of {', '.join(found[0].shares)}.",
        table=distribution_table(found),
        draw=partial(draw, found),
    )


def distribution(score: str, groups: Mapping[str, np.ndarray]) -> Distribution:
    """The distribution of one score in each group, in common bins from the least to the greatest value."""
    everything = np.concatenate([np.asarray(values, dtype=np.float64) for values in groups.values()])
    whole = all(values.dtype.kind in "iu" for values in groups.values())
    edges = _edges(everything, whole=whole)
    shares: dict[str, tuple[float, ...]] = {}
    for name, values in groups.items():
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)
        shares[name] = tuple((counts / max(1, len(values))).tolist())
    least = 1 / max(len(values) for values in groups.values())
    return Distribution(score=score, edges=tuple(edges.tolist()), shares=shares, least=least)


def _edges(values: np.ndarray, *, whole: bool) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if whole:
        step = max(1, int(np.ceil((high - low + 1) / BINS)))
        return np.arange(low - 0.5, high + step + 0.5, step)
    return np.linspace(low, high if high > low else low + 1.0, BINS + 1)


def distribution_table(found: Sequence[Distribution]) -> Table:
    """The values of the figure."""
    rows = (
        (d.score, group, low, high, share)
        for d in found
        for group, shares in d.shares.items()
        for low, high, share in zip(d.edges, d.edges[1:], shares, strict=False)
    )
    return Table(columns=("score", "group", "from", "to", "share_of_examples"), rows=tuple(rows))


_DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (3, 1)),
    (0, (8, 2, 2, 2)),
)


def draw(found: Sequence[Distribution], layout: Layout) -> Figure:
    """A panel for each score: the share of the examples in each bin, on a logarithmic axis."""
    groups = list(found[0].shares)
    handles = _line_handles(groups) if len(groups) > 1 else []
    columns = min(len(found), 3 if layout.panels > 1 else 1)
    canvas, frames = panel_grid(
        layout,
        len(found),
        columns=columns,
        height=150,
        box=Box(left=58, right=12, top=50, bottom=34),
        head=legend_height(handles, layout.width) if handles else 0,
    )
    for place, (axes, one) in enumerate(zip(frames, found, strict=True)):
        left = "share of examples\n" if place % columns == 0 else ""
        _distribution(axes, one, f"{left}{SCORES.get(one.score, one.score.replace('_', ' '))} →")
    if handles:
        canvas.legend(handles)
    return canvas.figure


def _distribution(axes: Axes, one: Distribution, words: str) -> None:
    linear_axis(axes, one.edges[0], one.edges[-1], which="x")
    floor = one.least / 2
    decimal_axis(axes, [floor, max(share for shares in one.shares.values() for share in shares)], pad=1.2)
    axes.set_ylim(bottom=floor)
    heading(axes, words, left=50)
    for place, shares in enumerate(one.shares.values()):
        # Down to the floor where nothing is, so that a single bin is seen.
        heights = [floor, *(max(share, floor) for share in shares), floor]
        edges = [one.edges[0], *one.edges, one.edges[-1]]
        axes.plot(edges[:-1], heights, drawstyle="steps-post", **_line(place))


def _line(place: int) -> dict[str, Any]:
    colour = INK if place == 0 else mark(place).colour
    return {"color": colour, "linestyle": _DASHES[place % len(_DASHES)], "linewidth": 1.5}


def _line_handles(groups: Sequence[str]) -> list[Any]:
    return [common.line_handle(group, **_line(place)) for place, group in enumerate(groups)]
