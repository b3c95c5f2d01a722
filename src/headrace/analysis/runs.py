"""Runs by group and seed, checked: what a comparison is made of."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from headrace.csv_cells import LARGEST, SMALLEST
from headrace.errors import InputError

Table = Mapping[str, Mapping[Hashable, float]]
"""Group -> seed -> metric; a metric that is not finite is a run that diverged."""


def by_group(groups: Sequence[str], seeds: Sequence[Hashable], metric: Sequence[float]) -> Table:
    """Group -> seed -> metric, checked."""
    for name, column in (("groups", groups), ("seeds", seeds), ("metric", metric)):
        if isinstance(column, str) or not (hasattr(column, "__len__") and hasattr(column, "__iter__")):
            raise InputError("must be a list with an entry for each row", where=name, got=column)
    if not len(groups) == len(seeds) == len(metric):
        raise InputError(
            "groups, seeds and metric must be of one length",
            where="compare",
            got=(len(groups), len(seeds), len(metric)),
        )
    table: dict[str, dict[Hashable, float]] = {}
    for group, seed, value in zip(groups, _seeds(seeds), metric, strict=True):
        rows = table.setdefault(group, {})
        if seed in rows:
            raise InputError("this seed occurs twice in the group", where=f"group {group!r}", got=seed)
        rows[seed] = _metric(value, where=f"group {group!r}, seed {seed!r}")
    return table


def _seeds(seeds: Sequence[Hashable]) -> list[Hashable]:
    """The seeds as plain values: rows are paired by equality, which NaN and tensors do not have."""
    given: Sequence[Any] = seeds
    plain = [seed.item() if hasattr(seed, "item") else seed for seed in given]
    texts = [isinstance(seed, str) for seed in plain]
    if any(texts) and not all(texts):
        raise InputError(
            "seeds must be all texts or all numbers, because 1 and '1' are no pair", where="seeds", got=plain
        )
    for seed in plain:
        if seed is None or seed != seed:  # noqa: PLR0124  (NaN)
            raise InputError("a seed is missing", where="seeds", got=seed)
    return plain


def _metric(value: float, *, where: str) -> float:
    """NaN for a run that diverged."""
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        if not isinstance(value, float | np.floating):
            raise InputError("the metric must be a number, NaN if the run diverged", where=where, got=value)
        return math.nan
    if number != 0 and not SMALLEST <= abs(number) <= LARGEST:
        raise InputError(
            f"the metric must be 0 or from {SMALLEST:g} to {LARGEST:g} in size, where arithmetic is safe",
            where=where,
            got=value,
            fix="Give it in another unit.",
        )
    return number


def check_baseline(groups: Iterable[str], baseline: str) -> None:
    """Check that the baseline is one of the groups.

    Raises:
        InputError: It is not; the groups are named.
    """
    known = list(dict.fromkeys(groups))
    if baseline not in known:
        fix = f"The groups are {', '.join(known)}."
        raise InputError("unknown group", where="baseline", got=baseline, fix=fix)


def check_groups(table: Table, baseline: str) -> None:
    """Check that there is a group other than the baseline, and that every group has two runs.

    Raises:
        InputError: There is none, or one has fewer.
    """
    if len(table) < 2:
        raise InputError("there is no group other than the baseline", where="baseline", got=baseline)
    for name, rows in table.items():
        if len(rows) < 2:
            raise InputError(
                "a group needs at least two seeds",
                where=f"group {name!r}",
                got=len(rows),
                fix="Without a second seed, chance and effect cannot be distinguished.",
            )
