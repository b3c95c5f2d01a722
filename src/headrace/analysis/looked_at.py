"""Some examples to be looked at, in groups: what a page shows of them, no matter what found them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.store.portrait_records import ExamplesShown, ShownExample


@dataclass(frozen=True, kw_only=True)
class Example:
    """One example.

    Attributes:
        name: Its id, or else its index in the training set.
        score: The number for which it is shown, or None.
        label: Its label as it was given, in words, or None.
        predicted: The label that the model predicted most often lately, in words, or None.
        clean: The right label where that is known, in words, or None.
        png: A picture, as a PNG file in base 64, or None.
        text: A text, or None.
    """

    name: int | str
    score: float | None
    label: str | None
    predicted: str | None
    clean: str | None
    png: str | None
    text: str | None

    @property
    def is_wrong(self) -> bool | None:
        """Whether its label is wrong; None where that is not known."""
        return None if self.clean is None or self.label is None else self.clean != self.label


@dataclass(frozen=True, kw_only=True)
class LookedAt:
    """Examples of one policy or method.

    Attributes:
        groups: Why -> the examples, in order; none is empty. The page has the words of each why.
        note: Why examples are named by their numbers only, or None.
    """

    groups: Mapping[str, tuple[Example, ...]]
    note: str | None = None


def looked_at(stored: ExamplesShown) -> LookedAt:
    """The examples that a portrait or a search put aside to be looked at."""
    groups = {group.name: tuple(map(_example, group.exhibits)) for group in stored.walls if group.exhibits}
    return LookedAt(groups=groups, note=stored.unshown)


def _example(stored: ShownExample) -> Example:
    return Example(
        name=stored.example if stored.id is None else stored.id,
        score=stored.score,
        label=stored.label,
        predicted=stored.predicted,
        clean=stored.clean,
        png=stored.png,
        text=stored.text,
    )
