"""The figures of training show the best trials; without one, the nearest to the goal; and nothing else."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from analysis.made_store import experiment, make_store, two_regimes
from headrace.analysis.frames import courses_frame
from headrace.analysis.results import Analysis, analyse
from headrace.analysis.studies import course_of, read_studies
from headrace.report.canvas import NARROW, WIDE
from headrace.report.figures import Picture, losses, training
from headrace.report.style import shade, styled
from headrace.store.experiments import StoredExperiment, load


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredExperiment:
    folder = tmp_path_factory.mktemp("stored")
    make_store(folder, experiment([8, 32, 128]), two_regimes(lambda _: 0.1))
    return load(folder)


@pytest.fixture(scope="module")
def made(stored: StoredExperiment) -> Analysis:
    return analyse(stored)


def test_a_course_is_what_was_measured_of_the_best_trial(stored: StoredExperiment, made: Analysis) -> None:
    assert made.courses is not None
    for study in stored.studies():
        (best,) = made.steps.filter(pl.col("study") == study.name)["best_trial"]
        course = made.courses.filter(pl.col("study") == study.name)
        reached = made.steps.filter(pl.col("study") == study.name)["steps"][0]
        measured = stored.study_measurements(study.name).filter(
            (pl.col("trial") == best) & (pl.col("step") <= reached)
        )
        assert course["trial"].unique().to_list() == [best]
        assert course["step"].to_list() == sorted(measured["step"].to_list())
        errors = measured.sort("step")[f"validation/{made.metric}"].to_list()
        assert course["validation"].to_list() == errors
        # This store does not say how many examples were trained on.
        size = study.configuration.batch_size
        assert measured["examples_backpropagated"].is_null().all()
        assert course["examples"].to_list() == [size * step for step in course["step"]]


def test_each_column_is_its_own_measurement(stored: StoredExperiment) -> None:
    study = read_studies(stored)[0]
    assert study.course is not None
    metric = stored.metric_name
    names = ("train/loss", "validation/loss", f"validation/{metric}", f"test/{metric}")
    numbered = study.course.with_columns(pl.lit(float(i)).alias(name) for i, name in enumerate(names))
    (row, *_) = courses_frame([replace(study, course=numbered)], metric).to_dicts()
    assert [row[name] for name in ("train_loss", "validation_loss", "validation", "test")] == [0, 1, 2, 3]


def test_without_the_goal_the_nearest_trial_is_shown(stored: StoredExperiment) -> None:
    name = stored.studies()[0].name
    table = stored.study_measurements(name)
    metric = f"validation/{stored.metric_name}"
    nearest = table.filter(pl.col(metric).is_finite()).sort(metric, "trial")["trial"][0]
    shown = course_of(table, None, metric)
    assert shown is not None
    assert set(shown["trial"]) == {nearest}
    assert shown.height == table.filter(pl.col("trial") == nearest).height
    assert course_of(table.clear(), None, metric) is None


def test_panels_are_of_the_first_curves_and_the_data_of_all(made: Analysis) -> None:
    assert made.courses is not None
    names = [f"policy-{letter}" for letter in "abcdefgh"]
    many = Analysis(
        results=made.results,
        steps=pl.concat([made.steps.with_columns(policy=pl.lit(name)) for name in names]),
        fits=pl.concat([made.fits.with_columns(policy=pl.lit(name)) for name in names]),
        trials=made.trials,
        best_hyperparameters=made.best_hyperparameters,
        budgets=made.budgets,
        courses=pl.concat([made.courses.with_columns(policy=pl.lit(name)) for name in names]),
    )
    (figure,) = training.figures(many)
    assert isinstance(figure, Picture)
    assert len({row[0] for row in figure.table.rows}) == len(names)
    assert "the data have all 8" in figure.words.caption[-1]
    for layout, panels in ((WIDE, 12), (NARROW, 6)):
        with styled("x"):
            assert len(figure.draw(layout).axes) == panels


def test_in_tokens_examples_count_as_many_and_steps_stay(made: Analysis) -> None:
    assert made.courses is not None
    for tokens in (None, 64.0):
        results = made.results | ({} if tokens is None else {"tokens_per_example": tokens})
        (figure,) = training.figures(replace(made, results=results))
        assert isinstance(figure, Picture)
        with styled("x"):
            steps, examples = figure.draw(WIDE).axes[:2]
        first = made.courses.filter((pl.col("batch_size") == 8) & (pl.col("step") > 0))
        assert list(steps.lines[0].get_xdata()) == first["step"].to_list()
        assert list(examples.lines[0].get_xdata()) == (first["examples"] * (tokens or 1)).to_list()
        assert examples.get_xlabel() == ("examples trained on" if tokens is None else "tokens trained on")


def test_nothing_measured_shows_nothing(made: Analysis) -> None:
    assert made.courses is not None
    for courses in (None, made.courses.clear()):
        bare = Analysis(
            results=made.results,
            steps=made.steps,
            fits=made.fits,
            trials=made.trials,
            best_hyperparameters=made.best_hyperparameters,
            budgets=made.budgets,
            courses=courses,
        )
        assert training.figures(bare) == losses.figures(bare) == []


def test_shades_go_from_light_to_dark() -> None:
    for count in (1, 2, 3, 7, 12):
        light = [sum(bytes.fromhex(shade(place, count)[1:])) for place in range(count)]
        assert light == sorted(set(light), reverse=True)
