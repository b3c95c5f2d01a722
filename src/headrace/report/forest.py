"""A comparison as a picture: each group's difference from the baseline with its interval, the best on top."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.analysis.comparison import Comparison, GroupResult, Verdict
from headrace.errors import InputError
from headrace.files import write_whole
from headrace.report.canvas import Canvas
from headrace.report.render import FORMATS, Format, saved
from headrace.report.style import FAINT, INK, Mark, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKS: dict[Verdict, Mark] = {
    "better": Mark(colour="#0072B2", marker="o", filled=True),
    "equivalent": Mark(colour="#009E73", marker="s", filled=True),
    "no difference shown": Mark(colour=FAINT, marker="o", filled=False),
    "worse": Mark(colour="#D55E00", marker="D", filled=True),
}
"""Verdicts differ in colour, marker and filling, so that they can be distinguished in print."""

_ROW, _PANEL, _TOP, _BOTTOM, _RIGHT = 22, 420, 58, 56, 18
_CHARACTER = 7.4
"""An upper estimate of a character's width, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Forest:
    """What is drawn.

    Attributes:
        metric: The metric's name.
        baseline: The baseline, its mean and its seeds, as text.
        groups: The best first.
        higher_is_better: On which side better is.
    """

    metric: str
    baseline: str
    groups: tuple[GroupResult, ...]
    higher_is_better: bool


def forest(comparison: Comparison, metric: str) -> Forest:
    """The comparison in the order in which it is drawn.

    Args:
        comparison: What was compared.
        metric: What the metric is called.
    """
    sign = -1 if comparison.higher_is_better else 1
    return Forest(
        metric=metric.replace("_", " "),
        baseline=(
            f"{comparison.baseline} ({comparison.baseline_mean:.4g}, {comparison.baseline_seeds} seeds)"
        ),
        groups=tuple(sorted(comparison.groups, key=lambda group: _place(sign * group.difference))),
        higher_is_better=comparison.higher_is_better,
    )


def _place(difference: float) -> float:
    """A group of which nothing is left comes last."""
    return difference if math.isfinite(difference) else math.inf


def draw(value: Forest) -> Figure:
    """The picture; call it within `style.styled`."""
    names = 14 + int(_CHARACTER * max(len(group.group) for group in value.groups))
    height = _ROW * len(value.groups)
    canvas = Canvas(names + _PANEL + _RIGHT, _TOP + height + _BOTTOM)
    axes = canvas.axes(names, _TOP, _PANEL, height)
    axes.axvline(0, color=INK, linewidth=1.2)
    for place, group in enumerate(value.groups):
        mark = MARKS[group.verdict]
        if not math.isfinite(group.difference):
            continue
        if group.tested:
            axes.plot(group.interval, (place, place), color=mark.colour, linewidth=1.8, solid_capstyle="butt")
        axes.plot([group.difference], [place], linestyle="none", **mark.style())
    axes.set_ylim(len(value.groups) - 0.5, -0.5)
    axes.set_yticks(range(len(value.groups)), [group.group for group in value.groups])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"{value.metric}: difference from {value.baseline}")
    better, worse = ("right", "left") if value.higher_is_better else ("left", "right")
    axes.set_title(f"further {better}: better; further {worse}: worse", loc="left", color=FAINT)
    canvas.legend(_legend({group.verdict for group in value.groups}))
    return canvas.figure


def write_forest(path: Path, comparison: Comparison, metric: str) -> None:
    """Draw the comparison into a file, by its suffix SVG, PDF or PNG.

    Args:
        path: The file; an existing one is replaced.
        comparison: What was compared.
        metric: What the metric is called.

    Raises:
        InputError: Another suffix, or a folder that does not exist.
    """
    form: Format | None = next((form for form in FORMATS if path.suffix == f".{form}"), None)
    if form is None:
        raise InputError(
            f"a figure's name ends in {', '.join(f'.{form}' for form in FORMATS)}",
            where="--figure",
            got=str(path),
        )
    if not path.parent.is_dir():
        raise InputError(
            "the folder does not exist", where="--figure", got=str(path.parent), fix="Make it first."
        )
    with styled("forest"):
        write_whole(path, saved(draw(forest(comparison, metric)), form, title=f"{metric} compared"))


def _legend(verdicts: set[Verdict]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], label=verdict, linewidth=1.8, **mark.style())
        for verdict, mark in MARKS.items()
        if verdict in verdicts
    ]
