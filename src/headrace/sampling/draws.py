"""Exact weighted draws of example indices, with and without replacement.

Everything is done in float64 and int64 on arrays of the size of the data, so there is no limit but memory
(`torch.multinomial` refuses more than 2^24 examples). Each draw returns its indices in random order: any
stretch of the result is distributed like any other, so it can serve as the order of an epoch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int

from headrace.checks import array, flag, generator, whole
from headrace.errors import InputError
from headrace.sampling.proposals import propose

_SCATTERED_FROM = 1 << 22
"""Arrays from this length on are scattered into buckets before they are shuffled."""

_BUCKETS = 256
_CHUNK = 1 << 20


def permutation(num_examples: int, rng: np.random.Generator) -> Int[np.ndarray, " examples"]:
    """Every example once, in uniformly random order."""
    count = whole(num_examples, "num_examples", least=0)
    return generator(rng).permutation(count).astype(np.int64, copy=False)


def shuffle(values: Int[np.ndarray, " draws"], rng: np.random.Generator) -> Int[np.ndarray, " draws"]:
    """The values in uniformly random order; may overwrite its argument.

    Large arrays are scattered first (Rao 1961, Sandelius 1962): each value picks one of 256 buckets at
    random, and each bucket is then shuffled within the cache. That is as uniform as one shuffle of the whole
    and avoids a cache miss for every swap.
    """
    if values.size < _SCATTERED_FROM:
        rng.shuffle(values)
        return values
    keys = rng.integers(0, _BUCKETS, values.size, dtype=np.uint8)
    ends = np.cumsum(np.bincount(keys, minlength=_BUCKETS))
    filled = np.concatenate([[0], ends[:-1]])
    scattered = np.empty_like(values)
    for start in range(0, values.size, _CHUNK):
        chunk_keys = keys[start : start + _CHUNK]
        grouped = values[start : start + _CHUNK].take(np.argsort(chunk_keys, kind="stable"))
        counts = np.bincount(chunk_keys, minlength=_BUCKETS)
        for group, place in zip(np.split(grouped, np.cumsum(counts[:-1])), filled, strict=True):
            scattered[place : place + group.size] = group
        filled += counts
    for bucket in np.split(scattered, ends[:-1]):
        rng.shuffle(bucket)
    return scattered


def draw_with_replacement(
    weights: npt.ArrayLike, size: int, rng: np.random.Generator, *, systematic: bool = False
) -> Int[np.ndarray, " draws"]:
    """Draw `size` indices, each example with probability proportional to its weight, in random order.

    Independent draws propose and reject, see `headrace.sampling.proposals`.
    Systematic draws (Madow 1949) use one uniform number: an example expected `c` times is drawn `floor(c)` or
    `ceil(c)` times, the least variance that counts can have; they are no longer independent of each other.

    Args:
        weights: One non-negative finite number per example [examples]; zero is never drawn.
        size: How many indices to draw.
        rng: A generator of its own, from `headrace.random.generator`.
        systematic: The form whose counts vary least.

    Returns:
        int64 indices [draws].

    Raises:
        InputError: Weights that are not one-dimensional, not finite, negative or all zero; a negative size.
    """
    size, rng = whole(size, "size", least=0), generator(rng)
    flag(systematic, "systematic")
    return draw_checked(checked_weights(weights), size, rng, systematic=systematic)


def draw_checked(
    values: Float[np.ndarray, " examples"], size: int, rng: np.random.Generator, *, systematic: bool
) -> Int[np.ndarray, " draws"]:
    """`draw_with_replacement` of weights that come from `checked_weights`."""
    return _systematic(np.cumsum(values), size, rng) if systematic else propose(values, size, rng)


def draw_without_replacement(
    weights: npt.ArrayLike, size: int, rng: np.random.Generator, *, ordered: bool = False
) -> Int[np.ndarray, " draws"]:
    """Draw `size` different indices as if one by one, each in proportion to the weights that are left.

    An exponential race (Efraimidis and Spirakis 2006): example i finishes at Exponential(1) / weight_i, and
    the first `size` to finish are drawn. Their order of finish is that of successive draws.

    Args:
        weights: One non-negative finite number per example [examples]; zero is never drawn.
        size: How many indices to draw, at most the number of weights that are not zero.
        rng: A generator of its own, from `headrace.random.generator`.
        ordered: Return the order of the successive draws, in which heavy examples come early, instead of a
            random order.

    Returns:
        int64 indices [draws], none twice.

    Raises:
        InputError: As for `draw_with_replacement`, and fewer non-zero weights than `size`.
    """
    values = checked_weights(weights)
    size, rng = whole(size, "size", least=0), generator(rng)
    flag(ordered, "ordered")
    runners = None if values.all() else np.flatnonzero(values)
    available = values.size if runners is None else runners.size
    if available < size:
        raise InputError(
            f"{size} different examples were asked for, but only {available} weights are not zero",
            where="weights",
            fix="Draw fewer, draw with replacement, or give more examples a weight.",
        )
    finish = rng.standard_exponential(available)
    with np.errstate(over="ignore"):
        finish /= values if runners is None else values[runners]
    drawn = _first(finish, size)
    drawn = drawn[np.argsort(finish[drawn])] if ordered else shuffle(drawn, rng)
    return drawn if runners is None else runners[drawn].astype(np.int64, copy=False)


def checked_weights(weights: npt.ArrayLike, where: str = "weights") -> Float[np.ndarray, " examples"]:
    """The weights as float64, scaled so that their sum cannot overflow.

    Raises:
        InputError: Weights that are not one-dimensional, not finite, negative or all zero.
    """
    values = array(weights, where, "one number per example")
    if values.size == 0:
        raise InputError("weights must be one number per example", where=where, got=values.shape)
    smallest, largest = float(values.min()), float(values.max())
    if not (np.isfinite(smallest) and np.isfinite(largest)):
        index = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(
            f"the weight of example {index} is not finite", where=where, got=float(values[index])
        )
    if smallest < 0:
        index = int(np.argmin(values))
        raise InputError(f"the weight of example {index} is negative", where=where, got=smallest)
    if largest == 0:
        raise InputError("all weights are zero", where=where, fix="At least one example needs a weight.")
    return values if 1e-100 < largest < 1e100 else values / largest


def _systematic(
    cumulative: Float[np.ndarray, " examples"], size: int, rng: np.random.Generator
) -> Int[np.ndarray, " draws"]:
    """Points u, u+1, u+2, ... on the cumulative weights scaled to `size`; overwrites `cumulative`."""
    last = np.searchsorted(cumulative, cumulative[-1])
    cumulative *= size / cumulative[-1]
    cumulative[last:] = size
    cumulative -= rng.random()
    np.ceil(cumulative, out=cumulative)
    counts = np.diff(cumulative, prepend=0.0).astype(np.int64)
    drawn = np.repeat(np.arange(counts.size, dtype=np.int64), counts)
    return shuffle(drawn, rng)


def _first(finish: Float[np.ndarray, " examples"], size: int) -> Int[np.ndarray, " draws"]:
    """The indices of the `size` smallest numbers, ascending; partitioning values is faster than indices."""
    if size == finish.size:
        return np.arange(size, dtype=np.int64)
    if size == 0:
        return np.empty(0, dtype=np.int64)
    bound = np.partition(finish, size - 1)[size - 1]
    # Ties at the bound have probability 2^-53, but a tie must not return one too many.
    below = np.flatnonzero(finish < bound)
    return np.concatenate([below, np.flatnonzero(finish == bound)[: size - below.size]])
