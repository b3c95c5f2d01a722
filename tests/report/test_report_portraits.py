"""Portraits in the report: their values, their figures, and the gallery as a browser gets it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

from headrace.analysis.portraits import Reading, conclude, portrait_results, read
from headrace.random import generator
from headrace.report import write_report
from headrace.report.canvas import NARROW, WIDE, Layout
from headrace.report.figures import Absent, Picture, figures
from headrace.report.figures._distributions import distribution
from headrace.report.figures._portraits import together
from headrace.report.figures.data_map import data_map, shade, size
from headrace.report.numbers import linear_ticks
from headrace.report.portrait_part import area_table
from headrace.specs.studies import Configuration, StudyKey
from headrace.store.portrait_records import ExamplesShown, Fed, Portrait, ShownExample, ShownGroup
from headrace.store.portraits import StoredPortrait

from .made import Made, analysis
from .test_report_page import SCRIPT, Page
from .test_report_pictures import drawn

PNG = "iVBORw0KGgo="


def stored(policy: str = "shuffle", *, even: bool = True, kind: str = "predictions") -> StoredPortrait:
    """Of 400 examples every tenth has a wrong label and a low AUM; one was never trained on."""
    rng = generator(0, "made portrait", policy)
    n, wrong = 400, np.arange(400) % 10 == 0
    label = rng.integers(0, 3, n)
    confidence = np.where(wrong, 0.1, 0.7) + rng.uniform(-0.1, 0.1, n)
    columns = {
        "example": np.arange(n),
        "count": np.r_[0, np.full(n - 1, 5)],
        "label": label,
        "predicted": np.where(wrong, (label + 1) % 3, label),
        "clean": np.where(wrong, (label + 1) % 3, label),
        "transitions": rng.integers(0, 3, n),
        "confidence": confidence,
        "variability": rng.uniform(0, 0.5, n),
        "correctness": np.where(wrong, 0.0, 1.0),
        "mean_loss": -np.log(confidence * 0.9),
        "el2n": 1 - confidence,
        "aum": confidence * 6 - 3,
    }
    losses = ("example", "count", "label", "mean_loss")
    table = pl.DataFrame({k: v for k, v in columns.items() if kind == "predictions" or k in losses})
    exhibits = (
        ShownExample(example=10, score=-2.5, label=SCRIPT, predicted="b", clean="b", png=PNG),
        ShownExample(example=20, score=-2.0, label="b", predicted="b", clean="b", text=SCRIPT),
    )
    portrait = Portrait(
        study=StudyKey(optimizer="sgd", configuration=Configuration(policy=policy, batch_size=64)),
        trial=3,
        goal_step=20,
        asked_steps=30,
        steps=30,
        hyperparameters={"learning_rate": 0.1},
        kind=kind,  # type: ignore[arg-type]
        fed=tuple(
            Fed(
                epoch=e,
                draws=400,
                effective=1.0 if even else 0.5,
                unseen=0.0 if even else 0.3,
                never_seen=0.0,
            )
            for e in range(4)
        ),
        gallery=ExamplesShown(
            walls=(
                ShownGroup(name="suspicious", exhibits=exhibits[:1]),
                ShownGroup(name="hardest", exhibits=exhibits[1:]),
            )
        ),
    )
    return StoredPortrait(portrait=portrait, examples=table)


def reading(policy: str = "shuffle", **keywords: object) -> Reading:
    return read(stored(policy, **keywords))  # type: ignore[arg-type]


def test_the_shares_are_of_what_was_trained_on() -> None:
    found = reading()
    # 39 of the 40 wrong ones were trained on, of 399.
    assert found.never_learnt == pytest.approx(39 / 399)
    assert found.never_trained == pytest.approx(1 / 400)
    assert found.passes == pytest.approx(30 * 64 / 400)
    assert found.suspects is not None
    assert (found.suspects.wrong, found.suspects.among) == (39, 50)
    assert found.suspects.by_chance == pytest.approx(50 * 39 / 399)
    assert found.areas["aum"].area == found.areas["confidence"].area == 1.0
    assert found.areas["variability"].area == pytest.approx(0.5, abs=0.1)


def test_the_sentences_say_what_was_found_and_claim_no_difference() -> None:
    said = conclude([reading(), reading("rs2", even=False)])
    assert said[0].startswith(
        "shuffle: of the 50 most suspicious examples, those with the lowest AUM, 39 carry"
    )
    assert "4.9 would" in said[0]
    assert (
        "An epoch weighed on average as much as 50% of the training set, and left out 30% of it." in said[3]
    )
    assert "An epoch" not in said[2]
    assert said[-1].endswith("it shows no difference between policies.")
    assert conclude([]) == []
    failed = Portrait.model_validate(stored().portrait.model_dump() | {"error": "KeyError: 'x'"})
    assert (
        "there is no portrait because making it raised KeyError"
        in portrait_results([], [failed])["conclusions"][0]
    )


def test_every_trained_example_is_in_one_bin_of_the_map() -> None:
    found = data_map(reading(), 0.02)
    assert sum(b.examples for b in found.bins) == 399
    table = reading().examples.filter(pl.col("count") > 0)
    for one in found.bins:
        inside = table.filter(
            (pl.col("variability") >= one.variability - 0.01)
            & (pl.col("variability") < one.variability + 0.01)
            & (pl.col("confidence") >= one.confidence - 0.02)
            & (pl.col("confidence") < one.confidence + 0.02)
        )
        assert len(inside) == one.examples
        assert inside["correctness"].mean() == pytest.approx(one.correctness)


def test_distributions_lose_no_example_and_whole_numbers_have_bins_of_their_own() -> None:
    found = distribution("x", {"a": np.array([0.0, 1.0, 1.0, 4.0]), "b": np.array([2.0])})
    assert all(sum(shares) == pytest.approx(1.0) for shares in found.shares.values())
    counts = distribution("n", {"a": np.array([0, 1, 1, 3])})
    assert counts.edges == (-0.5, 0.5, 1.5, 2.5, 3.5)
    assert counts.shares["a"] == (0.25, 0.5, 0.0, 0.25)
    assert sum(distribution("same", {"a": np.full(3, 7.0)}).shares["a"]) == pytest.approx(1.0)


def test_marks_of_the_map() -> None:
    assert [shade(c) for c in (0.0, 0.1, 0.25, 0.26, 0.75, 1.0)] == [0, 1, 1, 2, 3, 4]
    assert [size(n) for n in (1, 2, 9, 10, 100)] == [0, 1, 1, 2, 3]


def test_many_policies_are_shown_in_several_figures_each_with_the_first() -> None:
    many = [reading(f"p{i}") for i in range(9)]
    groups = together(many)
    assert [len(group) for group in groups] == [6, 4]
    assert all(group[0] is many[0] for group in groups)
    assert {r.policy for group in groups for r in group} == {f"p{i}" for i in range(9)}


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (0, 1, 6, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 0.5, 3, [0, 0.2, 0.4]),
        (-3.2, 7.9, 4, [0, 5]),
        (1, 9, 5, [2, 4, 6, 8]),
    ],
)
def test_round_ticks(low: float, high: float, most: int, ticks: list[float]) -> None:
    assert linear_ticks(low, high, most) == ticks
    assert all(t == round(t) for t in linear_ticks(low, max(high, 3), most, integers=True))


def portrait_figures(readings: list[Reading]) -> list[Picture | Absent]:
    return figures("portraits", replace(MADE, portraits=tuple(readings)))


MADE = analysis(Made(sizes=(8, 64), trials=4, laws={"sgd": (210.0, 160.0)}))
FIGURES = portrait_figures([reading(), reading("rs2", even=False)])


def test_the_figures_and_why_one_is_left_out() -> None:
    assert [figure.name for figure in FIGURES] == ["data-map", "scores", "feed"]
    assert all(isinstance(figure, Picture) for figure in FIGURES)
    even = portrait_figures([reading()])[2]
    assert isinstance(even, Absent)
    assert "every example once" in even.reason
    losses = portrait_figures([reading(kind="losses")])
    assert isinstance(losses[0], Absent)
    assert "targets are not classes" in losses[0].reason
    assert portrait_figures([]) == []


@pytest.mark.parametrize("layout", [WIDE, NARROW], ids=lambda layout: layout.name)
@pytest.mark.parametrize("picture", FIGURES, ids=lambda picture: picture.name)
def test_text_is_at_least_12_px_and_nothing_is_cut_off(picture: Picture, layout: Layout) -> None:
    root = ElementTree.fromstring(drawn(picture, layout))
    assert float(root.attrib["width"]) == layout.width
    texts = [element for element in root.iter() if element.tag.endswith("}text")]
    assert len(texts) > 5
    assert min(float(t.attrib["style"].split("font-size: ")[1].split("px")[0]) for t in texts) >= 12


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory: Path = tmp_path_factory.mktemp("portraits")
    readings = (reading(), reading("rs2", even=False))
    results = MADE.results | {"portraits": portrait_results(readings, [])}
    made = replace(MADE, results=results, portraits=readings)
    return write_report(made, directory, formats=()).read_text(encoding="utf-8")


def test_the_page_shows_the_gallery_escaped_and_fetches_nothing(text: str) -> None:
    page = Page(text)
    assert page.open == []
    assert "script" not in page.tags
    assert "<script" not in text.lower()
    assert text.count(f'<img src="data:image/png;base64,{PNG}" alt="example 10">') == 2
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith(("#", "data:text/csv", "data:image/png")) for link in page.links)
    assert "✗ wrong, really b" in text
    assert "✓ label is right" in text


def test_the_part_opens_with_its_sentences_and_the_first_stands_at_the_top(text: str) -> None:
    first = "of the 50 most suspicious examples"
    part = text.index("<h2>What each example is like")
    assert text.index(first) < text.index("<h1>") + 5000
    assert part < text.index(first, part) < text.index("<svg", part)
    assert "Area under the ROC curve of each score" in text
    table = area_table([reading()])
    assert table is not None
    assert {row[1] for row in table.rows} >= {"aum", "mean_loss"}
    assert area_table([reading(kind="losses")]) is None
