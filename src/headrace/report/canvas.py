"""Where things are in a figure, in pixels: one user unit of the figure is one pixel as it is shown.

Each figure is drawn twice, for a wide and for a narrow page, so that text keeps its size on a telephone
instead of shrinking with the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.analysis.words import percent
from headrace.report.numbers import binary_ticks, decimal_ticks, linear_ticks, plain, short, whole
from headrace.report.style import FAINT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_UNITS_PER_INCH = 72
_LEGEND_ROW = 21
_LEAST, _MOST = 1e-300, 1e300
"""What a logarithmic axis shows at most, so that its margins are numbers too."""
_CHARACTER = 7.2
"""An upper estimate of a character's width at the size of `style.TEXT`."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One of the two widths that a figure is drawn for.

    Attributes:
        name: Its name in ids and classes.
        width: Pixels; the page never shows the figure narrower.
        panels: How many larger panels are next to each other.
        small_panels: How many of a series of small panels do.
    """

    name: str
    width: int
    panels: int
    small_panels: int


WIDE = Layout(name="wide", width=680, panels=2, small_panels=4)
NARROW = Layout(name="narrow", width=328, panels=1, small_panels=2)


@dataclass(frozen=True, kw_only=True)
class Box:
    """The space around each panel, in pixels."""

    left: int = 56
    right: int = 14
    top: int = 34
    bottom: int = 48


class Canvas:
    """A figure that is filled from the top; coordinates are pixels from the upper left corner.

    Args:
        width: Pixels.
        height: Pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure: Figure = Figure(figsize=(width / _UNITS_PER_INCH, height / _UNITS_PER_INCH), dpi=72)

    def axes(self, left: float, top: float, width: float, height: float, **keywords: Any) -> Axes:
        """Axes whose frame has its upper left corner at (`left`, `top`)."""
        place = (
            left / self.width,
            1 - (top + height) / self.height,
            width / self.width,
            height / self.height,
        )
        return self.figure.add_axes(place, **keywords)

    def legend(self, handles: Sequence[Any], top: float = 0) -> None:
        """A legend in as many rows as it takes, filled like text; its upper edge at `top`."""
        for place, row in enumerate(_legend_rows(handles, self.width)):
            self.figure.add_artist(self._legend_row(row, top + 4 + place * _LEGEND_ROW))

    def _legend_row(self, handles: Sequence[Any], top: float) -> Any:
        from matplotlib.legend import Legend

        return Legend(
            self.figure,
            handles,
            [str(handle.get_label()) for handle in handles],
            loc="upper left",
            bbox_to_anchor=(0, 1 - top / self.height),
            bbox_transform=self.figure.transFigure,
            ncols=len(handles),
            borderaxespad=0,
            borderpad=0,
            handlelength=1.9,
            handletextpad=0.5,
            columnspacing=1.4,
        )


def _legend_rows(handles: Sequence[Any], width: float) -> list[list[Any]]:
    """Handles row by row, each row as full as an upper estimate of the labels' widths allows."""
    rows: list[list[Any]] = []
    used = width + 1.0
    for handle in handles:
        needed = len(str(handle.get_label())) * _CHARACTER + 42
        if used + needed > width + 18:
            rows.append([])
            used = 0.0
        rows[-1].append(handle)
        used += needed
    return rows


def legend_height(handles: Sequence[Any], width: float) -> int:
    """Pixels that a legend of these handles takes, a gap below it included."""
    return len(_legend_rows(handles, width)) * _LEGEND_ROW + 14


