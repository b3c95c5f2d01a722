"""The metric of each method against the size of the subset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from headrace.analysis.search_results import Compared, Mean
from headrace.report.canvas import (
    Box,
    Layout,
    heading,
    legend_height,
    linear_axis,
    panel_grid,
    size_axis,
)
from headrace.report.figures import _common as common
from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.numbers import plain, whole
from headrace.report.style import FAINT, mark
from headrace.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headrace.analysis.search_results import SearchAnalysis

WORDS = Words(
    title="The result against the size of the subset",
    caption=(
        "The mean over the seeds of the metric at the end of training on the subset; lower is better. The "
        "bars are 95% intervals of the mean. Points at one size are drawn next to each other. The dashed "
        "line with its band is training on everything.",
        "A method is worth its cost only if it is below random by more than the intervals: the "
        "verdicts above test that, corrected for how many methods and sizes there are. With a budget of "
        "steps all sizes cost the same; with a budget of epochs smaller subsets are trained for fewer steps.",
        "Where a search begins at random, all its methods are the same subset at the first size.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One group of a comparison: the metric against the size of the subset.

    Attributes:
        group: The method, or the baseline.
        sizes: Examples, rising.
        means: Over the seeds.
        spans: The intervals of the means; the mean itself where there is one seed.
    """

    group: str
    sizes: tuple[int, ...]
    means: tuple[float, ...]
    spans: tuple[tuple[float, float], ...]


def figures(analysis: SearchAnalysis) -> list[Picture | Absent]:
    """The figure of the search, and one for each training to which its subsets were transferred."""
    results, reason = analysis.results, _UNKNOWN if analysis.people else _NOT_ASKED
    found = [_figure("sizes", WORDS, results, results.examples) or _absent("sizes", WORDS, reason)]
    for place, other in enumerate(results.transfers, start=1):
        name, words = f"sizes-{place}", replace(WORDS, title=f"{WORDS.title}: {other.name}")
        found.append(_figure(name, words, other, results.examples) or _absent(name, words, _NOT_ASKED))
    return found


_NOT_ASKED = "Nothing was compared: give the search a table [comparison]."
_UNKNOWN = (
    "Nothing was compared, because people gave the labels, and none to what was not chosen. With "
    "oracle = 'dataset', on data whose labels are known, a search can be compared."
)


def _absent(name: str, words: Words, reason: str) -> Picture | Absent:
    return Absent(name=name, words=words, reason=reason)


def _figure(name: str, words: Words, results: Compared, examples: int) -> Picture | None:
    """The figure of one comparison on `examples` training examples; None where nothing was compared."""
    found, metric = lines(results.table), results.metric.replace("/", " ")
    if not any(line.group != "full" for line in found):
        return None
    said = "; ".join(
        f"{line.group}: {plain(line.means[-1])} at {whole(line.sizes[-1])} examples" for line in found
    )
    return Picture(
        name=name,
        words=words,
        description=f"{words.title}, {metric}. {said}.",
        table=line_table(results.table),
        draw=partial(draw, found, metric, examples),
    )


def lines(table: Sequence[Mean]) -> tuple[Line, ...]:
    """The groups, in the order of the table."""
    groups: dict[str, list[Mean]] = {}
    for row in table:
        groups.setdefault(row.group, []).append(row)
    return tuple(_line(group, sorted(rows, key=lambda row: row.size)) for group, rows in groups.items())


def _line(group: str, rows: Sequence[Mean]) -> Line:
    return Line(
        group=group,
        sizes=tuple(row.size for row in rows),
        means=tuple(row.mean for row in rows),
        spans=tuple(row.interval or (row.mean, row.mean) for row in rows),
    )


def line_table(table: Sequence[Mean]) -> Table:
    """The values of the figure."""
    rows = tuple(
        (row.group, row.size, row.share, row.mean, *(row.interval or (None, None)), row.seeds)
        for row in table
    )
    return Table(columns=("group", "examples", "share", "mean", "low", "high", "seeds"), rows=rows)


def draw(lines: Sequence[Line], metric: str, whole: int, layout: Layout) -> Figure:
    """A line for each group with the intervals of its means; everything as a band across.

    Args:
        lines: The groups; that named "full" is the band.
        metric: What is measured.
        whole: The size of the training set.
        layout: The width.
    """
    shown = [line for line in lines if line.group != "full"]
    full = next((line for line in lines if line.group == "full"), None)
    handles = [common.line_handle(line.group, **mark(place).style()) for place, line in enumerate(shown)]
    handles += [common.line_handle("full: all examples", color=FAINT, linestyle="--")] if full else []
    box = Box(left=62, right=16, top=34, bottom=50)
    canvas, (axes,) = panel_grid(
        layout, 1, columns=1, height=300, box=box, head=legend_height(handles, layout.width)
    )
    size_axis(axes, [size for line in shown for size in line.sizes], whole)
    ends = [end for line in lines for span in line.spans for end in span]
    pad = 0.06 * (max(ends) - min(ends)) or 0.01
    linear_axis(axes, max(0.0, min(ends) - pad), max(ends) + pad)
    heading(axes, f"{metric}, lower is better", left=box.left)
    if full:
        axes.axhspan(*full.spans[0], color="#efefef", zorder=0)
        axes.axhline(full.means[0], color=FAINT, linestyle="--", linewidth=1.3, zorder=1)
    for place, line in enumerate(shown):
        _draw_line(axes, line, place, len(shown))
    canvas.legend(handles)
    return canvas.figure


def _draw_line(axes: Axes, line: Line, place: int, count: int) -> None:
    xs = [common.dodged(size, place, count) for size in line.sizes]
    common.joined(axes, xs, line.means, place)
    common.draw_points(axes, list(zip(xs, line.means, strict=True)), line.spans, place)
