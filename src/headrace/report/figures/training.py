"""The validation metric of the best trial of each study while it was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.figures._courses import READ, course_figure, view_of

if TYPE_CHECKING:
    from headrace.analysis.results import Analysis

WORDS = Words(
    title="How the best trials were trained",
    caption=(
        f"{READ} The dashed line is the goal. Where lines fall apart in steps and together in examples, "
        "batch sizes cost the same: perfect scaling.",
    ),
)


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis; none without measurements."""
    name, goal = f"validation {analysis.metric}", analysis.results.get("goal")
    view = view_of(analysis, [("validation", "-")], name, goal)
    return [] if view is None else [course_figure("training", WORDS, view, "validation")]
