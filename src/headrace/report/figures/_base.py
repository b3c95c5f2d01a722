"""What every figure is: words, a table of the numbers that it shows, a drawing; or why it is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from headrace.report.canvas import Layout
from headrace.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Words:
    """A figure's title, and its caption in paragraphs: what is to be seen, and how to read it."""

    title: str
    caption: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure that can be drawn.

    Attributes:
        name: The name of its files and its anchor.
        words: Title and caption.
        description: What is to be seen, in figures, for those who do not see it.
        table: Its values.
        draw: Draws it for a width.
    """

    name: str
    words: Words
    description: str
    table: Table
    draw: Callable[[Layout], Figure]


@dataclass(frozen=True, kw_only=True)
class Absent:
    """A figure that is left out, and why."""

    name: str
    words: Words
    reason: str


Part = Literal["experiment", "portraits", "search"]
"""Where a figure stands: in the page of an experiment, in its part on examples, in the page of a search."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """An entry of the registry: where the figures of one kind are made.

    Attributes:
        part: Where they stand.
        home: `module:function` of a function that takes an `Analysis` (of a search a `SearchAnalysis`) and
            returns its figures in their order: none, one, or several.
    """

    part: Part
    home: str

    def of(self, analysis: Any) -> Sequence[Picture | Absent]:
        """The figures of an analysis."""
        module, _, function = self.home.partition(":")
        make: Callable[[Any], Sequence[Picture | Absent]] = getattr(import_module(module), function)
        return make(analysis)
