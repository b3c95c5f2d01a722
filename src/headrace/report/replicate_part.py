"""The part of the page on fresh seeds: what the next run takes, and every comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.analysis.replicate_verdicts import Cell
from headrace.analysis.replicates import Estimate, Replicated
from headrace.report.numbers import plain, whole
from headrace.report.tables import Table

if TYPE_CHECKING:
    from headrace.analysis.results import Analysis


@dataclass(frozen=True, kw_only=True)
class ReplicatePart:
    """What the page shows of fresh seeds.

    Attributes:
        rows: What a fresh run of each study takes, the header first.
        table: Every run, to download.
        verdicts: Every comparison, the header first; None without any.
        verdict_table: The same to download.
    """

    rows: Sequence[Sequence[str]]
    table: Table
    verdicts: Sequence[Sequence[str]] | None
    verdict_table: Table | None


def replicate_part(analysis: Analysis) -> ReplicatePart | None:
    """The part on fresh seeds, or None if there are none."""
    found = [one for one in analysis.replicated.values() if one.setting.trial is not None]
    if not found:
        return None
    cells = analysis.verdicts
    return ReplicatePart(
        rows=[
            ["study", *STUDY],
            *([one.study.key.name, *(say(one) for say in STUDY.values())] for one in found),
        ],
        table=_runs(found),
        verdicts=[
            ["study", *VERDICT],
            *([c.study.name, *(say(c) for say in VERDICT.values())] for c in cells),
        ]
        if cells
        else None,
        verdict_table=_verdicts(cells) if cells else None,
    )


STUDY: dict[str, Callable[[Replicated], str]] = {
    "setting": lambda one: f"trial {one.setting.trial}, {'shared' if one.setting.shared else 'its own'}",
    "reached the goal": lambda one: f"{one.reached} of {len(one.runs)}",
    "steps of a fresh run": lambda one: _estimate(one.steps),
    "95% of single runs": lambda one: _ends(one.steps.one_run if one.steps else None),
    "examples forwarded": lambda one: _estimate(one.forwarded),
    "test metric at the budget": lambda one: _estimate(one.test),
}
"""Column of the table of studies -> its cell."""

VERDICT: dict[str, Callable[[Cell], str]] = {
    "against": lambda cell: cell.baseline.name,
    "metric": lambda cell: {"examples_forwarded": "forwarded examples"}.get(cell.metric, cell.metric),
    "verdict": lambda cell: cell.verdict,
    "ratio or difference": lambda cell: plain(cell.effect),
    "95% interval": lambda cell: _ends(cell.interval),
    "would have been shown": lambda cell: plain(cell.detectable),
    "runs that count": lambda cell: (
        f"{cell.reached[0]} of {cell.seeds[0]}, {cell.reached[1]} of {cell.seeds[1]}"
    ),
    "setting": lambda cell: "shared" if cell.shared else "its own",
}
"""Column of the table of comparisons -> its cell."""


def _estimate(found: Estimate | None) -> str:
    if found is None:
        return "–"
    return plain(found.value) + (f" ({_ends(found.interval)})" if found.interval else "")


def _ends(pair: tuple[float, float] | None) -> str:
    """Both ends as numbers; a dash if there are none."""
    if pair is None or not all(math.isfinite(end) for end in pair):
        return "–"
    return f"{_number(pair[0])} to {_number(pair[1])}"


def _number(value: float) -> str:
    return whole(value) if abs(value) >= 1000 else plain(value)


def _runs(found: Sequence[Replicated]) -> Table:
    columns = ("seed", "reached", "diverged", "trained", "examples_forwarded", "validation", "test")
    return Table(
        columns=("study", "trial", *columns),
        rows=tuple(
            (one.study.key.name, run.trial, *(getattr(run, name) for name in columns))
            for one in found
            for run in one.runs
        ),
    )


def _verdicts(cells: Sequence[Cell]) -> Table:
    columns = (
        "axis",
        "metric",
        "verdict",
        "effect",
        "low",
        "high",
        "detectable",
        "seeds",
        "reached",
        "setting",
    )
    return Table(columns=("study", "baseline", *columns), rows=tuple(map(_verdict_row, cells)))


def _verdict_row(cell: Cell) -> tuple[Any, ...]:
    values = (cell.effect, *cell.interval, cell.detectable)
    numbers = (value if math.isfinite(value) else None for value in values)
    names = (cell.study.name, cell.baseline.name, cell.axis, cell.metric, cell.verdict)
    setting = "shared" if cell.shared else "own"
    return (*names, *numbers, cell.seeds[0], cell.reached[0], setting)
