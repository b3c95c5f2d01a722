"""What the figures of portraits show: data maps, distributions of scores, what each epoch was fed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from headrace.histories.registry import SCORES as ALL_SCORES
from headrace.report.tables import Table

if TYPE_CHECKING:
    from headrace.analysis.portraits import Reading
    from headrace.store.portrait_records import Fed

TOGETHER = 6
"""The most policies in one figure of lines; of more there are several, each with the first policy."""

BIN, WIDE_BIN = 0.02, 0.04
"""The width of a data map's cells, which are twice as high; the wide one where there are more than four."""

BINS = 28
"""Bins of a distribution."""

SCORES: Mapping[str, str] = {
    "confidence": "confidence",
    "variability": "variability",
    "mean_loss": "mean loss",
    "aum": "AUM (mean margin)",
    "el2n": "EL2N",
    "transitions": "times forgotten",
    "loss_variance": "variance of the loss",
}
"""Column -> how it is written; a figure shows the first six that there are."""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The examples in one cell of a data map.

    Attributes:
        variability: The cell's middle.
        confidence: The cell's middle.
        examples: How many.
        correctness: The mean share of observations in which they were predicted right.
    """

    variability: float
    confidence: float
    examples: int
    correctness: float


@dataclass(frozen=True, kw_only=True)
class DataMap:
    """One policy's data map: every example is in one of the bins."""

    policy: str
    bins: tuple[Bin, ...]


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """The distribution of one score: the same bins for every policy.

    Attributes:
        score: The column.
        edges: [bins + 1]; of whole numbers the bins are one wide.
        shares: Policy -> the share of its examples in each bin [bins].
        least: The share that one example is, at the least.
    """

    score: str
    edges: tuple[float, ...]
    shares: Mapping[str, tuple[float, ...]]
    least: float


def data_map(reading: Reading, width: float) -> DataMap:
    """The data map of Swayamdipta et al. (2020), of the examples that were trained on.

    Cells are `width` wide in variability and twice as high in confidence.
    """
    import polars as pl

    table = reading.examples.filter(pl.col("count") > 0)
    cells = table.group_by(
        (pl.col("variability").clip(0, 0.4999) / width).floor().alias("x"),
        (pl.col("confidence").clip(0, 0.9999) / (2 * width)).floor().alias("y"),
    ).agg(pl.len().alias("examples"), pl.col("correctness").cast(pl.Float64).mean())
    return DataMap(
        policy=reading.policy,
        bins=tuple(
            Bin(
                variability=(row["x"] + 0.5) * width,
                confidence=(row["y"] + 0.5) * 2 * width,
                examples=row["examples"],
                correctness=row["correctness"],
            )
            for row in cells.sort("x", "y").iter_rows(named=True)
        ),
    )


def data_maps(readings: Sequence[Reading]) -> tuple[DataMap, ...]:
    """One a policy whose history holds predictions."""
    known = [reading for reading in readings if reading.portrait.kind == "predictions"]
    width = BIN if len(known) <= 4 else WIDE_BIN
    return tuple(data_map(reading, width) for reading in known)


def data_map_table(maps: Sequence[DataMap]) -> Table:
    """The values of the figure."""
    rows = ((m.policy, b.variability, b.confidence, b.examples, b.correctness) for m in maps for b in m.bins)
    return Table(columns=("policy", "variability", "confidence", "examples", "correctness"), rows=tuple(rows))


def distributions(columns: Mapping[str, Mapping[str, Float[np.ndarray, " examples"]]]) -> list[Distribution]:
    """The distributions of scores.

    Args:
        columns: Score -> group -> the scores of its examples.
    """
    return [distribution(score, groups) for score, groups in columns.items()]


