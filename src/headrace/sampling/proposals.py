"""Independent weighted draws at a few nanoseconds each: propose an example, then accept or reject it.

Every example is a cell; one that weighs more than twice the mean is as many cells of equal weight as keep
each below that bound. A cell is proposed with equal probability and accepted if u x bound < its weight (von
Neumann 1951). With N examples of mean weight m there are at most N + N m / bound cells, so a draw takes at
most (N + N m / bound) bound / (N m) = bound / m + 1 <= 3 proposals on average, for any weights [D]. The
draws come in random order and nothing has to be shuffled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

_BOUND = 2.0
"""The weight of a cell is at most this many times the mean weight of the examples."""

_PROPOSED = 1 << 16
"""Cells proposed at a time."""

_LEVELS = 256
_BELOW = 1 - 2.0**-50
"""Keeps the largest share within a byte: otherwise it would have level 256."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Weights cut into cells: the first [examples] are the examples, the others further parts of heavy ones.

    Attributes:
        bound: No cell weighs more.
        shares: The weight of each example's cells [examples].
        owners: The example of each further cell [cells - examples].
        levels: floor(256 x weight / bound) of each cell [cells]. By it the first 8 bits of u decide all but
            one proposal in 256; it is an eighth of the weights, and so mostly in the cache.
    """

    bound: float
    shares: Float[np.ndarray, " examples"]
    owners: Int[np.ndarray, " further"]
    levels: UInt8[np.ndarray, " cells"]

    def examples(self, cells: Int[np.ndarray, " batch"]) -> Int[np.ndarray, " batch"]:
        """The examples that cells belong to; overwrites its argument."""
        if self.owners.size:
            further = np.flatnonzero(cells >= self.shares.size)
            cells[further] = self.owners[cells[further] - self.shares.size]
        return cells

    def taken(self, proposed: Int[np.ndarray, " batch"], rng: np.random.Generator) -> np.ndarray:
        """Which of the proposed cells are drawn, bool [batch]; further bits of u if 8 do not decide."""
        first_bits = rng.integers(0, _LEVELS, proposed.size, dtype=np.uint8)
        levels = self.levels.take(proposed)
        taken = first_bits < levels
        open_ = np.flatnonzero(first_bits == levels)
        u = (first_bits[open_] + rng.random(open_.size)) / _LEVELS
        taken[open_] = u * self.bound < self.shares[self.examples(proposed[open_])]
        return taken


def cut(weights: Float[np.ndarray, " examples"]) -> Cells:
    """The cells of weights that come from `draws.checked_weights`."""
    bound = float(min(weights.max(), _BOUND * weights.mean()))
    heavy = np.flatnonzero(weights > bound)
    parts = np.ceil(weights[heavy] / bound).astype(np.int64)
    shares = weights
    if heavy.size:
        shares = weights.copy()
        shares[heavy] /= parts
    owners = np.repeat(heavy, parts - 1)
    levels = np.empty(weights.size + owners.size, dtype=np.uint8)
    np.multiply(shares, _LEVELS * _BELOW / bound, out=levels[: weights.size], casting="unsafe")
    levels[weights.size :] = levels[owners]
    return Cells(bound=bound, shares=shares, owners=owners, levels=levels)


def propose(
    weights: Float[np.ndarray, " examples"], size: int, rng: np.random.Generator
) -> Int[np.ndarray, " draws"]:
    """`size` independent draws, each example with probability proportional to its weight.

    Args:
        weights: From `draws.checked_weights`.
        size: How many to draw.
        rng: The generator.

    Returns:
        int64 indices [draws].
    """
    cells = cut(weights)
    expected = cells.levels.size * cells.bound / (float(weights.mean()) * weights.size)
    drawn = np.empty(size, dtype=np.int64)
    done = 0
    while done < size:
        batch = min(_PROPOSED, int(expected * (size - done)) + 16)
        proposed = rng.integers(0, cells.levels.size, batch)
        found = cells.examples(proposed.compress(cells.taken(proposed, rng))[: size - done])
        drawn[done : done + found.size] = found
        done += found.size
    return drawn
