"""What every figure is: words, a table of the numbers that it shows, a drawing; or why it is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from headrace.report.canvas import Layout
from headrace.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Words:
    """A figure's title, and its caption in paragraphs: what it shows, and how to read it."""

    title: str
    caption: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure that can be drawn.

    Attributes:
        name: The name of its files and its anchor.
        words: Title and caption.
        description: What it shows, in numbers, for those who do not see it.
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
"""Where a figure is put: in the page of an experiment, in its part on examples, in the page of a search."""
