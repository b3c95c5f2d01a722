"""What every figure keeps: words, the same numbers in its table and its drawing, text large enough."""

from __future__ import annotations

import csv
import io
import math
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

import headrace.report.figures as registry
from analysis.made_store import experiment, make_store, two_regimes
from headrace.analysis.alternatives import Alternatives
from headrace.analysis.noise_course import Comparison, Scale
from headrace.analysis.results import Analysis, analyse
from headrace.analysis.rules import Carried, Cost, Verdict
from headrace.report import write_report
from headrace.report.canvas import NARROW, WIDE, Layout
from headrace.report.figures import (
    FIGURES,
    Absent,
    Picture,
    budgets,
    examples,
    figures,
    forwarded,
    normalised,
    scaling,
    trade_off,
)
from headrace.report.figures._curves import scaling_table
from headrace.report.numbers import plain
from headrace.report.render import saved
from headrace.report.style import styled
from headrace.report.values import Curve, Fit, Point
from headrace.store.experiments import load
from headrace.store.throughput import write

from .made import Made, a_grid, analysis
from .test_recommended import measured
from .test_report_portraits import reading
from .test_search_report import made as made_search
from .test_search_report import table as last_round

PRINTED = 482.0
"""Points of a printed page's width: 170 mm."""
SHOWN = {
    "gain": "steps_ratio",
    "choices": "loss",
    "ends": "critical_batch_size",
    "recommendation": "seconds",
    "scaling": "steps",
    "training": "validation",
    "losses": "validation_loss",
    "normalised": "steps_relative_to_first",
    "examples": "examples",
    "forwarded": "examples_forwarded",
    "trade-off": "steps",
    "hyperparameters": "best",
    "rules": "factor",
    "search": "learning_rate",
    "budgets": "validation",
    "noise-scale": "noise_scale",
    "data-map": "confidence",
    "scores": "share_of_examples",
    "feed": "effective_share",
    "sizes": "mean",
    "classes": "ratio",
    "chosen-scores": "share_of_examples",
}
"""Figure -> the column of which every number must be drawn; 0 has no place on a logarithmic axis."""


def rich() -> Analysis:
    """An analysis with something for every figure of an experiment's page."""
    made = analysis(Made(sizes=(8, 64, 512, 4096, 16384), trials=8, whole_curves=True))
    more = made.steps.with_columns(
        examples_forwarded=3 * pl.col("examples"),
        forwarded_low=2 * pl.col("examples"),
        forwarded_high=5 * pl.col("examples"),
    )
    about_examples = (reading(), reading("rs2", even=False))
    rules = Alternatives(rules=(a_rule(), a_rule("linear", verdict="fails")), tokens=64.0)
    return replace(
        made,
        steps=more,
        noise=(course(),),
        portraits=about_examples,
        grid=a_grid(),
        alternatives=rules,
    )


def a_rule(name: str = "square-root", verdict: Verdict = "undecided") -> Carried:
    """A rule that costs more the further it goes, and leads out of the searched space at last."""
    ends = [(64, 1.1, (1.0, 1.3)), (512, 1.4, (1.2, 2.0)), (4096, 3.0, (2.0, math.inf))]
    costs = tuple(
        Cost(
            batch_size=size, setting={"learning_rate": 0.1}, outside=("learning_rate",) * math.isinf(near[1]),
            factor=factor, interval=near, steps=100.0, steps_interval=(90.0, 110.0),
            at_least=math.isinf(near[1]),
        )
        for size, factor, near in ends
    )  # fmt: skip
    return Carried(
        curve=("sgd", "full", "shuffle", 1), rule=name, start=8, setting={"learning_rate": 0.1}, at=costs,
        worst=costs[-1], interval=(1.2, math.inf), verdict=verdict,
    )  # fmt: skip


def course() -> Comparison:
    scales = [Scale(step=step, noise_scale=40.0 + step, low=30.0, high=70.0) for step in (0, 10, 200)]
    return Comparison(
        optimizer="sgd", batch_size=64, curve="SGD",
        scales=(*scales, Scale(step=300, noise_scale=math.inf, low=1.0, high=math.inf)),
        predicted=80.0, predicted_interval=(60.0, 90.0), measured=160.0, measured_interval=(120.0, math.inf),
        ratio=0.5, ratio_interval=(0.3, 0.8),
    )  # fmt: skip


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """An analysis of a store beside which step times lie."""
    folder = tmp_path_factory.mktemp("timed")
    make_store(folder, experiment([8, 32, 128, 512]), two_regimes(lambda _: 0.1))
    write(folder, measured())
    return analyse(load(folder))


