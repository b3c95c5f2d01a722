"""Data maps, distributions of scores, and what each epoch was fed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.report.canvas import (
    Box,
    Layout,
    decimal_axis,
    heading,
    legend_height,
    linear_axis,
    panel_grid,
    percent_axis,
)
from headrace.report.pictures import _common as common
from headrace.report.portraits import SCORES, Bin, DataMap, Distribution
from headrace.report.style import INK, mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.store.portrait_records import Fed

_SHADES = ("#00204d", "#414d6b", "#7c7b78", "#bcae6c", "#ffe945")
"""Cividis in five steps: its lightness alone tells them apart, for every eye and in print."""
_RIGHT = ("never right", "up to 25 %", "up to 50 %", "up to 75 %", "more")
_SIZES = ((1, 3.0), (9, 5.0), (99, 7.2), (10**12, 9.4))
_NUMBERS = ("1", "2 to 9", "10 to 99", "100 examples or more")
_DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (3, 1)),
    (0, (8, 2, 2, 2)),
)


def shade(correctness: float) -> int:
    """The place of the colour: 0 for never right, then the quarters."""
    return 0 if correctness <= 0 else 1 + min(3, int((correctness - 1e-9) * 4))


def size(examples: int) -> int:
    """The place of the mark's size."""
    return next(place for place, (most, _) in enumerate(_SIZES) if examples <= most)


def draw_maps(maps: Sequence[DataMap], layout: Layout) -> Figure:
    """A panel for each policy: variability across, confidence up, the colour tells how often right."""
    handles = _map_handles()
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


def _map_handles() -> list[Any]:
    right = [
        common.line_handle(f"predicted right: {words}" if place == 0 else words, **_mark(place, 8))
        for place, words in enumerate(_RIGHT)
    ]
    return right + [
        common.line_handle(words, **_mark(2, pixels))
        for words, (_, pixels) in zip(_NUMBERS, _SIZES, strict=True)
    ]


def draw_distributions(found: Sequence[Distribution], layout: Layout) -> Figure:
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


def draw_feeds(fed: Mapping[str, Sequence[Fed]], layout: Layout) -> Figure:
    """Three panels against the epoch: effective sample size, unseen in the epoch, never seen so far."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], label=policy, linewidth=1.4, **mark(place).style(5))
        for place, policy in enumerate(fed)
    ]
    columns = 3 if layout.panels > 1 else 1
    canvas, frames = panel_grid(
        layout,
        3,
        columns=columns,
        height=200,
        box=Box(left=52, right=12, top=50, bottom=46),
        head=legend_height(handles, layout.width),
    )
    parts = (
        ("effective sample size", "effective"),
        ("unseen in the epoch", "unseen"),
        ("never seen so far", "never_seen"),
    )
    longest = max(row.epoch + 1 for rows in fed.values() for row in rows)
    for axes, (words, name) in zip(frames, parts, strict=True):
        linear_axis(axes, 1 - 0.02 * longest, longest * 1.02, which="x", integers=True)
        percent_axis(axes)
        axes.set_xlabel("epoch")
        heading(axes, f"{words},\nshare of training set", left=46)
        for place, rows in enumerate(fed.values()):
            axes.plot(
                [row.epoch + 1 for row in rows],
                [100 * getattr(row, name) for row in rows],
                linewidth=1.4,
                clip_on=False,
                markevery=max(1, longest // 12),
                **mark(place).style(5),
            )
    canvas.legend(handles)
    return canvas.figure


def _line(place: int) -> dict[str, Any]:
    colour = INK if place == 0 else mark(place).colour
    return {"color": colour, "linestyle": _DASHES[place % len(_DASHES)], "linewidth": 1.5}


def _line_handles(groups: Sequence[str]) -> list[Any]:
    return [common.line_handle(group, **_line(place)) for place, group in enumerate(groups)]
