"""A share for every stratum of the scores, or for every class: coverage instead of only the hardest."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from headrace.checks import array, generator, number, whole
from headrace.errors import InputError
from headrace.selection._base import Indices, check_length, check_scores, resolve_pool
from headrace.selection.ranked import largest


def stratified(
    scores: Any,
    count: int,
    rng: np.random.Generator,
    *,
    drop_hardest: float = 0.2,
    strata: int = 50,
    candidates: Any = None,
) -> Indices:
    """Coverage-centric: drop the hardest share, then draw evenly from equal-width strata of the scores.

    Keeping only the hardest examples falls below random when little is kept; this does not (Zheng et al.
    2023, "Coverage-centric coreset selection", ICLR, algorithm 1). The smallest stratum is filled first, and
    what it cannot give is shared by the rest. Within a stratum every example is as likely as another.

    Args:
        scores: One number per example [examples]; higher is harder.
        count: How many.
        rng: The stream of the draws within strata.
        drop_hardest: Share of the candidates with the highest scores that is never chosen, in 0..1 (their
            beta: 0 to 0.4 depending on the dataset and on how little is kept); rounded down to whole
                examples.
        strata: Number of strata between the lowest and the highest score that is left.
        candidates: Indices that may be chosen; all by default.

    Returns:
        Indices, smallest stratum first [count].

    Raises:
        InputError: More asked for than is left after dropping, or see the contract in `_base`.
    """
    values = check_scores(scores)
    drop_hardest, rng = number(drop_hardest, "drop_hardest", least=0, below=1), generator(rng)
    strata = whole(strata, "strata", least=1)
    pool = resolve_pool(len(values), count, candidates)
    kept = np.delete(pool, largest(values[pool], int(drop_hardest * len(pool))))
    if count > len(kept):
        raise InputError(
            f"{len(kept)} candidates are left after dropping the hardest",
            where="count",
            got=int(count),
            fix="Lower drop_hardest or count.",
        )
    if count == 0:
        return np.empty(0, dtype=np.int64)
    groups = _stratum_of(values[kept], strata)
    chosen: list[np.ndarray] = []
    for group, share in fair_shares(np.bincount(groups), count):
        members = kept[groups == group]
        chosen.append(rng.choice(members, size=share, replace=False, shuffle=False))
    return np.concatenate(chosen).astype(np.int64)


def class_balanced(scores: Any, classes: Any, count: int, *, candidates: Any = None) -> Indices:
    """The highest scores of each class, as many of each class as there can be.

    Plain top-k takes mostly the hard classes. A class that has too few candidates gives all it has, and the
    rest is shared by the others; where it does not divide, classes with more candidates get the one more.

    Args:
        scores: One number per example [examples]; higher is more wanted.
        classes: Each example's class, true or predicted [examples], integers of at least 0.
        count: How many.
        candidates: Indices that may be chosen; all by default.

    Returns:
        Indices, highest score first [count].

    Raises:
        InputError: Classes that are not integers from 0, or see the contract in `_base`.
    """
    values = check_scores(scores)
    labels = array(classes, "classes", "one whole number per example", "whole numbers")
    check_length(labels, len(values), "classes")
    if (labels < 0).any():
        raise InputError("classes must be integers of at least 0", where="classes", got=int(labels.min()))
    pool = resolve_pool(len(values), count, candidates)
    chosen = [np.empty(0, dtype=np.int64)]
    _, groups = np.unique(labels[pool], return_inverse=True)
    for group, share in fair_shares(np.bincount(groups), count):
        members = pool[groups == group]
        chosen.append(members[largest(values[members], share)])
    together = np.sort(np.concatenate(chosen))
    return together[largest(values[together], count)]


def fair_shares(sizes: Int[np.ndarray, " groups"], count: int) -> list[tuple[int, int]]:
    """(group, share) in the order smallest group first; shares sum to `count` and none exceeds its group.

    Each group in turn gets what is left divided by the groups left, rounded down, or all it has. Groups of
    equal size go in rising order; empty ones are left out. `count` must not exceed the sum of the sizes.
    """
    order = [int(group) for group in np.argsort(sizes, kind="stable") if sizes[group] > 0]
    shares: list[tuple[int, int]] = []
    for position, group in enumerate(order):
        share = min(int(sizes[group]), count // (len(order) - position))
        shares.append((group, share))
        count -= share
    return shares


def _stratum_of(values: np.ndarray, strata: int) -> Int[np.ndarray, " pool"]:
    """Which of the equal-width strata each value is in; the highest value belongs to the last."""
    low, width = values.min(), np.ptp(values) / strata
    if width == 0:
        return np.zeros(len(values), dtype=np.int64)
    return np.minimum(((values - low) / width).astype(np.int64), strata - 1)
