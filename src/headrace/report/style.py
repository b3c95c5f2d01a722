"""How figures look: colours that survive colour-blindness and print, text of at least 12 px."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

TEXT = 12.5
"""Size of all text in a figure, in pixels as shown; nothing is smaller."""

INK, FAINT, GRID = "#222222", "#6b6b6b", "#e4e4e4"

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "h")
_FILLS = (True, False)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How one curve is drawn: a colour of Okabe and Ito's palette, a marker, filled or open."""

    colour: str
    marker: str
    filled: bool

    @property
    def face(self) -> str:
        """The marker's face colour."""
        return self.colour if self.filled else "white"

    def style(self, size: float = 6.5) -> dict[str, Any]:
        """The keywords of a plotted marker."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "markersize": size,
            "markerfacecolor": self.face,
            "markeredgecolor": self.colour,
            "markeredgewidth": 1.4,
        }


def mark(place: int) -> Mark:
    """The mark of the curve at `place`; 112 differ (7 colours, 8 markers, filled or open)."""
    return Mark(
        colour=_COLOURS[place % len(_COLOURS)],
        marker=_MARKERS[place % len(_MARKERS)],
        filled=_FILLS[(place + place // (len(_COLOURS) * len(_MARKERS))) % 2],
    )


_SHADES = ((198, 219, 239), (66, 146, 198), (8, 29, 88))
"""Light, middle and dark blue, of ColorBrewer's sequence; they differ in grey too."""


def shade(place: int, count: int) -> str:
    """The colour of the line at `place` of `count` that are in an order, from light to dark."""
    at = 2 * (place + 0.5) / count if count > 1 else 1.5
    first = min(int(at), len(_SHADES) - 2)
    low, high = _SHADES[first], _SHADES[first + 1]
    mixed = (round(a + (b - a) * (at - first)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "axes.titlesize": TEXT,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "legend.fontsize": TEXT,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9a9a9a",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": "#9a9a9a",
    "ytick.color": "#9a9a9a",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.minor.visible": False,
    "ytick.minor.visible": False,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "text.parse_math": False,
}


@contextmanager
def styled(salt: str) -> Generator[None]:
    """Draw and save a figure in this style, regardless of the user's own settings; `salt` decides its ids."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        for name, value in {**_STYLE, "svg.hashsalt": salt}.items():
            cast("dict[str, Any]", mpl.rcParams)[name] = value
        yield
