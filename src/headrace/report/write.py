"""From an analysis to the files of its report."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

from headrace.errors import DamagedError
from headrace.files import guarded, write_whole
from headrace.report.figures import Absent, Picture, figures, portrait_figures
from headrace.report.frame import Provenance, Shown
from headrace.report.noise_course import noise_course
from headrace.report.numbers import whole
from headrace.report.page import page, portrait_part
from headrace.report.recommended import Recommended, recommended
from headrace.report.values import curves
from headrace.sealed import unsealed_toml

if TYPE_CHECKING:
    from headrace.analysis.results import Analysis
    from headrace.report.render import Format

_PACKAGES = ("headrace", "torch", "numpy", "scipy", "polars", "matplotlib")


def write_report(
    analysis: Analysis, directory: Path, *, formats: Sequence[Format] = ("svg", "pdf", "png")
) -> Path:
    """Write `report.html`, and beside it `figures/NAME` as SVG, PDF, PNG and CSV.

    The page stands alone: it opens with the conclusions, holds its figures and their data, and fetches
    nothing. The same analysis in the same folder gives the same bytes.

    Args:
        analysis: What `headrace.analysis.results.analyse` gave.
        directory: The folder of the run; its `experiment.toml` and `workload.json` are shown, if there.
        formats: The formats of the figures' files; empty for the page alone.

    Returns:
        The path of the page.

    Raises:
        StorageError: The folder cannot be written, or a link leads out of it.
    """
    facts = read_json(directory / "workload.json")
    metric = str(analysis.results.get("goal_metric", "validation/error")).removeprefix("validation/")
    found = curves(analysis)
    advice = recommended(directory)
    noise = noise_course(directory, analysis.results)
    drawable = [
        *([advice.figure if isinstance(advice, Recommended) else advice] if advice else []),
        *figures(analysis, found, metric=metric),
        *([noise] if noise else []),
    ]
    made_of = provenance(directory, facts)
    told = advice if isinstance(advice, Recommended) else None
    path = directory / "report.html"
    with guarded(directory, make=True):
        shown = draw_all(drawable, directory, formats)
        first = 1 + sum(isinstance(figure, Shown) for figure in shown)
        about = draw_all(portrait_figures(analysis.portraits), directory, formats, first=first)
        part = portrait_part(analysis, about)
        text = page(analysis, found, shown, made_of, part, metric=metric, advice=told)
        write_whole(path, text.encode("utf-8"))
    return path


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


def write_figure(figure: Picture, directory: Path, *, formats: Sequence[Format] = ("svg", "png")) -> Path:
    """Write one figure as `figures/NAME` in these formats and as CSV, without the page.

    Args:
        figure: What is drawn.
        directory: The folder of the run.
        formats: The formats.

    Returns:
        The path of the first format's file.
    """
    with guarded(directory, make=True):
        _drawn(figure, 1, directory, formats)
    return directory / "figures" / f"{figure.name}.{formats[0]}"


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


def provenance(directory: Path, facts: Mapping[str, Any]) -> Provenance:
    """What is known of how the results came about; only what the folder and this machine say."""
    path = directory / "experiment.toml"
    text = unsealed_toml(path) if path.is_file() else None
    return Provenance(
        experiment=text,
        seed=None if text is None else tomllib.loads(text).get("seed"),
        facts=_facts_in_words(facts),
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """Package -> its version on this machine."""
    found = {"Python": python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _facts_in_words(facts: Mapping[str, Any]) -> dict[str, str]:
    """The counts of the workload that are on record."""
    names = {
        "train_examples": "training examples",
        "validation_examples": "validation examples",
        "test_examples": "test examples",
        "parameters": "parameters of the model",
    }
    said = {"description": str(facts["description"])} if facts.get("description") else {}
    return said | {words: whole(facts[name]) for name, words in names.items() if facts.get(name)}


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no such file.

    Raises:
        DamagedError: It is truncated or was altered.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if not isinstance(found, dict):
            raise ValueError("it is not an object")
        return found
    except (ValueError, RecursionError) as error:
        fix = "Delete it and give the command that made it again."
        raise DamagedError(f"this is not a JSON object ({error})", where=str(path), fix=fix) from None
