"""What each level of one axis saves in steps against batch size: small panels on shared axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from headrace.analysis.gain_words import UNIFORM, levels_of
from headrace.analysis.verdict import configuration, name
from headrace.report.canvas import Box, Layout, batch_axis, decimal_axis, heading, legend_height, panel_grid
from headrace.report.figures import _common as common
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.numbers import plain, short
from headrace.report.style import FAINT, mark
from headrace.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.grid import Grid
    from headrace.analysis.joint import Levels, Point
    from headrace.analysis.results import Analysis

WORDS = Words(
    title="What is saved, against batch size",
    caption=(
        "Steps to the goal relative to the same configuration with the plain choice ({base}): below 1 saves "
        "steps. Points are replicates of the chosen settings with 95% intervals; the line and its band are "
        "the model of all studies together, on which the verdict rests.",
        "A line that rises towards 1 is a gain that fades as batches grow.",
    ),
)
_PREDICTED = (
    "The dashed line is what the gradient noise under the policy's own sampling predicts "
    "(headrace noise DIR --gain), without any measured steps."
)
_FIRST = ("policy", "subset", "optimizer", "workers")
_BOX = Box(top=44)


@dataclass(frozen=True, kw_only=True)
class Gain:
    """One line of a panel: a level of the axis in one configuration of the others.

    Attributes:
        panel: The level.
        label: The configuration of the other axes.
        place: Its mark.
        sizes: Batch sizes at which both were tried.
        ratios: Measured steps relative to the baseline's.
        spans: Their 95% intervals.
        line: The same of the model.
        band: Its 95% intervals.
        predicted: Batch size -> the same as the gradient noise predicts it, and its 95% interval.
    """

    panel: str
    label: str
    place: int
    sizes: tuple[float, ...]
    ratios: tuple[float, ...]
    spans: tuple[tuple[float, float], ...]
    line: tuple[float, ...]
    band: tuple[tuple[float, float], ...]
    predicted: Mapping[float, tuple[float, tuple[float, float]]] = field(default_factory=dict)


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis; none without replicates of a grid."""
    if analysis.grid is None:
        return []
    axis, found = gains(analysis.grid)
    base = name(analysis.grid.baselines[axis])
    caption = [text.format(base=base) for text in WORDS.caption]
    caption += [_PREDICTED] if any(gain.predicted for gain in found) else []
    words = Words(title=WORDS.title, caption=tuple(caption))
    said = "; ".join(
        f"{gain.panel}{f' with {gain.label}' if gain.label else ''}: {plain(gain.line[0])} times the steps "
        f"at batch size {short(int(gain.sizes[0]))}, {plain(gain.line[-1])} at {short(int(gain.sizes[-1]))}"
        for gain in found
    )
    return [
        Picture(
            name="gain",
            words=words,
            description=f"{words.title}. {said}.",
            table=_table(found),
            draw=partial(draw, found),
        )
    ]


def gains(grid: Grid) -> tuple[str, list[Gain]]:
    """The axis that panels are made of, and each of its levels in each configuration of the others."""
    axis = next(axis for axis in _FIRST if axis in grid.baselines)
    by_levels: dict[tuple[tuple[str, str], ...], dict[float, Point]] = {}
    for point in grid.joint.points:
        by_levels.setdefault(_key(point.levels), {})[point.batch_size] = point
    rests = list(dict.fromkeys(_key(_without(levels, axis)) for levels in grid.configurations))
    levels = dict.fromkeys(
        levels[axis] for levels in grid.configurations if levels[axis] != grid.baselines[axis]
    )
    found = list[Gain]()
    for level in levels:
        for place, rest in enumerate(rests):
            mine = by_levels.get(_key({**dict(rest), axis: level}), {})
            base = by_levels.get(_key({**dict(rest), axis: grid.baselines[axis]}), {})
            if sizes := sorted(mine.keys() & base.keys()):
                label = configuration(dict(rest)) if rest else ""
                pairs = [(mine[size], base[size]) for size in sizes]
                predicted = _predicted(grid, {**dict(rest), axis: level}) if axis == "policy" else {}
                found.append(replace(_gain(grid, name(level), label, place, pairs), predicted=predicted))
    return axis, found


def _predicted(grid: Grid, levels: Levels) -> dict[float, tuple[float, tuple[float, float]]]:
    """What is predicted of one configuration by batch size; relative to uniform sampling alone."""
    if grid.baselines["policy"] not in UNIFORM:
        return {}
    mine = (one for one in grid.predicted if levels_of(one, grid.baselines) == dict(levels))
    return {float(one.study.configuration.batch_size): (one.ratio, one.interval) for one in mine}


