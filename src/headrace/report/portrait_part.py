"""The part of an experiment's page that shows portraits: what each example is like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.analysis.words import percent
from headrace.histories.registry import SCORES as ALL_SCORES
from headrace.report.figures import Absent
from headrace.report.frame import Shown, lead
from headrace.report.looked_at import ShownExamples, shown_examples
from headrace.report.numbers import plain, whole
from headrace.report.tables import Table
from headrace.report.words import LOOKED_AT

if TYPE_CHECKING:
    from headrace.analysis.portraits import Reading
    from headrace.analysis.results import Analysis


@dataclass(frozen=True, kw_only=True)
class PortraitPart:
    """The part of the page that shows portraits.

    Attributes:
        conclusions: Its sentences, each as a lead and the rest.
        rows: The table of portraits, its header first.
        figures: Its figures.
        absent: Those left out.
        areas: The table of areas under ROC curves, its header first; None where no right labels are known.
        area_table: The same to download.
        examples: Some examples of each policy to be looked at.
    """

    conclusions: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[str]]
    figures: Sequence[Shown]
    absent: Sequence[Absent]
    areas: Sequence[Sequence[str]] | None
    area_table: Table | None
    examples: Sequence[ShownExamples]


_AREAS_FIRST = (
    "aum", "mean_loss", "el2n", "difficulty", "correctness", "forgetting", "threshold_closeness",
    "loss_variance", "variability", "prediction_variance",
)  # fmt: skip
AREA_SCORES = (
    *_AREAS_FIRST,
    *(name for name, score in ALL_SCORES.items() if name not in _AREAS_FIRST and score.order_of is None),
)
"""The scores of the table of areas, each order of the examples once."""


def portrait_part(analysis: Analysis, figures: Sequence[Shown | Absent]) -> PortraitPart | None:
    """The part on portraits, or None where there is nothing to say of them."""
    said = analysis.results.get("portraits", {}).get("conclusions", [])
    if not said:
        return None
    readings = analysis.portraits
    table = area_table(readings)
    return PortraitPart(
        conclusions=[lead(text) for text in said],
        rows=portrait_rows(readings),
        figures=[figure for figure in figures if isinstance(figure, Shown)],
        absent=[figure for figure in figures if isinstance(figure, Absent)],
        areas=None if table is None else area_rows(readings),
        area_table=table,
        examples=shown_examples(
            {f"policy {reading.policy}": reading.looked_at for reading in readings}, LOOKED_AT
        ),
    )


def portrait_rows(readings: Sequence[Reading]) -> list[list[str]]:
    """How each portrait was made and what it says in numbers, the header first."""
    header = [
        "policy", "learning rate", "steps", "passes", "never learnt", "forgotten", "never trained on",
        "effective sample size", "unseen in an epoch", "examples trained", "examples forwarded",
    ]  # fmt: skip
    return [header, *(_portrait_row(reading) for reading in readings)]


def _portrait_row(reading: Reading) -> list[str]:
    made, fed = reading.portrait, reading.fed
    rate = made.hyperparameters.get("learning_rate")
    return [
        reading.policy,
        plain(rate if isinstance(rate, int | float) else None),
        whole(made.steps),
        plain(reading.passes),
        _share(reading.never_learnt),
        _share(reading.forgotten),
        _share(reading.never_trained),
        _share(sum(row.effective for row in fed) / len(fed) if fed else None),
        _share(sum(row.unseen for row in fed) / len(fed) if fed else None),
        whole(made.examples_backpropagated),
        whole(made.examples_forwarded),
    ]


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)


def area_rows(readings: Sequence[Reading]) -> list[list[str]]:
    """Score by policy, the header first: the area with its interval."""
    known = [reading for reading in readings if reading.areas]
    rows = [
        [name.replace("_", " "), *(_area(reading, name) for reading in known)]
        for name in AREA_SCORES
        if any(name in reading.areas for reading in known)
    ]
    return [["score", *(reading.policy for reading in known)], *rows]


def _area(reading: Reading, name: str) -> str:
    area = reading.areas.get(name)
    if area is None:
        return "–"
    return f"{area.area:.3f}" + (
        f" ({area.interval[0]:.3f} to {area.interval[1]:.3f})" if area.interval else ""
    )


def area_table(readings: Sequence[Reading]) -> Table | None:
    """Area under the ROC curve of each score for finding wrong labels; None where none are known."""
    rows = tuple(
        (reading.policy, name, area.area, *(area.interval or (None, None)))
        for reading in readings
        for name, area in reading.areas.items()
    )
    columns = ("policy", "score", "area_under_roc", "low", "high")
    return Table(columns=columns, rows=rows) if rows else None
