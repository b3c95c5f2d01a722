"""A figure as bytes: files, and SVG to put within a page. The same figure gives the same bytes."""

from __future__ import annotations

import re
from functools import partial
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from headrace.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Format = Literal["svg", "pdf", "png"]
FORMATS: tuple[Format, ...] = ("svg", "pdf", "png")

_METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
_PNG_DPI = 144
"""Two pixels for each of the page: sharp on dense screens."""


def saved(figure: Figure, form: Format, *, title: str, tight: bool = True) -> bytes:
    """The figure as a file of this format, entitled `title`; call it within `style.styled`.

    Its texts lose what XML forbids and what would turn their direction. PDF and PNG have a margin around what
    is drawn, if `tight`.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_text(printable(text.get_text()))
    buffer = BytesIO()
    dpi = _PNG_DPI if form == "png" else 72
    # Files stand alone, and want the margin that the page gives to what stands within it.
    margin: dict[str, Any] = (
        {} if form == "svg" or not tight else {"bbox_inches": "tight", "pad_inches": 0.12}
    )
    figure.savefig(
        buffer, format=form, metadata={"Title": printable(title), **_METADATA[form]}, dpi=dpi, **margin
    )
    if form != "svg":
        return buffer.getvalue()
    return buffer.getvalue().replace(b"'DejaVu Sans'", b"'DejaVu Sans', Verdana, sans-serif")


def inline_svg(svg: bytes, *, prefix: str, description: str) -> str:
    """A saved SVG as it is put within a page: no prologue, ids of its own, the page's font, a size in pixels.

    Args:
        svg: What `saved` gave.
        prefix: Put before every id, so that many figures can be in one page; a plain word.
        description: What the figure shows, for those who do not see it.

    Returns:
        One `svg` element.
    """
    text = svg.decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<title>.*?</title>\s*|<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>\s*", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    text = re.sub(r"; font-family: [^;\"]*", "", text)
    text = re.sub(r"<[^>]*>", _rounded, text)
    return re.sub(r"<svg[^>]*>", partial(_root, description=description), text, count=1)


def _rounded(tag: re.Match[str]) -> str:
    """Coordinates to a hundredth of a pixel: half the size, the same picture."""
    return re.sub(r"(\d\.\d\d)\d+", r"\1", tag.group())


def _root(tag: re.Match[str], *, description: str) -> str:
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', tag.group())
    if found is None:
        raise ValueError("the SVG has no view box that starts at 0 0")
    width, height = found.groups()
    label = escape(printable(description))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}" width="{float(width):g}" height="{float(height):g}" '
        f'stroke-linejoin="round" stroke-linecap="butt" role="img" aria-label="{label}">'
    )
