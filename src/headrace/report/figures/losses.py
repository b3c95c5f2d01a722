"""The validation and training loss of the best trial of each study while it was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.report.figures._base import Absent, Picture, Words
from headrace.report.figures._courses import READ, course_figure, view_of

if TYPE_CHECKING:
    from headrace.analysis.results import Analysis

WORDS = Words(
    title="The losses of the best trials",
    caption=(
        f"{READ} Solid: the validation loss. Dotted: the training loss since the evaluation before. If "
        "validation rises while training falls, the model overfits. Training losses on different objectives, "
        "such as that of a policy that weighs examples, do not compare.",
    ),
)


def figures(analysis: Analysis) -> list[Picture | Absent]:
    """The figure of an analysis; none without measurements of losses."""
    view = view_of(analysis, [("validation_loss", "-"), ("train_loss", ":")], "loss", None)
    return [] if view is None else [course_figure("losses", WORDS, view, "validation_loss")]
