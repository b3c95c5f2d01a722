"""The page as a reader and a browser get it."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from headrace.analysis.results import Analysis, Asked
from headrace.report import write_report
from headrace.report.frame import lead
from headrace.report.page import MOST_OPEN, headline, interval, summary_row
from headrace.report.values import Curve, Fit, Point, curves

from .made import Made, a_grid, analysis

SCRIPT = "<script>alert('x')</script>&$x^2$"
VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """Elements in their order, ids, links, and whether tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.used: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self._attributes(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._attributes(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def _attributes(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            assert not name.startswith("on")
            self.ids += [value or ""] if name == "id" else []
            self.links += [value or ""] if name in ("href", "src", "xlink:href") else []
            self.used |= set(re.findall(r"url\(#([^)]+)\)", value or ""))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report")
    asked = Asked(text=f'seed = 7\n[workload]\nname = "{SCRIPT}"\n', seed=7, facts={"description": SCRIPT})
    made = Made(
        sizes=(8, 16384), trials=10, workload=SCRIPT, laws={"sgd": (210.0, 160.0), SCRIPT: (120.0, 620.0)}
    )
    result = replace(analysis(made), asked=asked)
    result.results["conclusions"].insert(1, SCRIPT)
    assert write_report(result, directory) == directory / "report.html"
    return directory


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_is_whole_html(page: Page) -> None:
    assert page.open == []
    assert page.tags[0] == "html"


def test_no_text_of_the_user_becomes_markup(text: str, page: Page) -> None:
    assert "script" not in page.tags
    assert "<script" not in text.lower()
    # The title, the heading, a conclusion, the summary, a figure in both widths, the experiment file.
    assert text.count("&lt;script&gt;") >= 7


def test_ids_are_unique_and_all_that_are_used_exist(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids)) > 100
    assert page.used <= set(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_nothing_is_fetched(text: str, page: Page) -> None:
    assert all(link.startswith(("#", "data:text/csv", "figures/")) for link in page.links)
    assert "@import" not in text
    assert "url(http" not in text


def test_the_conclusions_come_before_the_first_figure_and_warnings_apart(text: str) -> None:
    first = text.index("<svg")
    assert text.index("larger batches save steps") < text.index("<table") < first
    warning = "the best learning rate lies on the border"
    assert text.count(warning) == 1
    assert text.index('class="warnings"') < text.index(warning) < first


def test_every_figure_has_its_data_and_its_files(folder: Path, text: str, page: Page) -> None:
    figures = re.findall(r"<figure.*?</figure>", text, flags=re.DOTALL)
    assert len(figures) == 9
    for figure in figures:
        assert figure.count("<svg") == 2
        assert figure.count('href="data:text/csv') == 1
        assert figure.count('role="img" aria-label="') == 2
    files = [link for link in page.links if link.startswith("figures/")]
    assert len(files) == 3 * len(figures)
    starts = {".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}
    for link in files:
        assert (folder / link).read_bytes().startswith(starts[Path(link).suffix])
        assert (folder / link).with_suffix(".csv").read_text(encoding="utf-8").count("\n") > 1


def test_no_letter_of_the_page_is_set_under_12_px(text: str) -> None:
    css = text[text.index("<style>") : text.index("</style>")]
    sizes = [float(size) for size in re.findall(r"(?:font-size: |font: )([\d.]+)px", css)]
    assert len(sizes) > 10
    assert min(sizes) >= 12


def test_what_was_run_is_told(text: str) -> None:
    assert "<dt>seed</dt><dd>7</dd>" in text
    assert "headrace run experiment.toml" in text
    assert "seed = 7\n[workload]" in text


def test_the_same_analysis_gives_the_same_page(folder: Path, tmp_path: Path) -> None:
    made = Made(sizes=(8, 64), trials=4, laws={"sgd": (210.0, 160.0)})
    pages = [write_report(analysis(made), tmp_path / name, formats=()).read_bytes() for name in ("a", "b")]
    assert pages[0] == pages[1]
    assert b"figures/" not in pages[0]
    assert not list((tmp_path / "a").rglob("*.partial"))


def test_an_experiment_in_which_nothing_reached_the_goal_is_still_told(tmp_path: Path) -> None:
    made = analysis(
        Made(
            laws={"sgd": (210.0, 160.0)}, sizes=(8, 16384), unreached=frozenset({("sgd", 8), ("sgd", 16384)})
        )
    )
    fits = made.fits.with_columns(pl.lit(None, dtype=pl.Float64).alias("steps_min"))
    path = write_report(_with(made, fits=fits), tmp_path, formats=())
    text = path.read_text(encoding="utf-8")
    assert "No trial reached the goal by training at any batch size" in text
    assert "goal not reached" in text
    assert Page(text).open == []


def test_too_few_points_for_a_fit_leave_the_points(tmp_path: Path) -> None:
    made = analysis(Made(sizes=(8,), trials=8, laws={"sgd": (210.0, 160.0)}))
    nothing = [
        pl.lit(None, dtype=pl.Float64).alias(name)
        for name in ("steps_min", "critical_batch_size", "low", "high")
    ]
    text = write_report(_with(made, fits=made.fits.with_columns(*nothing)), tmp_path, formats=()).read_text(
        encoding="utf-8"
    )
    assert "How many steps each batch size needs" in text
    assert "fitted curve" not in text


def _with(made: Analysis, *, fits: pl.DataFrame) -> Analysis:
    names = ("results", "steps", "trials", "best_hyperparameters", "budgets")
    return Analysis(fits=fits, **{name: getattr(made, name) for name in names})


def test_the_summary_says_at_least_where_the_largest_tested_is_still_useful() -> None:
    points = (
        Point(batch_size=8, steps=100, low=100, high=120),
        Point(batch_size=16, steps=60, low=60, high=None),
    )
    fit = Fit(
        steps_min=50.0, critical_batch_size=1234.4, low=800.0, high=float("inf"), perfect_scaling_limit=8,
        max_useful_batch_size=16, max_useful_is_largest_tested=True,
    )  # fmt: skip
    row = summary_row(Curve(label="SGD", optimizer="sgd", points=points, fit=fit))
    assert (row["perfect"], row["useful"]) == ("none", "≥ 16")
    assert (row["critical"], row["critical_interval"]) == ("1,234", "at least 800")
    assert (row["fewest"], row["fewest_interval"], row["fewest_at"]) == (
        "60",
        "at least 60",
        "at batch size 16",
    )


def curve(label: str, useful: float | None, *, largest: bool = False, high: float | None = None) -> Curve:
    fit = Fit(
        steps_min=1.0, critical_batch_size=8.0, max_useful_batch_size=useful, max_useful_high=high,
        max_useful_low=64.0 if high else None, max_useful_is_largest_tested=largest,
    )  # fmt: skip
    return Curve(label=label, optimizer="sgd", points=(Point(batch_size=4096, steps=9),), fit=fit)


def test_the_headline_is_the_answer_in_one_sentence() -> None:
    said = "Larger batches save steps up to a batch size of 256"
    assert headline([curve("SGD", 256)]) == f"{said}."
    two = headline([curve("SGD", 256, high=512), curve("Nesterov", 4096, largest=True, high=4096)])
    first, second = f"{said} with SGD (95% interval: 64 to 512)", "at least 4,096 with Nesterov"
    assert two == f"{first}, and of {second} (95% interval: at least 64)."
    assert "sizes of 1 to 5:" in headline([curve(str(size), size) for size in range(1, 6)])
    assert headline([curve("SGD", None)]).startswith("Too few batch sizes")


def test_the_lead_of_a_conclusion_is_what_stands_before_its_colon() -> None:
    assert lead("SGD: it scales: far") == ("SGD: ", "it scales: far")
    assert lead("It scales far.") == ("", "It scales far.")


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((0.57, 34.4), "0.57 to 34.4"), ((12, None), "at least 12"), ((0.0, 34), "at most 34"),
        ((0.0, float("inf")), "not bounded"), ((None, None), ""),
    ],
)  # fmt: skip
def test_intervals_in_words(ends: tuple[float | None, float | None], text: str) -> None:
    assert interval(*ends) == text


def test_importing_the_room_imports_no_plotting() -> None:
    import subprocess
    import sys

    heavy = {"torch", "matplotlib", "polars", "jinja2"}
    code = f"import sys, headrace.report; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("met", [("sgd", 8), ("sgd", 16384), None])
def test_studies_that_met_the_goal_untrained_are_left_out_of_figures_and_kept_in_tables(
    tmp_path: Path, met: tuple[str, int] | None
) -> None:
    made = analysis(Made(laws={"sgd": (210.0, 160.0)}, sizes=(8, 64, 16384), unreached=frozenset(), trials=8))
    untrained = pl.lit(met is None) | (pl.col("batch_size") == (met or ("", 0))[1])
    columns = [name for name in ("steps", "low", "high", "examples_forwarded") if name in made.steps.columns]
    steps = made.steps.with_columns(
        pl.when(untrained).then(0).otherwise(pl.col(name)).alias(name) for name in columns
    )
    text = write_report(replace(made, steps=steps), tmp_path, formats=("svg",)).read_text(encoding="utf-8")
    assert Page(text).open == []
    assert ("No trial reached the goal by training" in text) == (met is None)
    assert any(point.steps == 0 for curve in curves(replace(made, steps=steps)) for point in curve.points)


def test_control_characters_of_names_reach_neither_the_page_nor_its_figures(tmp_path: Path) -> None:
    name = "\x1b[31m\u202evil\x00\ufffe $x^{"
    made = analysis(Made(laws={"sgd": (210.0, 160.0), name: (120.0, 620.0)}, sizes=(8, 64, 512), trials=8))
    text = write_report(made, tmp_path, formats=("svg",)).read_text(encoding="utf-8")
    assert not set(text) & set("\x00\x1b\u202e\ufffe")
    assert "\\x1b[31m\\u202evil\\x00\\ufffe $x^{" in text
    for file in (tmp_path / "figures").glob("*.svg"):
        ElementTree.parse(file)


def test_the_report_of_a_grid_opens_with_its_verdict_and_few_figures(tmp_path: Path) -> None:
    workers = (1, 2, 4, 8)
    made = analysis(Made(sizes=(8, 64, 512), trials=8, workers=workers, laws={"sgd": (210.0, 160.0)}))
    grid = a_grid()
    single = [f"SGD, {count} workers: steps to the goal are these." for count in workers if count > 1]
    made.results["conclusions"] += [*single, *single]
    text = write_report(replace(made, grid=grid), tmp_path, formats=()).read_text()
    Page(text)
    opened = text[: text.index('<figure class="figure"')]
    visible = re.sub(r"<details.*?</details>", "", opened, flags=re.DOTALL)
    assert html.escape(grid.headline, quote=False) in visible
    for line in grid.lines:
        assert html.escape(line.text, quote=False) in visible
    assert len(re.findall(r"<li", visible)) <= 12
    # The sentences about one curve each are behind a fold.
    assert "steps to the goal are these" not in visible
    assert text.count("steps to the goal are these") == 2 * len(single)
    # The three of the grid come first, and no more than six figures are open.
    names = re.findall(r'<figure class="figure" id="([a-z-]+)"', text)
    assert names[:3] == ["gain", "choices", "ends"]
    open_ones = re.sub(r"<details.*?</details>", "", text, flags=re.DOTALL)
    assert len(re.findall(r'<figure class="figure"', open_ones)) == min(len(names), MOST_OPEN)