def _key(levels: Levels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(levels.items()))


def _without(levels: Levels, axis: str) -> dict[str, str]:
    return {other: level for other, level in levels.items() if other != axis}


def _gain(grid: Grid, panel: str, label: str, place: int, pairs: Sequence[tuple[Point, Point]]) -> Gain:
    from scipy.special import stdtrit

    t = float(stdtrit(grid.joint.freedom, 0.975))
    measured = [(a.log_steps - b.log_steps, math.hypot(a.error, b.error)) for a, b in pairs]
    modelled = [
        (one.value, one.error)
        for a, b in pairs
        if (
            one := grid.joint.estimate(
                "steps", [(a.levels, a.batch_size, 1.0), (b.levels, b.batch_size, -1.0)]
            )
        )
    ]
    return Gain(
        panel=panel,
        label=label,
        place=place,
        sizes=tuple(a.batch_size for a, _ in pairs),
        ratios=tuple(math.exp(value) for value, _ in measured),
        spans=tuple((math.exp(value - t * error), math.exp(value + t * error)) for value, error in measured),
        line=tuple(math.exp(value) for value, _ in modelled),
        band=tuple((math.exp(value - t * error), math.exp(value + t * error)) for value, error in modelled),
    )


def _table(found: Sequence[Gain]) -> Table:
    columns = (
        "level", "configuration", "batch_size", "steps_ratio", "low", "high",
        "model_ratio", "model_low", "model_high",
    )  # fmt: skip
    foretold = any(gain.predicted for gain in found)
    rows = [
        (gain.panel, gain.label, gain.sizes[i], gain.ratios[i], *gain.spans[i], gain.line[i], *gain.band[i])
        + (_foretold(gain, gain.sizes[i]) if foretold else ())
        for gain in found
        for i in range(len(gain.sizes))
    ]
    more = ("predicted_ratio", "predicted_low", "predicted_high") if foretold else ()
    return Table(columns=columns + more, rows=tuple(rows))


def _foretold(gain: Gain, size: float) -> tuple[float | None, ...]:
    if size not in gain.predicted:
        return None, None, None
    ratio, ends = gain.predicted[size]
    return ratio, *ends


def draw(found: Sequence[Gain], layout: Layout) -> Figure:
    """A panel a level, with a line a configuration of the other axes; all on the same two axes."""
    panels = list(dict.fromkeys(gain.panel for gain in found))
    labels = {gain.place: gain.label for gain in found if gain.label}
    handles = [common.line_handle(label, **mark(place).style()) for place, label in sorted(labels.items())]
    handles = handles if len(handles) > 1 else []
    head = legend_height(handles, layout.width) if handles else 0
    columns = min(layout.panels, len(panels))
    canvas, frames = panel_grid(layout, len(panels), columns=columns, height=220, box=_BOX, head=head)
    sizes = [size for gain in found for size in gain.sizes]
    values = [value for gain in found for span in (*gain.spans, *gain.band) for value in (*span, 1.0)]
    values += [ratio for gain in found for ratio, _ in gain.predicted.values()]
    for axes, panel in zip(frames, panels, strict=True):
        members = [gain for gain in found if gain.panel == panel]
        batch_axis(axes, sizes)
        decimal_axis(axes, values, pad=1.1)
        heading(axes, f"{panel}:\nsteps relative to the plain choice", left=_BOX.left)
        axes.axhline(1.0, color=FAINT, linewidth=1.2, zorder=1)
        _lines(axes, members, len(labels) or 1)
    if handles:
        canvas.legend(handles)
    return canvas.figure


def _lines(axes: Axes, members: Sequence[Gain], count: int) -> None:
    """Each configuration's points, line and band; `count` of them share a place on the axis."""
    for gain in members:
        style = mark(gain.place)
        lows, highs = zip(*gain.band, strict=True)
        axes.fill_between(gain.sizes, lows, highs, color=style.colour, alpha=0.12, linewidth=0)
        common.joined(axes, gain.sizes, gain.line, gain.place)
        if foretold := [(size, gain.predicted[size][0]) for size in gain.sizes if size in gain.predicted]:
            axes.plot(*zip(*foretold, strict=True), color=style.colour, linestyle=(0, (4, 3)), linewidth=1.6)
        places = [common.dodged(size, gain.place, count) for size in gain.sizes]
        common.draw_points(axes, list(zip(places, gain.ratios, strict=True)), gain.spans, gain.place)
