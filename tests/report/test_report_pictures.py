"""What every figure keeps: its text size, its frame, its bytes; the mark of each curve."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from headrace.report.canvas import NARROW, WIDE, Layout
from headrace.report.figures import Picture, figures, scaling
from headrace.report.render import inline_svg, saved
from headrace.report.style import mark, styled
from headrace.report.values import Curve, Fit, Point, curves

from .made import Made, analysis

MADE = analysis(Made(sizes=(8, 512, 16384), trials=12, whole_curves=True))
PICTURES = [f for f in figures("experiment", MADE) if isinstance(f, Picture)]


def drawn(picture: Picture, layout: Layout) -> str:
    with styled(picture.name):
        svg = saved(picture.draw(layout), "svg", title=picture.words.title)
    return inline_svg(svg, prefix=f"{picture.name}-{layout.name}", description=picture.description)


def test_every_figure_of_the_protocol_is_there() -> None:
    assert [picture.name for picture in PICTURES] == [
        "scaling", "training", "losses", "normalised", "examples", "trade-off", "hyperparameters",
        "search-1-sgd", "search-2-nesterov-momentum", "budgets",
    ]  # fmt: skip


@pytest.mark.parametrize("layout", [WIDE, NARROW], ids=lambda layout: layout.name)
@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_text_is_at_least_12_px_at_the_width_shown(picture: Picture, layout: Layout) -> None:
    root = ElementTree.fromstring(drawn(picture, layout))
    assert float(root.attrib["width"]) == layout.width
    assert float(root.attrib["viewBox"].split()[2]) == layout.width
    texts = [element for element in root.iter() if element.tag.endswith("}text")]
    sizes = [
        float(size) for text in texts for size in re.findall(r"font-size: ([\d.]+)px", text.attrib["style"])
    ]
    assert len(sizes) == len(texts) > 5
    assert min(sizes) >= 12
    assert not any("scale(" in element.attrib.get("transform", "") for element in root.iter())


def test_the_same_figure_gives_the_same_bytes_in_every_format() -> None:
    picture = PICTURES[0]
    for form in ("svg", "pdf", "png"):
        found = set()
        for _ in range(2):
            with styled(picture.name):
                found.add(saved(picture.draw(WIDE), form, title="A title"))
        assert len(found) == 1


def test_the_users_own_plot_settings_change_nothing() -> None:
    import matplotlib as mpl

    expected = drawn(PICTURES[2], NARROW)
    with mpl.rc_context({"font.size": 3, "lines.linewidth": 9, "text.parse_math": True}):
        assert drawn(PICTURES[2], NARROW) == expected
        assert mpl.rcParams["font.size"] == 3


def test_the_fit_is_drawn_where_the_points_are() -> None:
    """Points that obey the law exactly, so a curve with its sign or its axis wrong leaves them."""
    figure = PICTURES[0].draw(WIDE)
    axes = figure.axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 65]
    fits = [curve.fit for curve in curves(MADE) if curve.fit]
    assert len(lines) == len(fits) == 2
    for line, fit in zip(lines, fits, strict=True):
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
            assert y == pytest.approx(fit.steps(x))


def test_a_study_without_a_point_is_marked_at_the_top_edge() -> None:
    axes = PICTURES[0].draw(WIDE).axes[0]
    crosses = [line for line in axes.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [(round(line.get_xdata()[0] / 16384), line.get_ydata()[0]) for line in crosses] == [(1, 1.0)]


def test_the_hundred_and_twelve_marks_differ() -> None:
    assert len({mark(place) for place in range(112)}) == 112
    assert mark(0).colour != mark(1).colour
    assert mark(0).marker != mark(1).marker
    assert mark(0).filled != mark(1).filled


@pytest.mark.parametrize("low", [0.0, 13.0])
@pytest.mark.parametrize("high", [60.0, math.inf])
def test_a_critical_batch_size_is_open_on_the_sides_that_nothing_bounds(low: float, high: float) -> None:
    fit = Fit(steps_min=100.0, critical_batch_size=26.0, low=low, high=high)
    points = tuple(Point(batch_size=size, steps=100 + 2600 // size) for size in (8, 32, 128))
    figure = scaling.draw([Curve(label="SGD", optimizer="sgd", points=points, fit=fit)], WIDE)
    lines = [line for axes in figure.axes for line in axes.lines]
    (diamond,) = [line for line in lines if line.get_marker() == "d" and list(line.get_xdata()) == [26.0]]
    (bar,) = [
        line
        for line in diamond.axes.lines
        if line is not diamond and set(line.get_ydata()) == set(diamond.get_ydata())
    ]
    left, right = bar.get_xdata()
    shown = diamond.axes.get_xlim()
    assert left < shown[0] if low == 0 else left == low
    assert right > shown[1] if math.isinf(high) else right == high
