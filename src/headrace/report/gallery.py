"""A gallery as the page shows it: walls of pictures or texts with their labels in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.report.numbers import signed
from headrace.report.words import WALLS

if TYPE_CHECKING:
    from headrace.store.portrait_records import Exhibit, Gallery


@dataclass(frozen=True, kw_only=True)
class Hung:
    """An example on a wall, in words; every text is escaped by the template.

    Attributes:
        example: Its id, or else its index.
        png: A picture in base 64, or None.
        text: A text, or None.
        label: `label 3`, and what the model said: `label 3, predicted 8`.
        verdict: Whether the label is right, where that is known.
        wrong: Whether it is known to be wrong.
        score: The number for which it hangs there.
    """

    example: int | str
    png: str | None
    text: str | None
    label: str
    verdict: str
    wrong: bool
    score: str


@dataclass(frozen=True, kw_only=True)
class Room:
    """The gallery of one policy, or of one selection.

    Attributes:
        name: Whose it is.
        walls: Title, why, and the examples of each; walls without examples are left out.
        note: What is wrong with it, or None.
        open: Whether the page shows it at once.
    """

    name: str
    walls: tuple[tuple[str, str, tuple[Hung, ...]], ...]
    note: str | None
    open: bool = True


OPEN = 3
"""More rooms than these are closed but for the first."""


def rooms(galleries: Mapping[str, Gallery], walls: Mapping[str, tuple[str, str]] = WALLS) -> Sequence[Room]:
    """The rooms of a page.

    Args:
        galleries: Name -> the gallery.
        walls: Wall -> its title, and why its examples hang there.
    """
    return [
        Room(
            name=name,
            walls=tuple(
                (*walls.get(wall.name, (wall.name, "")), tuple(map(_hung, wall.exhibits)))
                for wall in gallery.walls
                if wall.exhibits
            ),
            note=gallery.unshown,
            open=place == 0 or len(galleries) <= OPEN,
        )
        for place, (name, gallery) in enumerate(galleries.items())
        if any(wall.exhibits for wall in gallery.walls)
    ]


def _hung(exhibit: Exhibit) -> Hung:
    given = [] if exhibit.label is None else [f"label {exhibit.label}"]
    predicted = [] if exhibit.predicted is None else [f"predicted {exhibit.predicted}"]
    known = exhibit.clean is not None and exhibit.label is not None
    wrong = known and exhibit.clean != exhibit.label
    return Hung(
        example=exhibit.example if exhibit.id is None else exhibit.id,
        png=exhibit.png,
        text=exhibit.text,
        label=", ".join(given + predicted),
        verdict=(f"✗ wrong, really {exhibit.clean}" if wrong else "✓ label is right") if known else "",
        wrong=wrong,
        score="" if exhibit.score is None else signed(exhibit.score).removeprefix("+"),
    )
