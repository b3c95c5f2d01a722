"""The trials of an analysis by study, for the figures of hyperparameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.report.values import Row

if TYPE_CHECKING:
    from headrace.analysis.results import Analysis


def by_study(analysis: Analysis) -> dict[str, list[Row]]:
    """Study -> the rows of its trials."""
    found: dict[str, list[Row]] = {}
    for row in analysis.trials.to_dicts():
        found.setdefault(row["study"], []).append(row)
    return found


def is_within(row: Row, high: float) -> bool:
    """Whether a trial is the best of its study, or reached the goal by step `high`."""
    return bool(row["best"]) or (row["reached"] is not None and row["reached"] <= high)
