"""The figures of the reports, one module each: its value, its words, its table, its drawing.

A figure more costs one file and one line here. Its module has a function that takes an analysis and returns
`Picture`s, or `Absent` where there is nothing to draw. `_base.py` is the contract, and
`tests/report/test_figures.py` holds every figure to it.
"""

from __future__ import annotations

from typing import Any

from headrace.report.figures._base import Absent, Figures, Part, Picture, Words

__all__ = ["FIGURES", "Absent", "Figures", "Part", "Picture", "Words", "figures"]

_HERE = "headrace.report.figures"

FIGURES: dict[str, Figures] = {
    "recommendation": Figures(part="experiment", home=f"{_HERE}.recommendation:figures"),
    "scaling": Figures(part="experiment", home=f"{_HERE}.scaling:figures"),
    "normalised": Figures(part="experiment", home=f"{_HERE}.normalised:figures"),
    "examples": Figures(part="experiment", home=f"{_HERE}.examples:figures"),
    "forwarded": Figures(part="experiment", home=f"{_HERE}.forwarded:figures"),
    "trade-off": Figures(part="experiment", home=f"{_HERE}.trade_off:figures"),
    "hyperparameters": Figures(part="experiment", home=f"{_HERE}.hyperparameters:figures"),
    "search": Figures(part="experiment", home=f"{_HERE}.search:figures"),
    "budgets": Figures(part="experiment", home=f"{_HERE}.budgets:figures"),
    "noise-scale": Figures(part="experiment", home=f"{_HERE}.noise_scale:figures"),
    "data-map": Figures(part="portraits", home=f"{_HERE}.data_map:figures"),
    "scores": Figures(part="portraits", home=f"{_HERE}.scores:figures"),
    "feed": Figures(part="portraits", home=f"{_HERE}.feed:figures"),
    "sizes": Figures(part="search", home=f"{_HERE}.sizes:figures"),
    "classes": Figures(part="search", home=f"{_HERE}.classes:figures"),
    "chosen-scores": Figures(part="search", home=f"{_HERE}.chosen_scores:figures"),
}
"""Name -> where it is made, in the order of the pages. Names of files and anchors begin with it."""


def figures(part: Part, analysis: Any) -> list[Picture | Absent]:
    """All figures of a part, in order.

    Args:
        part: Of which page or part.
        analysis: An `Analysis`; for the part "search" a `SearchAnalysis`.
    """
    return [figure for entry in FIGURES.values() if entry.part == part for figure in entry.of(analysis)]
