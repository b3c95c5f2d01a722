"""How the scores of the examples are distributed under each policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.figures._distributions import SCORES, distribution, score_figure
from headrace.report.figures._portraits import numbered, together

if TYPE_CHECKING:
    import numpy as np

    from headrace.analysis.portraits import Reading
    from headrace.analysis.results import Analysis

WORDS = Words(
    title="How scores are distributed",
    caption=(
        "The share of the examples in each range of a score, on a logarithmic axis, so that a single "
        "example is seen at the lower edge. A second hump at the hard end (low confidence and AUM, high "
        "loss and EL2N) is a group worth looking at: wrong labels, a class that was not understood, or "
        "broken inputs.",
    ),
)


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """A figure for every few policies; none where there are no portraits."""
    return [
        _figure(group, numbered("scores", place)) for place, group in enumerate(together(analysis.portraits))
    ]


def _figure(readings: Sequence[Reading], name: str) -> Picture:
    found = [distribution(score, groups) for score, groups in score_columns(readings).items()]
    return score_figure(found, name, WORDS)


def score_columns(readings: Sequence[Reading]) -> dict[str, dict[str, np.ndarray]]:
    """Score -> policy -> the scores of the examples that it was trained on."""
    names = [name for name in SCORES if all(name in reading.examples.columns for reading in readings)]
    trained = {reading.policy: reading.examples["count"].to_numpy() > 0 for reading in readings}
    return {
        name: {r.policy: r.examples[name].to_numpy()[trained[r.policy]] for r in readings}
        for name in names[:6]
    }
