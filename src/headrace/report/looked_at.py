"""Examples to be looked at, as a page shows them: groups of pictures or texts with their labels in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.analysis.looked_at import Example, LookedAt
from headrace.report.numbers import signed


@dataclass(frozen=True, kw_only=True)
class Told:
    """An example in words; every text is escaped by the template.

    Attributes:
        name: Its id, or else its index.
        png: A picture in base 64, or None.
        text: A text, or None.
        label: `label 3`, and what the model said: `label 3, predicted 8`.
        verdict: Whether the label is right, where that is known.
        wrong: Whether it is known to be wrong.
        score: The number for which it is shown.
    """

    name: int | str
    png: str | None
    text: str | None
    label: str
    verdict: str
    wrong: bool
    score: str


@dataclass(frozen=True, kw_only=True)
class ShownExamples:
    """The examples of one policy, or of one method.

    Attributes:
        name: Whose they are.
        groups: Title, why, and the examples of each.
        note: What is wrong with them, or None.
        open: Whether the page shows them at once.
    """

    name: str
    groups: tuple[tuple[str, str, tuple[Told, ...]], ...]
    note: str | None
    open: bool = True


OPEN = 3
"""Of more policies or methods than these only the first is open."""


def shown_examples(
    shown: Mapping[str, LookedAt], words: Mapping[str, tuple[str, str]]
) -> Sequence[ShownExamples]:
    """What a page shows; whoever has no examples is left out.

    Args:
        shown: Policy or method -> its examples.
        words: Group -> its title, and why its examples are in it.
    """
    return [
        ShownExamples(
            name=name,
            groups=tuple(
                (*words.get(group, (group, "")), tuple(map(_told, examples)))
                for group, examples in one.groups.items()
            ),
            note=one.note,
            open=place == 0 or len(shown) <= OPEN,
        )
        for place, (name, one) in enumerate(shown.items())
        if one.groups
    ]


def _told(example: Example) -> Told:
    given = [] if example.label is None else [f"label {example.label}"]
    predicted = [] if example.predicted is None else [f"predicted {example.predicted}"]
    verdicts = {None: "", True: f"✗ wrong, really {example.clean}", False: "✓ label is right"}
    return Told(
        name=example.name,
        png=example.png,
        text=example.text,
        label=", ".join(given + predicted),
        verdict=verdicts[example.is_wrong],
        wrong=bool(example.is_wrong),
        score="" if example.score is None else signed(example.score).removeprefix("+"),
    )
