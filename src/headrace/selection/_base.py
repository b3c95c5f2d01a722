"""The contract of a selection strategy, and the checks they share.

A strategy is a function. It is called once for each batch to choose:

    indices = strategy(what it chooses by, count, [rng], *, candidates=None, ...)

- What it chooses by (scores, features, probabilities) has one row for each example of the caller's index
  space: lists, NumPy arrays, or tensors of any device. The costly work on features and on members'
  probabilities is done where they are, on an accelerator with float64; all else by the host.
- `candidates` are the indices that may be chosen, in any order, each once; None means every example.
- It returns int64 indices of the caller's index space [count], all different, all candidates, in the order in
  which they were chosen.
- Higher scores are more wanted, always. Ties go to the smallest index, and of equal examples the smallest
  index comes first. The order in which candidates are listed changes nothing.
- Inputs are never altered, and no global random state is read or changed: what is drawn comes from `rng`
  alone.
- More than there are, repeated or unknown candidates, NaN: an `InputError`.

A new strategy is named by one line in `registry.py` and joins the conformance suite of
`headrace.selection.testing` by one more. The smallest complete one is `top_k` in `ranked.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from headrace.arrays import Array, on_host, works_there
from headrace.checks import array, numeric, whole
from headrace.errors import InputError

Indices = Int[np.ndarray, " chosen"]


def resolve_pool(num_examples: int, count: int, candidates: Any = None) -> Int[np.ndarray, " pool"]:
    """The indices that may be chosen, in rising order.

    Args:
        num_examples: Size of the caller's index space.
        count: How many are asked for.
        candidates: Indices [pool], or None for all.

    Raises:
        InputError: Candidates that are not integers, repeated or out of range; a count that is negative or
            more than there are.
    """
    pool = np.arange(num_examples) if candidates is None else check_indices(candidates, num_examples)
    count = whole(count, "count")
    if count < 0 or count > len(pool):
        raise InputError(f"there are {len(pool)} candidates to choose from", where="count", got=int(count))
    return pool


def check_indices(indices: Any, num_examples: int, where: str = "candidates") -> Int[np.ndarray, " pool"]:
    """Sorted int64 indices, each once and within 0..num_examples-1."""
    pool = np.sort(array(indices, where, "a list of integer indices", "whole numbers"))
    if pool.size == 0:
        return pool
    if pool[0] < 0 or pool[-1] >= num_examples:
        bad = int(pool[0]) if pool[0] < 0 else int(pool[-1])
        raise InputError(f"indices must be within 0..{num_examples - 1}", where=where, got=bad)
    repeated = pool[1:][pool[1:] == pool[:-1]]
    if len(repeated):
        raise InputError("an index is given twice", where=where, got=int(repeated[0]))
    return pool


def check_scores(scores: Any, *, non_negative: bool = False) -> Float[np.ndarray, " examples"]:
    """Scores as float64 [examples], finite.

    Raises:
        InputError: Another shape, NaN or infinity, or (with `non_negative`) less than zero.
    """
    values = array(scores, "scores", "one number per example")
    _refuse(~np.isfinite(values), values, "scores", "a score is not finite")
    if non_negative:
        _refuse(values < 0, values, "scores", "scores must not be negative")
    return values


def check_features(features: Any, num_examples: int | None = None) -> Float[Array, "examples features"]:
    """Features [examples, features] in float32 or float64 (anything else becomes float64), finite.

    A NumPy array, or a tensor on the accelerator on which they are and on which the work is done.
    """
    there = works_there(features)
    axes = "[examples, features]"
    values: Array = features.detach() if there else numeric(features, "features", axes, ndim=2)
    if str(values.dtype).removeprefix("torch.") not in ("float32", "float64"):
        values = values.double() if there else values.astype(np.float64)
    if values.ndim != 2:
        raise InputError("features must be [examples, features]", where="features", got=tuple(values.shape))
    check_length(values, num_examples, "features")
    # A sum is finite only if every part is (or cancels an infinity, which gives NaN).
    sums = on_host(values.double().sum(1)) if there else values.sum(1, dtype=np.float64)
    _refuse(~np.isfinite(sums), sums, "features", "a feature is not finite")
    return values


def check_probabilities(probabilities: Any, ndim: int) -> np.ndarray:
    """Probabilities over the last axis in float64: within 0..1, summing to one within 1e-4."""
    axes = "[examples, classes]" if ndim == 2 else "[members, examples, classes]"
    values = array(probabilities, "probabilities", axes, ndim=ndim)
    if values.shape[-1] < 2:
        raise InputError(f"probabilities must be {axes}", where="probabilities", got=values.shape)
    sums = values.sum(-1)
    bad = ~(np.abs(sums - 1) <= 1e-4) | ~(values >= 0).all(-1)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f"probabilities, example {place[-1]}" + (f", member {place[0]}" if ndim == 3 else "")
        fault = "probabilities must be 0 or more and sum to one"
        raise InputError(fault, where=where, got=values[place].tolist()[:8])
    return values


def check_length(values: Array, num_examples: int | None, where: str) -> None:
    """Refuse another number of rows than there are examples."""
    if num_examples is not None and len(values) != num_examples:
        raise InputError(
            f"must have one row for each of the {num_examples} examples", where=where, got=len(values)
        )


def _refuse(bad: np.ndarray, values: np.ndarray, where: str, what: str) -> None:
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise InputError(what, where=f"{where}, example {first}", got=float(values[first]))