def panel_grid(
    layout: Layout, count: int, *, columns: int, height: int, box: Box, head: int = 0
) -> tuple[Canvas, list[Axes]]:
    """A canvas with `count` panels in rows of `columns`, below a head of `head` pixels.

    Args:
        layout: The width to fill.
        count: How many panels.
        columns: How many are next to each other.
        height: Pixels of one panel's frame.
        box: The space around each.
        head: Pixels left free at the top.

    Returns:
        The canvas and the axes, row by row.
    """
    rows = -(-count // columns)
    cell_width, cell_height = layout.width / columns, box.top + height + box.bottom
    canvas = Canvas(layout.width, head + rows * cell_height)
    frames = [
        canvas.axes(
            (place % columns) * cell_width + box.left,
            head + (place // columns) * cell_height + box.top,
            cell_width - box.left - box.right,
            height,
        )
        for place in range(count)
    ]
    return canvas, frames


def heading(axes: Axes, text: str, *, left: float = 0, colour: str | None = None) -> None:
    """What the vertical axis shows, written level above it; `left` pixels further out than the frame."""
    axes.annotate(
        text,
        xy=(0, 1),
        xycoords="axes fraction",
        xytext=(-left, 10),
        textcoords="offset points",
        ha="left",
        va="bottom",
        color=colour,
    )


def note(axes: Axes, text: str, x: float, y: float, *, ha: str = "left", va: str = "bottom") -> None:
    """A faint remark inside a panel, placed in fractions of its frame."""
    axes.text(x, y, text, transform=axes.transAxes, ha=ha, va=va, color=FAINT)


def frame_size(axes: Axes) -> tuple[int, int]:
    """Width and height of the frame in whole pixels."""
    box = axes.get_window_extent()
    return round(box.width), round(box.height)


def batch_axis(
    axes: Axes, sizes: Sequence[float], *, label: str | None = None, tokens: float | None = None
) -> None:
    """The horizontal axis of batch sizes: powers of two as plain numbers, `1k` being 1024.

    Args:
        axes: Where.
        sizes: The batch sizes, in examples.
        label: In place of the usual one.
        tokens: How many tokens an example has: the axis is then labelled in tokens.
    """
    low, high = _limits(sizes, 1.5)
    axes.set_xscale("log", base=2)
    axes.set_xlim(low, high)
    ticks = binary_ticks(low, high, frame_size(axes)[0] // 40)
    _set_ticks(axes, "x", ticks, [short(round(tick * (tokens or 1))) for tick in ticks])
    usual = "batch size (examples)" if tokens is None else "batch size (tokens)"
    axes.set_xlabel(usual if label is None else label)


def binary_axis(axes: Axes, values: Sequence[float], *, which: str = "y", pad: float = 1.35) -> None:
    """A logarithmic axis of counts: powers of two, written in full if there is room."""
    low, high = _limits(values, pad)
    _scale(axes, which, 2, low, high)
    width, height = frame_size(axes)
    room = height // 26 if which == "y" else width // 58
    ticks = binary_ticks(low, high, room)
    _set_ticks(axes, which, ticks, [whole(tick) if tick < 100_000 else _large(tick) for tick in ticks])


def _limits(values: Sequence[float], pad: float) -> tuple[float, float]:
    """The ends of a logarithmic axis, `pad` times beyond the values that have a place on it."""
    shown = [min(max(value, _LEAST), _MOST) for value in values if 0 < value < math.inf] or [1.0]
    return min(shown) / pad, max(shown) * pad


def _large(count: int) -> str:
    """A count of 100,000 or more as powers of two shorten it: `128k`, `4M` (1k = 1024, 1M = 1024k)."""
    return f"{count // 2**20}M" if count % 2**20 == 0 else short(count)


def decimal_axis(
    axes: Axes, values: Sequence[float], *, which: str = "y", pad: float = 1.5, complement: bool = False
) -> None:
    """A logarithmic axis of round decimal numbers; `complement` writes 1 - x at x, for 1 - momentum."""
    low, high = _limits(values, pad)
    _scale(axes, which, 10, low, high)
    width, height = frame_size(axes)
    ticks = decimal_ticks(low, high, height // 26 if which == "y" else width // 52)
    _set_ticks(axes, which, ticks, [plain(1 - tick if complement else tick, 6) for tick in ticks])


def _scale(axes: Axes, which: str, base: int, low: float, high: float) -> None:
    if which == "y":
        axes.set_yscale("log", base=base)
        axes.set_ylim(low, high)
    else:
        axes.set_xscale("log", base=base)
        axes.set_xlim(low, high)


def _set_ticks(axes: Axes, which: str, ticks: Sequence[float], labels: Sequence[str]) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_major_formatter(FixedFormatter(list(labels)))
    axis.set_minor_locator(NullLocator())


def linear_axis(axes: Axes, low: float, high: float, *, which: str = "y", integers: bool = False) -> None:
    """A linear axis from `low` to `high` with ticks at round numbers, whole ones where asked for."""
    if which == "y":
        axes.set_ylim(low, high)
    else:
        axes.set_xlim(low, high)
    width, height = frame_size(axes)
    ticks = linear_ticks(low, high, height // 30 if which == "y" else width // 44, integers=integers)
    _set_ticks(axes, which, ticks, [plain(tick, 6) for tick in ticks])


def percent_axis(axes: Axes) -> None:
    """A vertical axis of percentages, from 0 to 100."""
    axes.set_ylim(-2, 102)
    ticks = (0, 25, 50, 75, 100)
    _set_ticks(axes, "y", ticks, [f"{tick}%" for tick in ticks])


def size_axis(axes: Axes, sizes: Sequence[float], whole: int) -> None:
    """A horizontal axis of subset sizes, doubling evenly, with the sizes themselves as shares of `whole`."""
    low, high = _limits(sizes, 1.25)
    axes.set_xscale("log", base=2)
    axes.set_xlim(low, high)
    ticks: list[float] = []
    for size in sorted(set(sizes)):
        if not ticks or _apart(axes, ticks[-1], size) >= 58:
            ticks.append(size)
    _set_ticks(axes, "x", ticks, [percent(tick / whole, digits=3) for tick in ticks])
    axes.set_xlabel(f"share of the {whole:,} training examples")


def _apart(axes: Axes, first: float, second: float) -> float:
    """Pixels between two places of the horizontal axis."""
    places = axes.transData.transform([(first, axes.get_ylim()[0]), (second, axes.get_ylim()[0])])
    return float(places[1][0] - places[0][0])
