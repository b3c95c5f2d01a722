"""The report of a subset search: its values, its figures, its page, and what it says when little is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

from headrace.analysis.chosen import holdings, largest
from headrace.analysis.search_results import Mean, SearchAnalysis, SearchResults, StageCost, read_search
from headrace.analysis.subset_search import conclude
from headrace.cli.app import execute
from headrace.errors import DamagedError, InputError
from headrace.random import generator
from headrace.report import write_search_report
from headrace.report.canvas import NARROW, WIDE, Layout
from headrace.report.figures import Absent, Picture, figures
from headrace.report.figures.chosen_scores import TAKEN, WHOLE, taken_scores
from headrace.report.figures.classes import MOST_CLASSES, class_shares
from headrace.report.figures.sizes import lines
from headrace.report.search_page import cost_rows, page, verdict_rows
from headrace.sealed import sealed
from headrace.store.outcome import Transferred
from headrace.store.portrait_records import ExamplesShown, ShownExample, ShownGroup

from .made_search import CHOSEN, outcome
from .test_report_page import SCRIPT, Page
from .test_report_pictures import drawn
from .test_report_portraits import PNG

SHOWN = ExamplesShown(
    walls=(
        ShownGroup(
            name="wanted", exhibits=(ShownExample(example=1, score=0.5, label=SCRIPT, clean="b", png=PNG),)
        ),
        ShownGroup(name="left", exhibits=(ShownExample(example=2, label="a", clean="a", text=SCRIPT),)),
    )
)


def table() -> pl.DataFrame:
    """Twenty chosen before, ten in the last round, those with the highest scores, and seventy left."""
    rng = generator(0, "search report")
    scores = np.sort(rng.random(100))
    rounds = np.r_[np.zeros(20), np.full(70, -1), np.full(10, 1)].astype(np.int32)
    return pl.DataFrame(
        {"example": np.arange(100), "times": (rounds >= 0).astype(int), "round": rounds, "score": scores}
    )


def results() -> dict[str, Any]:
    own, other = outcome(entropy=0.12, random=0.12), outcome(entropy=0.08, random=0.12)
    wider = Transferred(name="wider", facts=other.facts, measured=other.measured)
    found = conclude(replace(own, chosen=CHOSEN, transfers=(wider,)))
    return json.loads(json.dumps({**found, "workload": SCRIPT}))


def made(**changes: Any) -> SearchAnalysis:
    """The analysis of it, with what the subsets hold."""
    return SearchAnalysis(
        results=SearchResults.model_validate(results() | changes),
        classes=CHOSEN.classes,
        holdings=tuple(holdings(CHOSEN)),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("search")
    (directory / "results.json").write_text(json.dumps(results()), encoding="utf-8")
    (directory / "search.toml").write_text(f"# {SCRIPT}\nseed = 3\n", encoding="utf-8")
    (directory / "chosen").mkdir()
    chosen = CHOSEN.model_copy(update={"galleries": {"entropy": SHOWN}})
    (directory / "chosen" / "chosen.json").write_bytes(sealed(chosen.model_dump_json().encode()))
    table().write_parquet(directory / "chosen" / "entropy.parquet")
    write_search_report(read_search(directory), directory, formats=("svg",))
    return directory


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_opens_with_the_verdict_and_that_may_be_no(text: str) -> None:
    assert "<h1>Not worth it here, as far as 5 seeds can show" in text
    assert text.index("<h1>") < text.index("of the labels that it took in are wrong") < text.index("<svg")
    assert text.index("Did the search pay?") < text.index("<svg")


def test_what_another_training_came_to_on_the_same_subsets_is_said_too(text: str) -> None:
    assert "With wider trained on the same subsets" in text
    assert "Worth a look" in text
    verdicts = text[text.index("Did the search pay?") : text.index("<svg")]
    own, wider = verdicts.split("<h3>Trained on the same subsets: wider</h3>")
    assert "better" not in own.split("<p>")[0]
    assert "better" in wider.split("<p>")[0]


def test_no_text_becomes_markup_and_nothing_is_fetched(folder: Path, text: str) -> None:
    page = Page(text)
    assert page.open == []
    assert "script" not in page.tags
    assert "<script" not in text.lower()
    assert len(page.ids) == len(set(page.ids))
    allowed = ("#", "data:text/csv", "data:image/png", "figures/")
    assert all(link.startswith(allowed) for link in page.links)
    files = [link for link in page.links if link.startswith("figures/")]
    assert len(files) == 4
    assert all((folder / link).is_file() and (folder / link).with_suffix(".csv").is_file() for link in files)


def test_the_page_holds_the_gallery_the_cost_and_the_file(text: str) -> None:
    assert f'src="data:image/png;base64,{PNG}"' in text
    assert "✗ wrong, really b" in text
    assert "Most wanted" in text
    assert "<h2>What it cost" in text
    assert "save this as <code>search.toml</code>" in text
    assert "seed = 3" in text


def test_the_command_writes_the_same_page_again(folder: Path, text: str, capsys) -> None:
    assert execute(["report", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["workload"] == SCRIPT
    again = (folder / "report.html").read_text(encoding="utf-8")
    assert Page(again).open == []
    assert again.count("<figure") == text.count("<figure")


def test_single_verdicts_are_told_in_their_table_alone() -> None:
    found = results()
    assert found["conclusions"][0].startswith("Not worth it here")
    assert not any("entropy +" in text for text in found["conclusions"])
    found_ = made().results
    header, *rows = verdict_rows(found_, found_.acquisition)
    assert {(row[0], row[1], row[3]) for row in rows} == {
        ("entropy at 200", "random", "no difference shown"), ("entropy at 200", "full", "worse")
    }  # fmt: skip
    assert len(header) == 4


def test_planned_and_spent_are_added_up_over_the_sizes_of_the_first_seed() -> None:
    first = StageCost(
        seed=0, group="g", stage="search", size=1, examples_trained=10, examples_scored=5, labels_bought=1
    )
    second = first.model_copy(update={"size": 2})
    other = first.model_copy(update={"seed": 1, "examples_trained": 1000})
    _, row = cost_rows([first, second, other], [second.model_copy(update={"examples_trained": 7})])
    assert row == ["g", "search", "20", "7", "10", "5", "1"]


def test_lines_are_the_table_in_rising_size() -> None:
    found = {line.group: line for line in lines(made().results.table)}
    assert found["entropy"].sizes == (100, 200)
    assert found["entropy"].means[1] == pytest.approx(0.12)
    assert found["entropy"].spans[1][0] < 0.12 < found["entropy"].spans[1][1]
    one = [Mean(group="a", size=9, share=0.1, mean=0.5, interval=None, seeds=1)]
    assert lines(one)[0].spans == ((0.5, 0.5),)


def test_of_many_classes_those_are_shown_that_differ_most() -> None:
    from headrace.analysis.chosen import Holding

    ratios = np.ones((2, 40))
    ratios[:, [3, 17]] = [0.2, 2.0]
    shares = class_shares(
        [f"c{i}" for i in range(40)],
        [Holding(group="a", size=1, different=1.0, wrong=None, ratios=ratios)],
    )
    assert shares is not None
    assert len(shares.classes) == MOST_CLASSES
    assert shares.left_out == 40 - MOST_CLASSES
    assert {"c3", "c17"} <= set(shares.classes)
    real = class_shares(CHOSEN.classes, largest(holdings(CHOSEN)))
    assert real is not None
    assert real.classes == ("cat", "dog")
    assert real.groups["entropy"][1] == pytest.approx((0.7 / 0.4, 0.6 / 0.4, 0.8 / 0.4))


def test_the_scores_are_of_what_the_last_round_could_choose_and_chose() -> None:
    (found,) = taken_scores({"entropy": table(), "k_center": table().drop("score")})
    assert set(found.shares) == {WHOLE, TAKEN}
    high = [edge for edge, share in zip(found.edges, found.shares[TAKEN], strict=False) if share]
    assert min(high) > np.median(table()["score"])
    assert found.least == pytest.approx(1 / 80)


FIGURES = figures("search", made())


@pytest.mark.parametrize("layout", [WIDE, NARROW], ids=lambda layout: layout.name)
@pytest.mark.parametrize("place", [0, 1])
def test_text_is_at_least_12_px(place: int, layout: Layout) -> None:
    picture = FIGURES[place]
    assert isinstance(picture, Picture)
    root = ElementTree.fromstring(drawn(picture, layout))
    texts = [element for element in root.iter() if element.tag.endswith("}text")]
    assert len(texts) > 5
    assert min(float(t.attrib["style"].split("font-size: ")[1].split("px")[0]) for t in texts) >= 12


PEOPLE = """
[workload]
name = "digits-mlp"
[search]
sizes = [0.05, 0.1]
labels = "hidden"
oracle = "people"
[training]
batch_size = 8
hyperparameters = { learning_rate = 0.1 }
budget = { steps = 5 }
"""


def test_every_cell_has_its_name_for_narrow_screens() -> None:
    found_ = made().results
    rows = verdict_rows(found_, found_.acquisition)
    text = page(SearchAnalysis(results=found_), [])
    for name in rows[0]:
        assert text.count(f'<td data-name="{name}">') >= len(rows) - 1


def test_what_is_not_known_is_said_and_not_drawn(tmp_path: Path) -> None:
    bare = figures("search", replace(made(table=[], transfers=[]), holdings=()))
    assert all(isinstance(figure, Absent) for figure in bare)
    with pytest.raises(InputError, match="no results yet"):
        read_search(tmp_path)
    for content in ("3", '"x"', "[1]", "[" * 10**5, '{"a": 1}', json.dumps({**results(), "table": [1]})):
        (tmp_path / "results.json").write_text(content)
        with pytest.raises(DamagedError, match=r"results of a search|not a JSON object"):
            read_search(tmp_path)
    (tmp_path / "results.json").write_text(json.dumps({**results(), "table": [], "comparisons": []}))
    text = write_search_report(read_search(tmp_path), tmp_path, formats=()).read_text(encoding="utf-8")
    assert Page(text).open == []
    assert "give the search a table [comparison]" in text
    (tmp_path / "search.toml").write_text(PEOPLE)
    text = write_search_report(read_search(tmp_path), tmp_path, formats=()).read_text(encoding="utf-8")
    assert "[comparison]" not in text
    assert "because people gave the labels" in text
    assert "with the same answers" in text
    (tmp_path / "chosen").mkdir()
    (tmp_path / "chosen" / "chosen.json").write_text("{}")
    with pytest.raises(DamagedError, match="only this file is made anew"):
        read_search(tmp_path)
