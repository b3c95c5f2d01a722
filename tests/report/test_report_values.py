"""The values that figures show, against cases worked by hand."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from importlib import import_module
from urllib.parse import unquote

import polars as pl
import pytest

from headrace.report.canvas import WIDE
from headrace.report.figures import figures
from headrace.report.figures._curves import scaling_table
from headrace.report.figures.budgets import budgets
from headrace.report.figures.hyperparameters import trend_table, trends
from headrace.report.figures.search import Ending, ending, search_table, searches
from headrace.report.tables import Table
from headrace.report.values import Curve, Fit, Point, curves

from .made import Made, analysis

CURVE = Curve(
    label="SGD",
    optimizer="sgd",
    points=(
        Point(batch_size=8, steps=1000, low=1000, high=1200, study="a"),
        Point(batch_size=16, steps=500, low=500, high=None, study="b"),
        Point(batch_size=32, steps=None, study="c"),
        Point(batch_size=64, steps=500, low=500, high=700, study="d"),
    ),
    fit=Fit(steps_min=400.0, critical_batch_size=12.0),
)


def test_perfect_scaling_halves_the_steps_when_the_batch_doubles() -> None:
    assert [CURVE.perfect(size) for size in (8, 16, 64)] == [1000, 500, 125]


def test_the_fitted_law_is_twice_its_minimum_at_the_critical_batch_size() -> None:
    assert CURVE.fit is not None
    assert CURVE.fit.steps(12) == 800
    assert CURVE.fit.steps(8) == 400 * 2.5


@pytest.mark.parametrize("picture", ["scaling", "normalised", "examples"])
def test_a_fit_of_perfect_scaling_alone_has_no_line_of_its_own(picture: str) -> None:
    endless = replace(CURVE, fit=Fit(steps_min=0.0, critical_batch_size=math.inf))
    assert endless.fit is not None
    assert endless.fit.steps(8) is None
    module = import_module(f"headrace.report.figures.{picture}")
    assert module.draw((endless,), WIDE) is not None


@pytest.mark.parametrize("picture", ["scaling", "normalised", "examples"])
def test_a_fit_below_every_batch_size_has_no_scale_to_divide_by(picture: str) -> None:
    flat = replace(CURVE, fit=Fit(steps_min=400.0, critical_batch_size=0.0))
    module = import_module(f"headrace.report.figures.{picture}")
    assert module.draw((flat,), WIDE) is not None


def test_an_interval_that_is_open_above_has_no_upper_end() -> None:
    assert CURVE.points[1].interval == (500, math.inf)


def test_the_fewest_steps_are_those_of_the_smallest_batch_size_that_needs_them() -> None:
    assert CURVE.fewest is not None
    assert CURVE.fewest.batch_size == 16


def test_the_table_holds_what_the_figures_draw() -> None:
    table = scaling_table([CURVE])
    first, second, missing, _ = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert first["steps_relative_to_first"] == 1
    assert first["examples"] == 8000
    assert first["examples_high"] == 9600
    assert second["steps_relative_to_first"] == 0.5
    assert second["steps_perfect_scaling"] == 500
    assert second["steps_relative_to_fitted_minimum"] == 1.25
    assert second["high"] is None
    assert missing["steps"] is None
    assert missing["steps_fitted"] == 400 * (1 + 12 / 32)


def test_a_table_survives_csv_and_the_link() -> None:
    table = Table(columns=("name", "value"), rows=(('a "quoted", text\n', 0.1), (None, 3)))
    text = unquote(table.data_uri().removeprefix("data:text/csv;charset=utf-8,"))
    assert list(csv.reader(io.StringIO(text))) == [
        ["name", "value"],
        ['a "quoted", text\n', "0.1"],
        ["", "3"],
    ]


def test_rows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 cells: a, b"):
        Table(columns=("a", "b"), rows=((1,),))


def test_curves_are_named_by_what_differs() -> None:
    assert [curve.label for curve in curves(analysis())] == ["SGD", "Nesterov momentum"]
    one = Made(laws={"sgd": (210.0, 160.0)}, workers=(1, 4))
    assert [curve.label for curve in curves(analysis(one))] == ["1 worker", "4 workers"]
    both = Made(workers=(1, 4), sizes=(8, 16))
    assert [curve.label for curve in curves(analysis(both))][1] == "SGD, 4 workers"
    single = Made(laws={"lion": (210.0, 160.0)}, sizes=(8, 16))
    assert [curve.label for curve in curves(analysis(single))] == ["lion"]


def test_curves_come_in_ascending_batch_size_and_keep_studies_without_a_point() -> None:
    sgd, _ = curves(analysis(Made(sizes=(64, 8, 16384))))
    assert [point.batch_size for point in sgd.points] == [8, 64, 16384]
    assert [point.batch_size for point in sgd.reached] == [8, 64]


def test_the_best_hyperparameters_lie_within_the_bars_and_the_rules_start_at_the_first() -> None:
    made = analysis()
    found = trends(made, curves(made))
    assert set(found) == {"learning_rate", "momentum", "effective_learning_rate"}
    assert [trend.curve for trend in found["momentum"]] == ["Nesterov momentum"]
    best = {row["study"]: row["learning_rate"] for row in made.trials.to_dicts() if row["best"]}
    trend = found["learning_rate"][0]
    bars = list(zip(trend.lows, trend.values, trend.highs, strict=True))
    assert trend.values == tuple(best[point.study] for point in curves(made)[0].reached)
    assert all(low <= value <= high for low, value, high in bars)
    assert any(low < high for low, _, high in bars)
    assert trend.linear(4 * trend.sizes[0]) == pytest.approx(4 * trend.values[0])
    assert trend.square_root(4 * trend.sizes[0]) == pytest.approx(2 * trend.values[0])
    assert len(trend_table(found).rows) == sum(len(t.sizes) for some in found.values() for t in some)


def test_a_bar_leaves_out_trials_beyond_the_interval() -> None:
    made = analysis(Made(sizes=(64,), trials=30))
    curve = curves(made)[0]
    point = curve.reached[0]
    rates = [
        row["learning_rate"]
        for row in made.trials.to_dicts()
        if row["study"] == point.study and row["reached"] is not None and row["reached"] <= point.interval[1]
    ]
    trend = trends(made, [curve])["learning_rate"][0]
    assert (trend.lows[0], trend.highs[0]) == (min(rates), max(rates))


@pytest.mark.parametrize(
    ("status", "reached", "expected"),
    [
        ("COMPLETE", True, Ending.REACHED), ("COMPLETE", False, Ending.NOT_REACHED),
        ("STOPPED", False, Ending.STOPPED), ("INFEASIBLE", False, Ending.INFEASIBLE),
        ("FAILED", False, Ending.FAILED),
    ],
)  # fmt: skip
def test_how_a_trial_ended(status: str, reached: bool, expected: Ending) -> None:
    assert ending(status, reached=reached) is expected


def test_a_search_shows_every_trial_and_stars_one_where_any_reached() -> None:
    made = analysis()
    sgd, nesterov = (searches(made, curve) for curve in curves(made))
    assert sgd is not None
    assert nesterov is not None
    assert not sgd.momentum
    assert nesterov.momentum
    assert all(len(search.dots) == 24 for search in sgd.searches)
    stars = {search.batch_size: sum(dot.best for dot in search.dots) for search in sgd.searches}
    assert stars.pop(16384) == 0
    assert set(stars.values()) == {1}
    for search in sgd.searches:
        reached = [dot.steps for dot in search.dots if dot.ending is Ending.REACHED]
        assert search.reached == len(reached)
        assert [dot.steps for dot in search.dots if dot.best] == sorted(reached)[:1]
    assert len(search_table(sgd).rows) == 12 * 24


def test_budgets_are_shown_only_where_curves_are_whole() -> None:
    assert budgets(analysis(), curves(analysis())) == ()
    made = analysis(Made(whole_curves=True, sizes=(64, 8)))
    found = budgets(made, curves(made))
    assert [(b.curve, b.kind, b.budget) for b in found][:2] == [
        ("SGD", "epochs", 1.0),
        ("SGD", "epochs", 10.0),
    ]
    assert all(b.sizes == (8, 64) for b in found)
    steps = next(b for b in found if b.kind == "steps" and b.budget == 100)
    assert steps.validation[1] < steps.validation[0]


def test_forward_passes_have_a_figure_only_where_they_are_more_than_was_trained_on():
    made = analysis()
    plain = made.steps.with_columns(examples_forwarded=pl.col("examples"))
    more = made.steps.with_columns(
        examples_forwarded=3 * pl.col("examples"),
        forwarded_low=2 * pl.col("examples"),
        forwarded_high=5 * pl.col("examples"),
    )
    shown = [
        {figure.name: figure for figure in figures("experiment", changed)}
        for changed in (replace(made, steps=steps) for steps in (made.steps, plain, more))
    ]
    assert ["forwarded" in names for names in shown] == [False, False, True]
    point = curves(replace(made, steps=more))[0].reached[0]
    found = (point.forwarded, point.forwarded_low, point.forwarded_high)
    assert found == tuple(factor * point.examples for factor in (3, 2, 5))
    assert shown[2]["forwarded"].draw(WIDE).axes
