"""What searches chose, over seeds: wrong labels taken in, and classes taken more or less than they occur."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from headrace.analysis import words
from headrace.store.chosen import Chosen, Taken


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What the subsets of one method and size hold, over the seeds.

    Attributes:
        group: The method, or "random".
        size: Examples, duplicates counted.
        different: Different examples, the mean.
        wrong: The mean share of wrong labels, its least and its greatest; None where they are not known.
        ratios: A class's share of the subset over its share of the training set: seeds x classes, NaN for
            classes that the training set does not have; None where labels are not known.
    """

    group: str
    size: int
    different: float
    wrong: tuple[float, float, float] | None
    ratios: Float[np.ndarray, "seeds classes"] | None

    @property
    def means(self) -> Float[np.ndarray, " classes"] | None:
        """The mean ratio of each class."""
        return None if self.ratios is None else self.ratios.mean(axis=0)


def holdings(chosen: Chosen) -> list[Holding]:
    """What the subsets hold, in the order of the record."""
    cells: dict[tuple[str, int], list[Taken]] = {}
    for taken in chosen.taken:
        cells.setdefault((taken.group, taken.size), []).append(taken)
    return [_holding(chosen, *cell, some) for cell, some in cells.items()]


def _holding(chosen: Chosen, group: str, size: int, some: Sequence[Taken]) -> Holding:
    wrong = [taken.wrong / taken.different for taken in some if taken.wrong is not None]
    return Holding(
        group=group,
        size=size,
        different=sum(taken.different for taken in some) / len(some),
        wrong=(sum(wrong) / len(wrong), min(wrong), max(wrong)) if wrong else None,
        ratios=_ratios(chosen, some),
    )


def _ratios(chosen: Chosen, some: Sequence[Taken]) -> np.ndarray | None:
    counts = [taken.classes for taken in some if taken.classes is not None]
    if chosen.whole is None or len(counts) < len(some):
        return None
    whole = np.array(chosen.whole, dtype=np.float64)
    shares = np.array(counts, dtype=np.float64) / np.array([[taken.different] for taken in some])
    return np.divide(shares, whole / chosen.examples, out=np.full_like(shares, np.nan), where=whole > 0)


def largest(found: Sequence[Holding]) -> list[Holding]:
    """The largest subset of each method."""
    by_group: dict[str, Holding] = {}
    for holding in found:
        if holding.group not in by_group or holding.size > by_group[holding.group].size:
            by_group[holding.group] = holding
    return list(by_group.values())


def conclude_chosen(chosen: Chosen) -> list[str]:
    """Sentences on the largest subset of each method, and on random subsets if there are any."""
    found = largest(holdings(chosen))
    return [
        *(sentence for holding in found for sentence in _wrong(chosen, holding)),
        *(sentence for holding in found for sentence in _classes(chosen, holding, found)),
    ]


def _wrong(chosen: Chosen, holding: Holding) -> Iterator[str]:
    if holding.wrong is None or chosen.wrong is None or holding.group == "random":
        return
    mean, low, high = holding.wrong
    yield (
        f"{holding.group} at {words.number(holding.size)} examples: {_share(mean)} of the labels that it "
        f"took in are wrong ({_share(low)} to {_share(high)} over the seeds), against "
        f"{_share(chosen.wrong / chosen.examples)} in the training set."
    )


def _classes(chosen: Chosen, holding: Holding, found: Sequence[Holding]) -> Iterator[str]:
    means = holding.means
    if means is None or holding.group == "random" or np.isnan(means).all():
        return
    most, least = int(np.nanargmax(means)), int(np.nanargmin(means))
    yield (
        f"{holding.group} at {words.number(holding.size)} examples: class {chosen.classes[most]} was taken "
        f"{_times(means[most])} times as often as it occurs, class {chosen.classes[least]} "
        f"{_times(means[least])} times{_by_chance(holding, found)}."
    )


def _by_chance(holding: Holding, found: Sequence[Holding]) -> str:
    other = next((h for h in found if h.group == "random" and h.size == holding.size), None)
    if other is None or other.means is None:
        return ""
    ends = _times(float(np.nanmin(other.means))), _times(float(np.nanmax(other.means)))
    return f"; with random subsets classes range from {ends[0]} to {ends[1]} times"


def _share(value: float) -> str:
    """Three digits: the seeds' shares are close together."""
    return words.percent(value, digits=3)


def _times(ratio: float) -> str:
    return words.number(float(f"{ratio:.2g}"))


def chosen_results(chosen: Chosen) -> list[dict[str, Any]]:
    """What results.json holds of it: one row for each method and size."""
    return [
        {
            "group": holding.group,
            "size": holding.size,
            "different": holding.different,
            "wrong_labels": None if holding.wrong is None else list(holding.wrong),
            "class_ratios": None if holding.means is None else _by_name(chosen, holding.means),
        }
        for holding in holdings(chosen)
    ]


def _by_name(chosen: Chosen, means: np.ndarray) -> dict[str, float | None]:
    return {
        name: None if np.isnan(ratio) else float(ratio)
        for name, ratio in zip(chosen.classes, means, strict=True)
    }
