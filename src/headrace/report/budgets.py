"""What a fixed budget buys: the best validation metric against batch size, where whole curves exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.report.tables import Table
from headrace.report.values import Curve, Row, key_of

if TYPE_CHECKING:
    from headrace.analysis.results import Analysis


@dataclass(frozen=True, kw_only=True)
class Budget:
    """One curve at one budget.

    Attributes:
        curve: The curve's label.
        place: Its place, which decides its mark.
        kind: "steps" or "epochs".
        budget: How many of them.
        sizes: Batch sizes, ascending.
        validation: The best validation metric at each.
        test: The test metric of the same measurement, None where it was not measured.
    """

    curve: str
    place: int
    kind: str
    budget: float
    sizes: tuple[int, ...]
    validation: tuple[float, ...]
    test: tuple[float | None, ...]


def budgets(analysis: Analysis, curves: Sequence[Curve]) -> tuple[Budget, ...]:
    """The best metric of each curve at each budget; rows of curves that were cut short are left out."""
    rows = [
        row for row in analysis.budgets.to_dicts() if row["whole_curves"] and row["validation"] is not None
    ]
    keys = list(dict.fromkeys(key_of(row) for row in analysis.steps.to_dicts()))
    groups: dict[tuple[int, str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((keys.index(key_of(row)), row["kind"], row["budget"]), []).append(row)
    return tuple(_budget(group, some, curves) for group, some in sorted(groups.items()))


def _budget(group: tuple[int, str, float], rows: Sequence[Row], curves: Sequence[Curve]) -> Budget:
    place, kind, budget = group
    ordered = sorted(rows, key=lambda row: row["batch_size"])
    return Budget(
        curve=curves[place].label,
        place=place,
        kind=kind,
        budget=budget,
        sizes=tuple(row["batch_size"] for row in ordered),
        validation=tuple(row["validation"] for row in ordered),
        test=tuple(row["test"] for row in ordered),
    )


def budget_table(budgets: Sequence[Budget]) -> Table:
    """The values of the figure."""
    rows = tuple(
        (b.curve, b.kind, b.budget, size, validation, test)
        for b in budgets
        for size, validation, test in zip(b.sizes, b.validation, b.test, strict=True)
    )
    return Table(columns=("curve", "kind", "budget", "batch_size", "validation", "test"), rows=rows)
