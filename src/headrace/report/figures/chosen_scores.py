"""The scores of what was chosen in the last round, compared with those of all that could be chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.figures._distributions import Distribution, distribution, score_figure

if TYPE_CHECKING:
    import polars as pl

    from headrace.analysis.search_results import SearchAnalysis

WORDS = Words(
    title="The scores of what was chosen",
    caption=(
        "For each method the score by which its last round chose, with the first seed: of all that it could "
        "still choose from, and of what it chose, as shares of these on a logarithmic axis. Where the two "
        "have the same shape, the score decided little.",
    ),
)


def figures(analysis: SearchAnalysis) -> list[Picture | Absent]:
    """The figure of a search."""
    found = taken_scores(analysis.last_rounds)
    if not found:
        reason = "No method of this search chooses by a score of each example."
        return [Absent(name="chosen-scores", words=WORDS, reason=reason)]
    return [score_figure(found, "chosen-scores", WORDS)]


WHOLE, TAKEN = "all that it could choose from", "chosen in the last round"


def taken_scores(tables: Mapping[str, pl.DataFrame]) -> list[Distribution]:
    """The scores of each method's last round: of all that it could choose from, and of what it chose.

    Args:
        tables: Method -> every example as its last round saw it; without `score` it is left out.
    """
    return [
        distribution(group, parts)
        for group, table in tables.items()
        if "score" in table.columns and len((parts := _parts(table))[TAKEN])
    ]


def _parts(table: pl.DataFrame) -> dict[str, np.ndarray]:
    rounds, scores = table["round"].to_numpy(), table["score"].to_numpy()
    last = rounds == rounds.max()
    # What was taken before the last round was no candidate, or had its chance before.
    there = (last | (rounds < 0)) & np.isfinite(scores)
    return {WHOLE: scores[there], TAKEN: scores[last & there]}
