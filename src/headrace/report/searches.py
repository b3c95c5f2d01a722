"""What the figures of a subset search show: the metric against size, classes and scores of what was taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.report.portraits import Distribution, distribution
from headrace.report.tables import Table

if TYPE_CHECKING:
    import polars as pl

    from headrace.analysis.chosen import Holding

MOST_CLASSES = 16
"""With more classes those are shown that some method takes most or least."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One group of a comparison: the metric against the size of the subset.

    Attributes:
        group: The method, or the baseline.
        sizes: Examples, rising.
        means: Over the seeds.
        spans: The intervals of the means; the mean itself where there is one seed.
    """

    group: str
    sizes: tuple[int, ...]
    means: tuple[float, ...]
    spans: tuple[tuple[float, float], ...]


def lines(table: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    """The groups of `table` in `results.json`, in its order."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in table:
        groups.setdefault(row["group"], []).append(row)
    return tuple(_line(group, sorted(rows, key=lambda row: row["size"])) for group, rows in groups.items())


def _line(group: str, rows: Sequence[Mapping[str, Any]]) -> Line:
    return Line(
        group=group,
        sizes=tuple(row["size"] for row in rows),
        means=tuple(row["mean"] for row in rows),
        spans=tuple(tuple(row["interval"] or (row["mean"], row["mean"])) for row in rows),
    )


def line_table(table: Sequence[Mapping[str, Any]]) -> Table:
    """The values of the figure."""
    rows = tuple(
        (
            row["group"],
            row["size"],
            row["share"],
            row["mean"],
            *(row["interval"] or (None, None)),
            row["seeds"],
        )
        for row in table
    )
    return Table(columns=("group", "examples", "share", "mean", "low", "high", "seeds"), rows=rows)


@dataclass(frozen=True, kw_only=True)
class ClassShares:
    """How often classes are taken, over how often they occur.

    Attributes:
        classes: Their names, as many as are shown.
        groups: Method -> its ratios: mean, least and greatest over the seeds, for each class.
        left_out: How many classes are not shown.
    """

    classes: tuple[str, ...]
    groups: Mapping[str, tuple[tuple[float, float, float], ...]]
    left_out: int = 0


def class_shares(names: Sequence[str], found: Sequence[Holding]) -> ClassShares | None:
    """The ratios of each method; None where labels are not known.

    Args:
        names: The classes' names.
        found: One holding a method, of its largest subset.
    """
    known = [(holding.group, holding.ratios) for holding in found if holding.ratios is not None]
    if not known:
        return None
    means = np.array([ratios.mean(axis=0) for _, ratios in known])
    there = np.flatnonzero(~np.isnan(means[0]))
    far = np.abs(means[:, there] - 1).max(axis=0)
    shown = np.sort(there[np.argsort(-far, kind="stable")[:MOST_CLASSES]])
    return ClassShares(
        classes=tuple(names[int(place)] for place in shown),
        groups={
            group: tuple(
                (float(column.mean()), float(column.min()), float(column.max()))
                for column in ratios[:, shown].T
            )
            for group, ratios in known
        },
        left_out=len(there) - len(shown),
    )


def class_table(shares: ClassShares) -> Table:
    """The values of the figure."""
    rows = tuple(
        (group, name, *values)
        for group, some in shares.groups.items()
        for name, values in zip(shares.classes, some, strict=True)
    )
    return Table(columns=("group", "class", "ratio", "least_over_seeds", "greatest_over_seeds"), rows=rows)


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
