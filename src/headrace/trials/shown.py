"""Which examples are shown, and how: groups of examples from columns of numbers. Imports no torch."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headrace.ids import Id, Ids, name
from headrace.store.portrait_records import ExamplesShown, ShownExample, ShownGroup

if TYPE_CHECKING:
    from headrace.workloads.showing import Shown


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Labels in words, by example; each may be unknown.

    Attributes:
        given: As they were given.
        predicted: As predicted most often.
        clean: The right ones.
    """

    given: Callable[[int], str | None] = lambda _: None
    predicted: Callable[[int], str | None] = lambda _: None
    clean: Callable[[int], str | None] = lambda _: None


def show_examples(
    groups: Mapping[str, tuple[np.ndarray, np.ndarray]],
    show: Callable[[int], Shown],
    labels: Labels,
    ids: Ids | None = None,
) -> ExamplesShown:
    """Groups of examples, each with its picture or text and its labels.

    Args:
        groups: Group -> the examples in order, and the score of each.
        show: What a reader sees of an example; an error of it leaves all examples unshown, and is reported.
        labels: The labels in words.
        ids: What the examples are called; None: their indices.
    """
    from headrace.workloads.registry import describe

    seen: dict[int, tuple[str | None, str | None]] = {}
    unshown: str | None = None
    try:
        for example in {int(example) for examples, _ in groups.values() for example in examples}:
            shown = show(example)
            png = base64.b64encode(shown.png).decode() if shown.png is not None else None
            seen[example] = (png, shown.text)
    except Exception as error:  # noqa: BLE001  (any error of the user's own `show`)
        seen, unshown = {}, f"Showing the examples raised {describe(error)}."
    if seen and not any(png or text for png, text in seen.values()):
        unshown = (
            "Examples of this kind cannot be shown: give the workload a function show(index) that returns a "
            "text or a picture."
        )
    return ExamplesShown(
        walls=tuple(
            ShownGroup(
                name=group,
                exhibits=tuple(
                    _shown_example((int(example), name(ids, int(example))), float(score), labels, seen)
                    for example, score in zip(chosen, scores, strict=True)
                ),
            )
            for group, (chosen, scores) in groups.items()
        ),
        unshown=unshown,
    )


def _shown_example(
    called: tuple[int, Id], score: float, labels: Labels, seen: Mapping[int, tuple[str | None, str | None]]
) -> ShownExample:
    example, its_name = called
    png, text = seen.get(example, (None, None))
    return ShownExample(
        example=example,
        id=None if its_name == example else its_name,
        score=score if np.isfinite(score) else None,
        label=labels.given(example),
        predicted=labels.predicted(example),
        clean=labels.clean(example),
        png=png,
        text=text,
    )
