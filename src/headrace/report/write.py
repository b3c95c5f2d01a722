"""From an analysis to the files of its report."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.files import guarded, write_whole
from headrace.report import search_page
from headrace.report.figures import Absent, Picture, figures
from headrace.report.frame import Live, Shown
from headrace.report.page import page

if TYPE_CHECKING:
    from headrace.analysis.results import Analysis
    from headrace.analysis.search_results import SearchAnalysis
    from headrace.report.render import Format

PAGE = "report.html"


def write_report(
    analysis: Analysis,
    directory: Path,
    *,
    formats: Sequence[Format] = ("svg", "pdf", "png"),
    live: Live | None = None,
) -> Path:
    """Write `report.html`, and next to it `figures/NAME` as SVG, PDF, PNG and CSV.

    The page needs no other file: it opens with the conclusions, holds its figures and their data, and fetches
    nothing. The same analysis gives the same bytes.

    Args:
        analysis: What `headrace.analysis.results.analyse` gave.
        directory: The folder to write to.
        formats: The formats of the figures' files; empty for the page alone.
        live: What the page says of a run that is under way; None for a page that stays as it is.

    Returns:
        The path of the page.

    Raises:
        StorageError: The folder cannot be written, or a link leads out of it.
    """
    with guarded(directory, make=True):
        shown = draw_all(figures("experiment", analysis), directory, formats)
        first = 1 + sum(isinstance(figure, Shown) for figure in shown)
        about_examples = draw_all(figures("portraits", analysis), directory, formats, first=first)
        return _written(page(analysis, shown, about_examples, live), directory)


def write_search_report(
    analysis: SearchAnalysis, directory: Path, *, formats: Sequence[Format] = ("svg", "pdf", "png")
) -> Path:
    """Write `report.html` of a subset search, and its figures next to it, as `write_report` does.

    Args:
        analysis: What `headrace.analysis.search_results.analyse_search` gave.
        directory: The folder to write to.
        formats: The formats of the figures' files; empty for the page alone.

    Returns:
        The path of the page.

    Raises:
        StorageError: The folder cannot be written, or a link leads out of it.
    """
    with guarded(directory, make=True):
        shown = draw_all(figures("search", analysis), directory, formats)
        return _written(search_page.page(analysis, shown), directory)


def _written(text: str, directory: Path) -> Path:
    write_whole(directory / PAGE, text.encode("utf-8"))
    return directory / PAGE


def draw_all(
    figures: Sequence[Picture | Absent], directory: Path, formats: Sequence[Format], *, first: int = 1
) -> list[Shown | Absent]:
    """Draw the figures that can be drawn, numbered from `first`, with their files in `directory/figures`."""
    shown: list[Shown | Absent] = []
    for figure in figures:
        if isinstance(figure, Picture):
            shown.append(_drawn(figure, first, directory, formats))
            first += 1
        else:
            shown.append(figure)
    return shown


def _drawn(figure: Picture, number: int, directory: Path, formats: Sequence[Format]) -> Shown:
    """Draw a figure for both widths; the wide one is also what the files hold."""
    from headrace.report.canvas import NARROW, WIDE
    from headrace.report.render import inline_svg, saved
    from headrace.report.style import styled

    save = partial(saved, title=figure.words.title)
    inline = partial(inline_svg, description=figure.description)
    folder = directory / "figures"
    with styled(figure.name):
        picture = figure.draw(WIDE)
        wide = save(picture, "svg")
        for form in formats:
            write_whole(folder / f"{figure.name}.{form}", wide if form == "svg" else save(picture, form))
        narrow = save(figure.draw(NARROW), "svg")
    write_whole(folder / f"{figure.name}.csv", figure.table.csv().encode("utf-8"))
    return Shown(
        figure=figure,
        number=number,
        wide=inline(wide, prefix=f"{figure.name}-wide"),
        narrow=inline(narrow, prefix=f"{figure.name}-narrow"),
        files={form.upper(): f"figures/{figure.name}.{form}" for form in formats},
    )