@pytest.fixture(scope="module")
def pictures(timed: Analysis) -> dict[str, list[Picture]]:
    """Entry of the registry -> its figures, of those analyses."""
    shown = {
        "experiment": [rich(), timed],
        "portraits": [rich()],
        "search": [replace(made_search(), last_rounds={"entropy": last_round()})],
    }
    return {
        name: [p for one in shown[entry.part] for p in entry.find()(one) if isinstance(p, Picture)]
        for name, entry in FIGURES.items()
    }


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_drawn_and_is_named_by_its_entry(
    name: str, pictures: dict[str, list[Picture]]
) -> None:
    assert pictures[name]
    for picture in pictures[name]:
        assert picture.name.startswith(name)
        assert picture.words.title
        assert picture.words.caption
        assert all(paragraph.endswith((".", ".)")) for paragraph in picture.words.caption)
        # What is to be seen, in numbers.
        assert picture.description.startswith(picture.words.title)
        assert any(letter.isdigit() for letter in picture.description) or name in UNNUMBERED


UNNUMBERED = {"scores", "chosen-scores"}
"""Whole distributions, of which no single number tells much."""


def test_every_module_is_in_the_registry_once() -> None:
    modules = {info.name for info in pkgutil.iter_modules(registry.__path__) if not info.name.startswith("_")}
    modules.remove("registry")
    homes = [entry.home for entry in FIGURES.values()]
    assert sorted(homes) == sorted(f"headrace.report.figures.{name}:figures" for name in modules)


@pytest.mark.parametrize("layout", [WIDE, NARROW], ids=lambda layout: layout.name)
@pytest.mark.parametrize("name", FIGURES)
def test_the_table_holds_the_numbers_that_are_drawn_and_they_are_drawn(
    name: str, layout: Layout, pictures: dict[str, list[Picture]]
) -> None:
    for picture in pictures[name]:
        with styled(name):
            figure = picture.draw(layout)
            _check_size(figure, layout)
            _check_points(name, picture, figure)
            _check_texts(figure, layout)


def _check_points(name: str, picture: Picture, figure: Figure) -> None:
    rows = list(csv.DictReader(io.StringIO(picture.table.csv())))
    assert rows
    if name == "choices":
        # A table of cells: its numbers are its texts.
        texts = [text.get_text() for axes in figure.axes for text in axes.texts]
        told_as = [plain(float(row["loss"])) for row in rows]
        assert sorted(text for text in texts if text[0].isdigit()) == sorted(told_as)
        return
    told = np.array(sorted({*_numbers(cell for row in rows for cell in row.values())}))
    drawn = [value for axes in figure.axes for value in _drawn(axes)]
    assert drawn
    lost = [value for value in drawn if not _is_among(value, told)]
    assert not lost, "these are drawn, and are not in the table"
    everything = np.array([value for axes in figure.axes for value in _everything(axes)])
    shown = [value for value in _numbers(row[SHOWN[name]] for row in rows) if value]
    assert shown
    lost = [value for value in shown if not _is_among(value, everything)]
    assert not lost, "these are in the table, and are not drawn"


def _numbers(cells: Iterable[str]) -> Iterator[float]:
    for cell in cells:
        try:
            value = float(cell)
        except ValueError:
            continue
        if math.isfinite(value):
            yield value


def _is_among(value: float, some: np.ndarray) -> bool:
    """As it is, as a percentage of it, or as what is left of 1 (momentum)."""
    forms = np.concatenate([some, 100 * some, some / 100, 1 - some])
    return bool(np.isclose(forms, value, rtol=1e-9, atol=1e-12).any())


def _drawn(axes: Axes) -> Iterator[float]:
    """The values of the points, and of the steps of a distribution; not those at the axis' floor."""
    labels = [label.get_text() for label in axes.get_yticklabels()]
    floor = axes.get_ylim()[0]
    for line in axes.lines:
        plain = line.get_marker() in ("None", None, "") and line.get_drawstyle() == "default"
        if not labels or plain or line.get_transform() != axes.transData:
            continue
        # Rows of names, as of classes, have their values across.
        values = np.asarray(line.get_ydata() if _are_numbers(labels) else line.get_xdata(), dtype=float)
        yield from (value for value in values if not math.isclose(value, floor, rel_tol=1e-9))


def _are_numbers(labels: list[str]) -> bool:
    return any(label[:1].isdigit() or label[:1] in ("−", "-") for label in labels if label)


def _everything(axes: Axes) -> Iterator[float]:
    for line in axes.lines:
        yield from np.asarray(line.get_xdata(), dtype=float)
        yield from np.asarray(line.get_ydata(), dtype=float)


def _check_texts(figure: Figure, layout: Layout) -> None:
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert len(texts) > 5
    smallest = min(text.get_size() for text in texts)
    assert smallest >= 12
    assert smallest * min(1.0, PRINTED / layout.width) >= 6


def _check_size(figure: Figure, layout: Layout) -> None:
    """What is drawn stays by its frame: files are cut to all that there is, however far out it lies."""
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    assert -0.1 * width < box.x0 < box.x1 < 1.1 * width
    assert -0.1 * height < box.y0 < box.y1 < 1.1 * height
    assert round(72 * width) == layout.width


