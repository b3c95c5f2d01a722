"""The figures of the reports, one module each: its value, its words, its table, its drawing.

A figure more costs one file, and one line in `registry.py`. Its module has a function that takes an analysis
and returns `Picture`s, or `Absent` where there is nothing to draw. `_base.py` is the contract, and
`tests/report/test_figures.py` holds every figure to it.
"""

from __future__ import annotations

from headrace.report.figures._base import Absent, Part, Picture, Words
from headrace.report.figures.registry import FIGURES, FigureEntry, figures

__all__ = ["FIGURES", "Absent", "FigureEntry", "Part", "Picture", "Words", "figures"]