def distribution(score: str, groups: Mapping[str, np.ndarray]) -> Distribution:
    """The distribution of one score in each group, in common bins from the least to the greatest value."""
    everything = np.concatenate([np.asarray(values, dtype=np.float64) for values in groups.values()])
    whole = all(values.dtype.kind in "iu" for values in groups.values())
    edges = _edges(everything, whole=whole)
    shares: dict[str, tuple[float, ...]] = {}
    for name, values in groups.items():
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)
        shares[name] = tuple((counts / max(1, len(values))).tolist())
    least = 1 / max(len(values) for values in groups.values())
    return Distribution(score=score, edges=tuple(edges.tolist()), shares=shares, least=least)


def _edges(values: np.ndarray, *, whole: bool) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if whole:
        step = max(1, int(np.ceil((high - low + 1) / BINS)))
        return np.arange(low - 0.5, high + step + 0.5, step)
    return np.linspace(low, high if high > low else low + 1.0, BINS + 1)


def score_columns(readings: Sequence[Reading]) -> dict[str, dict[str, np.ndarray]]:
    """Score -> policy -> the scores of the examples that it was trained on."""
    names = [name for name in SCORES if all(name in reading.examples.columns for reading in readings)]
    trained = {reading.policy: reading.examples["count"].to_numpy() > 0 for reading in readings}
    return {
        name: {r.policy: r.examples[name].to_numpy()[trained[r.policy]] for r in readings}
        for name in names[:6]
    }


def distribution_table(found: Sequence[Distribution]) -> Table:
    """The values of the figure."""
    rows = (
        (d.score, group, low, high, share)
        for d in found
        for group, shares in d.shares.items()
        for low, high, share in zip(d.edges, d.edges[1:], shares, strict=False)
    )
    return Table(columns=("score", "group", "from", "to", "share_of_examples"), rows=tuple(rows))


def feeds(readings: Sequence[Reading]) -> dict[str, tuple[Fed, ...]]:
    """Policy -> what its whole epochs were fed; without policies that had no whole epoch."""
    return {reading.policy: reading.portrait.fed for reading in readings if reading.portrait.fed}


def is_even(fed: Mapping[str, Sequence[Fed]]) -> bool:
    """Whether every epoch of all trained on every example, and on all alike."""
    return all(row.effective > 1 - 1e-9 and row.unseen == 0 for rows in fed.values() for row in rows)


def feed_table(fed: Mapping[str, Sequence[Fed]]) -> Table:
    """The values of the figure."""
    columns = ("policy", "epoch", "examples_trained", "effective_share", "unseen_share", "never_seen_share")
    rows = (
        (policy, row.epoch + 1, row.draws, row.effective, row.unseen, row.never_seen)
        for policy, some in fed.items()
        for row in some
    )
    return Table(columns=columns, rows=tuple(rows))


def together(readings: Sequence[Reading]) -> list[list[Reading]]:
    """The readings in groups small enough for one figure of lines, the first one in each."""
    if len(readings) <= TOGETHER:
        return [list(readings)] if readings else []
    first, others = readings[0], list(readings[1:])
    return [[first, *others[i : i + TOGETHER - 1]] for i in range(0, len(others), TOGETHER - 1)]


_AREAS_FIRST = (
    "aum", "mean_loss", "el2n", "difficulty", "correctness", "forgetting", "threshold_closeness",
    "loss_variance", "variability", "prediction_variance",
)  # fmt: skip
AREA_SCORES = (
    *_AREAS_FIRST,
    *(name for name, score in ALL_SCORES.items() if name not in _AREAS_FIRST and score.order_of is None),
)
"""The scores of the table of areas, each order of the examples once."""


def area_table(readings: Sequence[Reading]) -> Table | None:
    """Area under the ROC curve of each score for finding wrong labels; None where none are known."""
    rows = tuple(
        (reading.policy, name, area.area, *(area.interval or (None, None)))
        for reading in readings
        for name, area in reading.areas.items()
    )
    columns = ("policy", "score", "area_under_roc", "low", "high")
    return Table(columns=columns, rows=rows) if rows else None