@pytest.mark.parametrize("last", [0.0, -1.0, 1e-6, math.inf, math.nan])
def test_a_metric_that_has_no_place_on_the_axis_does_not_make_a_figure_without_end(last: float) -> None:
    made = analysis(Made(sizes=(8, 64), trials=4, whole_curves=True))
    last_size = pl.col("batch_size") == 64
    changed = made.budgets.with_columns(
        validation=pl.when(last_size).then(pl.lit(last)).otherwise(pl.col("validation"))
    )
    (picture,) = budgets.figures(replace(made, budgets=changed))
    assert isinstance(picture, Picture)
    with styled("budgets"):
        _check_size(picture.draw(WIDE), WIDE)


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_figure_gives_the_same_bytes(name: str, pictures: dict[str, list[Picture]]) -> None:
    picture = pictures[name][0]

    def once() -> bytes:
        with styled(picture.name):
            return saved(picture.draw(NARROW), "svg", title=picture.words.title)

    assert once() == once()


def test_the_page_and_its_figures_come_from_the_analysis_alone(
    timed: Analysis, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A folder in which nothing lies gives the same bytes as one in which other measurements lie."""
    empty, other = tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("other")
    make_store(other, experiment([8, 32], seed=9), two_regimes(lambda _: 0.5))
    (other / "noise_scale.json").write_text("{}")
    pages = [write_report(timed, folder, formats=()).read_bytes() for folder in (empty, other)]
    assert pages[0] == pages[1]
    assert b'aria-label="Recommendation"' in pages[0]
    csvs = [sorted(path.read_bytes() for path in folder.glob("figures/*.csv")) for folder in (empty, other)]
    assert csvs[0] == csvs[1] != []


def test_without_anything_to_show_every_figure_says_why_or_is_not_there() -> None:
    made = analysis(Made(laws={"sgd": (210.0, 160.0)}, sizes=(8,), unreached=frozenset({("sgd", 8)})))
    found = figures("experiment", made) + figures("search", replace(made_search(table=[]), holdings=()))
    absent = [figure for figure in found if isinstance(figure, Absent)]
    assert len(absent) >= 6
    assert all(figure.reason.endswith(".") and figure.words.title for figure in absent)
    assert figures("portraits", made) == []


SIZE = st.integers(0, 20).map(lambda exponent: 2**exponent)
POSITIVE = st.floats(1e-3, 1e9)


@st.composite
def points(draw: st.DrawFn) -> tuple[Point, ...]:
    """Studies of one curve: unreached, reached at step 0, with open and closed intervals."""
    found = []
    for size in sorted(draw(st.sets(SIZE, min_size=1, max_size=5))):
        steps = draw(st.none() | st.integers(0, 10**7))
        high = draw(st.none() | st.integers(0, 10**6).map(lambda more, low=steps or 0: low + more))
        forward = (
            None
            if steps is None
            else draw(st.none() | st.integers(1, 5).map(lambda k, n=steps, b=size: k * n * b))
        )
        found.append(Point(batch_size=size, steps=steps, low=steps, high=high, forwarded=forward))
    return tuple(found)


FITS = st.none() | st.builds(
    Fit,
    steps_min=st.just(0.0) | POSITIVE,
    critical_batch_size=st.sampled_from([0.0, math.inf]) | POSITIVE,
    low=st.none() | st.just(0.0),
    high=st.none() | st.just(math.inf),
)


DRAWINGS = (scaling.draw, normalised.draw, examples.draw, forwarded.draw, trade_off.draw)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(points(), FITS), min_size=1, max_size=3), st.integers(0, 4))
def test_every_point_of_any_curves_is_drawn_where_the_table_says(
    made: list[tuple[tuple[Point, ...], Fit | None]], which: int
) -> None:
    curves = [
        Curve(label=f"c{place}", optimizer="sgd", points=some, fit=fit)
        for place, (some, fit) in enumerate(made)
    ]
    if not any(curve.reached for curve in curves):
        return
    with styled("any"):
        figure = DRAWINGS[which](curves, NARROW)
    told = {
        float(cell) for row in scaling_table(curves).rows for cell in row[1:]
        if isinstance(cell, int | float) and math.isfinite(cell)
    }  # fmt: skip
    values = [value for axes in figure.axes for value in _drawn(axes)]
    assert all(_is_among(value, np.array(sorted(told))) for value in values)
    count = sum(
        len(line.get_xdata()) for line in figure.axes[0].lines
        if line.get_marker() not in ("None", None, "") and line.get_transform() == figure.axes[0].transData
    )  # fmt: skip
    known = [p for curve in curves for p in curve.reached if which != 3 or p.forwarded is not None]
    assert count == len(known)
