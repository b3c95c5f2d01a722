"""What a report says first: as many sentences as there are findings, however many curves there are."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.analysis import words
from headrace.analysis.studies import Curve

MOST_SENTENCES = 12
"""With more conclusions than this, those about one curve each come later."""
FEW_CURVES = 4
"""Of more curves, likewise."""


def opening(said: Sequence[str], curves: Sequence[Curve]) -> list[str]:
    """The conclusions to open with: all of a few, or else those that are not about one curve each.

    Args:
        said: All of them.
        curves: Optimizer, subset, policy and workers of each study.
    """
    if len(said) <= MOST_SENTENCES and len(set(curves)) <= FEW_CURVES:
        return list(said)
    names = tuple(words.curve(curve) for curve in set(curves))
    return [text for text in said if not text.startswith(names)][:MOST_SENTENCES]
