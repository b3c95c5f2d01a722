"""What each epoch was fed: the effective sample size, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from headrace.analysis.words import percent
from headrace.report.canvas import (
    Box,
    Layout,
    heading,
    legend_height,
    linear_axis,
    panel_grid,
    percent_axis,
)
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.figures._portraits import numbered, together
from headrace.report.style import mark
from headrace.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.portraits import FedEpoch, Reading
    from headrace.analysis.results import Analysis

WORDS = Words(
    title="What each epoch was fed",
    caption=(
        "Effective sample size: if w is the total weight of an example's draws in the epoch, (sum of w)² / "
        "sum of w², as a share of the training set. It is 100% if all examples count alike. Drawing as "
        "many at random with replacement alone gives 50%.",
        "Unseen: the share of the training set without weight in the epoch; never seen: in this epoch and "
        "all before it. What is never seen cannot be learnt from.",
    ),
)


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """A figure for every few policies; none where there are no portraits."""
    return [
        _figure(group, numbered("feed", place)) for place, group in enumerate(together(analysis.portraits))
    ]


def _figure(readings: Sequence[Reading], name: str) -> Picture | Absent:
    fed = feeds(readings)
    if not fed:
        reason = "No epoch was fed to its end."
        return Absent(name=name, words=WORDS, reason=reason)
    if is_even(fed):
        reason = (
            "Every epoch trained on every example once, all with the same weight: the effective sample size "
            "is 100% and nothing was left out."
        )
        return Absent(name=name, words=WORDS, reason=reason)
    said = "; ".join(
        f"{policy}: in the last of {len(rows)} epochs {percent(rows[-1].effective)} effective, "
        f"{percent(rows[-1].unseen)} unseen, {percent(rows[-1].never_seen)} never seen"
        for policy, rows in fed.items()
    )
    return Picture(
        name=name,
        words=WORDS,
        description=f"{WORDS.title}. {said}.",
        table=feed_table(fed),
        draw=partial(draw, fed),
    )


def feeds(readings: Sequence[Reading]) -> dict[str, tuple[FedEpoch, ...]]:
    """Policy -> what its whole epochs were fed; without policies that had no whole epoch."""
    return {reading.policy: reading.fed for reading in readings if reading.fed}


def is_even(fed: Mapping[str, Sequence[FedEpoch]]) -> bool:
    """Whether every epoch of all trained on every example, and on all alike."""
    return all(row.effective > 1 - 1e-9 and row.unseen == 0 for rows in fed.values() for row in rows)


def feed_table(fed: Mapping[str, Sequence[FedEpoch]]) -> Table:
    """The values of the figure."""
    columns = ("policy", "epoch", "examples_trained", "effective_share", "unseen_share", "never_seen_share")
    rows = (
        (policy, row.number, row.draws, row.effective, row.unseen, row.never_seen)
        for policy, some in fed.items()
        for row in some
    )
    return Table(columns=columns, rows=tuple(rows))


_PARTS = (
    ("effective sample size", "effective"),
    ("unseen in the epoch", "unseen"),
    ("never seen so far", "never_seen"),
)
"""What each panel shows, and its name in a row."""


def draw(fed: Mapping[str, Sequence[FedEpoch]], layout: Layout) -> Figure:
    """Three panels against the epoch: effective sample size, unseen in the epoch, never seen so far."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], label=policy, linewidth=1.4, **mark(place).style(5))
        for place, policy in enumerate(fed)
    ]
    canvas, frames = panel_grid(
        layout,
        len(_PARTS),
        columns=len(_PARTS) if layout.panels > 1 else 1,
        height=200,
        box=Box(left=52, right=12, top=50, bottom=46),
        head=legend_height(handles, layout.width),
    )
    longest = max(row.number for rows in fed.values() for row in rows)
    for axes, (words, name) in zip(frames, _PARTS, strict=True):
        linear_axis(axes, 1 - 0.02 * longest, longest * 1.02, which="x", integers=True)
        percent_axis(axes)
        axes.set_xlabel("epoch")
        heading(axes, f"{words},\nshare of training set", left=46)
        for place, rows in enumerate(fed.values()):
            _line(axes, rows, name, place, every=max(1, longest // 12))
    canvas.legend(handles)
    return canvas.figure


def _line(axes: Axes, rows: Sequence[FedEpoch], name: str, place: int, *, every: int) -> None:
    axes.plot(
        [row.number for row in rows],
        [100 * getattr(row, name) for row in rows],
        linewidth=1.4,
        clip_on=False,
        markevery=every,
        **mark(place).style(5),
    )
