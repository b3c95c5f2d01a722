"""The registry of figures, in the order of the pages; importing it imports none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headrace.homes import Entry
from headrace.report.figures._base import Absent, Part, Picture

_ROOM = "headrace.report.figures."


@dataclass(frozen=True, kw_only=True)
class FigureEntry(Entry):
    """One line of the registry: where the figures of one kind are made, and where they are put.

    Its home is a function that takes an `Analysis` (of a search a `SearchAnalysis`) and returns its figures
    in order: none, one, or several.

    Attributes:
        part: Where they are put.
    """

    part: Part


FIGURES: dict[str, FigureEntry] = {
    "gain": FigureEntry(home=_ROOM + "grid_gain:figures", part="experiment"),
    "choices": FigureEntry(home=_ROOM + "grid_choices:figures", part="experiment"),
    "ends": FigureEntry(home=_ROOM + "grid_ends:figures", part="experiment"),
    "recommendation": FigureEntry(home=_ROOM + "recommendation:figures", part="experiment"),
    "scaling": FigureEntry(home=_ROOM + "scaling:figures", part="experiment"),
    "training": FigureEntry(home=_ROOM + "training:figures", part="experiment"),
    "losses": FigureEntry(home=_ROOM + "losses:figures", part="experiment"),
    "normalised": FigureEntry(home=_ROOM + "normalised:figures", part="experiment"),
    "examples": FigureEntry(home=_ROOM + "examples:figures", part="experiment"),
    "forwarded": FigureEntry(home=_ROOM + "forwarded:figures", part="experiment"),
    "trade-off": FigureEntry(home=_ROOM + "trade_off:figures", part="experiment"),
    "hyperparameters": FigureEntry(home=_ROOM + "hyperparameters:figures", part="experiment"),
    "rules": FigureEntry(home=_ROOM + "rules:figures", part="experiment"),
    "search": FigureEntry(home=_ROOM + "search:figures", part="experiment"),
    "budgets": FigureEntry(home=_ROOM + "budgets:figures", part="experiment"),
    "noise-scale": FigureEntry(home=_ROOM + "noise_scale:figures", part="experiment"),
    "data-map": FigureEntry(home=_ROOM + "data_map:figures", part="portraits"),
    "scores": FigureEntry(home=_ROOM + "scores:figures", part="portraits"),
    "feed": FigureEntry(home=_ROOM + "feed:figures", part="portraits"),
    "sizes": FigureEntry(home=_ROOM + "sizes:figures", part="search"),
    "classes": FigureEntry(home=_ROOM + "classes:figures", part="search"),
    "chosen-scores": FigureEntry(home=_ROOM + "chosen_scores:figures", part="search"),
}
"""Name -> where it is made, in the order of the pages. Names of files and anchors begin with it."""


def figures(part: Part, analysis: Any) -> list[Picture | Absent]:
    """All figures of a part, in order.

    Args:
        part: Of which page or part.
        analysis: An `Analysis`; for the part "search" a `SearchAnalysis`.
    """
    return [figure for entry in FIGURES.values() if entry.part == part for figure in entry.find()(analysis)]
