"""One figure for print: at a given width, with text that can be read at that width, and its values as CSV."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from headrace.errors import InputError, did_you_mean
from headrace.report.canvas import NARROW, Layout
from headrace.report.figures import Absent, Part, Picture, figures
from headrace.report.render import FORMATS, Format, saved

if TYPE_CHECKING:
    from headrace.analysis.results import Analysis
    from headrace.analysis.search_results import SearchAnalysis

LEAST_POINTS = 7
"""The smallest text of a printed figure, in points."""

_LEAST_PIXELS = 12
"""The smallest text of a figure as it is drawn."""

_POINTS = {"in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4, "pt": 1.0}
_LARGEST = 40 * 72.0
_TWO_COLUMNS = 560
"""From this width on, in pixels, larger panels stand next to each other."""

_PNG_DPI = 300


@dataclass(frozen=True, kw_only=True)
class Printed:
    """A figure's files.

    Attributes:
        content: The figure in the format that was asked for.
        csv: Its values.
    """

    content: bytes
    csv: bytes


def points_of(width: str) -> float:
    """A width such as 3.3in, 84mm, 8.4cm or 240pt, in points.

    Raises:
        InputError: Another form, or too narrow for text that can be read, or wider than 40 in.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(in|cm|mm|pt)\s*", width)
    if found is None:
        raise InputError(
            "must be a number with a unit", where="width", got=width, fix="For example 3.3in or 84mm."
        )
    points = float(found[1]) * _POINTS[found[2]]
    least = NARROW.width * LEAST_POINTS / _LEAST_PIXELS
    if not least <= points <= _LARGEST:
        ends = f"{math.ceil(least / 7.2) / 10}in to {_LARGEST / 72:.0f}in"
        fix = f"Figures are from {ends} wide, so that no text is smaller than {LEAST_POINTS} pt."
        raise InputError("no figure can be drawn at this width", where="width", got=width, fix=fix)
    return points


def layout_for(points: float) -> Layout:
    """How a figure is laid out if it is printed at this width: with text of `LEAST_POINTS` and more."""
    width = int(points * _LEAST_PIXELS / LEAST_POINTS)
    wide = width >= _TWO_COLUMNS
    return Layout(name="print", width=width, panels=2 if wide else 1, small_panels=4 if wide else 2)


def printed(
    analysis: Analysis | SearchAnalysis, parts: Sequence[Part], name: str, form: str, width: str
) -> Printed:
    """Draw a figure for print.

    Args:
        analysis: What is shown.
        parts: The parts of the report whose figures there are.
        name: The figure's name, as its files are called.
        form: "pdf", "svg" or "png" (300 dpi).
        width: For example "3.3in".

    Raises:
        InputError: Unknown name, format or width, or the figure is left out of this report, with the reason.
    """
    from headrace.report.style import styled

    if form not in FORMATS:
        raise InputError("unknown format", where="format", got=form, fix=did_you_mean(form, FORMATS))
    points = points_of(width)
    there = {figure.name: figure for part in parts for figure in figures(part, analysis)}
    figure = there.get(name)
    if figure is None:
        raise InputError("unknown figure", where="NAME", got=name, fix=did_you_mean(name, there))
    if isinstance(figure, Absent):
        raise InputError(f"this figure is left out of the report: {figure.reason}", where="NAME", got=name)
    with styled(figure.name):
        content = _scaled(figure, points, form)
    return Printed(content=content, csv=figure.table.csv().encode("utf-8"))


def _scaled(figure: Picture, points: float, form: Format) -> bytes:
    """The figure with a physical width of `points`: it is drawn in pixels, and scaled as a whole."""
    layout = layout_for(points)
    drawn, scale = figure.draw(layout), points / layout.width
    if form == "png":
        buffer = BytesIO()
        metadata = {"Software": None, "Title": figure.words.title}
        printed_as = {"dpi": (_PNG_DPI, _PNG_DPI)}
        drawn.savefig(buffer, format="png", dpi=_PNG_DPI * scale, metadata=metadata, pil_kwargs=printed_as)
        return buffer.getvalue()
    if form == "svg":
        return _scaled_svg(saved(drawn, "svg", title=figure.words.title), scale)
    return _scaled_pdf(saved(drawn, "pdf", title=figure.words.title, tight=False), scale)


def _scaled_svg(svg: bytes, scale: float) -> bytes:
    """The SVG with its size in points; the view box stays, so that everything in it shrinks alike."""

    def shrink(found: re.Match[bytes]) -> bytes:
        return re.sub(
            rb'\b(width|height)="([\d.]+)pt"',
            lambda size: size[1] + b'="%.4gpt"' % (float(size[2]) * scale),
            found[0],
        )

    return re.sub(rb"<svg\b[^>]*>", shrink, svg, count=1)


def _scaled_pdf(content: bytes, scale: float) -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(BytesIO(content)))
    writer.pages[0].scale_by(scale)
    buffer = BytesIO()
    writer.write(buffer)
    return buffer.getvalue()
