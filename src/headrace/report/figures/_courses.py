"""What the figures of training share: the best trial of each study against steps and against examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from headrace.report.canvas import (
    Box,
    Layout,
    binary_axis,
    decimal_axis,
    heading,
    legend_height,
    note,
    panel_grid,
)
from headrace.report.figures import _common as common
from headrace.report.figures._base import Picture, Words
from headrace.report.numbers import plain, short, whole
from headrace.report.style import FAINT, shade
from headrace.report.tables import Table
from headrace.report.values import Curve, Row, curves, key_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.results import Analysis

READ = (
    "One line for each batch size, from light (the smallest) to dark: the trial that reached the goal in the "
    "fewest steps, until then; where none did, the one that came nearest, as long as it was trained. First "
    "against steps, which is time if a larger batch takes no longer; then against the examples trained on, "
    "which is cost."
)
MOST = {2: 6, 1: 3}
"""Panels next to each other -> how many curves have panels; the data have all."""
_MORE = (
    "Panels are for the first curves, six on a wide page, three on a narrow one; the data have all {count}."
)
_SAID = 6
"""How many courses are described to those who do not see them."""
_LINES = 18
"""Pixels of a line of a heading."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """One trial.

    Attributes:
        curve: Its curve's label.
        batch_size: Examples per step.
        trial: Its index.
        rows: Its measurements, by step: step, examples, train_loss, validation_loss, validation, test.
    """

    curve: str
    batch_size: int
    trial: int
    rows: tuple[Row, ...]

    def line(self, along: str, value: str, worth: float) -> tuple[list[float], list[float]]:
        """The points of a column against "step" or "examples" times `worth`, where both are known."""
        known = (row for row in self.rows if row[along] and row[value] is not None)
        found = [(row[along] * worth, row[value]) for row in known]
        return [x for x, _ in found], [y for _, y in found]


@dataclass(frozen=True, kw_only=True)
class View:
    """What one figure shows of the courses.

    Attributes:
        courses: All that are known.
        curves: All curves that have courses.
        lines: Column and line style of each kind of line.
        name: What the vertical axes show.
        goal: Where the goal is; None for no line.
    """

    courses: tuple[Course, ...]
    curves: tuple[Curve, ...]
    lines: tuple[tuple[str, str], ...]
    name: str
    goal: float | None = None

    @property
    def sizes(self) -> list[int]:
        """Every batch size, ascending."""
        return sorted({course.batch_size for course in self.courses})


def course_figure(name: str, words: Words, view: View, column: str) -> Picture:
    """The figure of a view.

    Args:
        name: Its name.
        words: Its words; a paragraph is added where not every curve has panels.
        view: What it shows.
        column: The column whose last values are described to those who do not see it.
    """
    more = (_MORE.format(count=len(view.curves)),) if len(view.curves) > min(MOST.values()) else ()
    return Picture(
        name=name,
        words=replace(words, caption=(*words.caption, *more)),
        description=f"{words.title}. {_in_words(view, column)}",
        table=_table(view),
        draw=partial(draw, view),
    )


def view_of(
    analysis: Analysis, lines: Sequence[tuple[str, str]], name: str, goal: float | None
) -> View | None:
    """The view of an analysis whose trials were read, and have a value to draw; see `View`."""
    known = curves(analysis)
    courses = tuple(
        course
        for course in _read(analysis, known)
        if any(course.line(along, value, 1.0)[0] for along in ("step", "examples") for value, _ in lines)
    )
    found = tuple(curve for curve in known if any(course.curve == curve.label for course in courses))
    shown = View(courses=courses, curves=found, lines=tuple(lines), name=name, goal=goal)
    return shown if courses else None


def _read(analysis: Analysis, found: Sequence[Curve]) -> tuple[Course, ...]:
    """The courses of an analysis, by curve and batch size."""
    if analysis.courses is None:
        return ()
    keys = list(dict.fromkeys(key_of(row) for row in analysis.steps.to_dicts()))
    groups: dict[tuple[int, int, int], list[Row]] = {}
    for row in analysis.courses.to_dicts():
        groups.setdefault((keys.index(key_of(row)), row["batch_size"], row["trial"]), []).append(row)
    return tuple(
        Course(curve=found[place].label, batch_size=size, trial=trial, rows=tuple(rows))
        for (place, size, trial), rows in sorted(groups.items())
    )


def _table(view: View) -> Table:
    """Every measurement that is drawn, of every curve."""
    columns = ("step", "examples", *(column for column, _ in view.lines))
    rows = tuple(
        (course.curve, course.batch_size, course.trial, *(row[name] for name in columns), view.goal)
        for course in view.courses
        for row in course.rows
    )
    return Table(columns=("curve", "batch_size", "trial", *columns, "goal"), rows=rows)


def _in_words(view: View, column: str) -> str:
    """The last value of the first courses."""
    ends = [(course, course.rows[-1]) for course in view.courses[:_SAID]]
    said = [
        f"{course.curve}, batch size {short(course.batch_size)}: {plain(end[column])} after "
        f"{whole(end['step'])} steps"
        for course, end in ends
        if end[column] is not None
    ]
    return f"The last {view.name}: {'; '.join(said)}."


def draw(view: View, layout: Layout) -> Figure:
    """A row of two panels for each curve: against steps, and against examples."""
    handles = [
        common.line_handle(f"batch size {short(size)}", color=shade(place, len(view.sizes)), linewidth=2)
        for place, size in enumerate(view.sizes)
    ]
    shown = view.curves[: MOST[layout.panels]]
    names = [_named(view, curve, layout) for curve in shown]
    box = Box(top=16 + _LINES * max(len(lines) for lines in names))
    canvas, frames = panel_grid(
        layout,
        2 * len(names),
        columns=layout.panels,
        height=200,
        box=box,
        head=legend_height(handles, layout.width),
    )
    for place, (curve, lines) in enumerate(zip(shown, names, strict=True)):
        for axes, along in zip(frames[2 * place : 2 * place + 2], ("step", "examples"), strict=True):
            _panel(axes, view, curve, along)
            # Next to each other the name of the curve is over the first panel, and may be as wide as both.
            beside = along == "examples" and layout.panels > 1
            heading(axes, view.name if beside else "\n".join(lines), left=box.left)
    canvas.legend(handles)
    return canvas.figure


def _named(view: View, curve: Curve, layout: Layout) -> list[str]:
    """The lines over a panel."""
    label = wrap(curve.label, layout.width // 8) if len(view.curves) > 1 else []
    return [*label, view.name]


def _panel(axes: Axes, view: View, curve: Curve, along: str) -> None:
    worth = curve.worth if along == "examples" else 1.0
    rows = [row for course in view.courses for row in course.rows]
    scale: Callable[..., None] = binary_axis if along == "step" else decimal_axis
    # One scale for all panels of a column, so that they compare.
    scale(axes, [row[along] * worth for row in rows if row[along]], which="x", pad=1.1)
    axes.set_xlabel("steps" if along == "step" else f"{curve.unit} trained on")
    values = common.finite([*(row[value] for row in rows for value, _ in view.lines), view.goal])
    decimal_axis(axes, values, pad=1.15)
    for course in view.courses:
        if course.curve == curve.label:
            _lines(axes, course, view, along, worth)
    if view.goal is not None:
        axes.axhline(view.goal, color=FAINT, linestyle="--", linewidth=1.2)
        note(axes, "goal", 0.01, _height(axes, view.goal) + 0.01)


def _lines(axes: Axes, course: Course, view: View, along: str, worth: float) -> None:
    colour = shade(view.sizes.index(course.batch_size), len(view.sizes))
    for value, style in view.lines:
        xs, ys = course.line(along, value, worth)
        # A point at its end, where it reached the goal or stopped.
        end: dict[str, Any] = {"marker": "o", "markersize": 4, "markevery": [len(xs) - 1]}
        if xs:
            axes.plot(xs, ys, color=colour, linestyle=style, linewidth=1.5, **end)


def _height(axes: Axes, value: float) -> float:
    """Where a value is, as a share of the frame's height."""
    return float(axes.transAxes.inverted().transform(axes.transData.transform((1.0, value)))[1])
