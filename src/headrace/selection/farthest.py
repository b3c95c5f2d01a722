"""Far from what is chosen: k-center greedy, and score times distance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from headrace.arrays import Array
from headrace.selection._base import Indices, check_features, check_indices, check_scores, resolve_pool

_BLOCK = 1 << 20
_CENTRES_AT_ONCE = 256
_LEAST_BLOCK = 512
_MOST_BLOCKS = 512


def k_center(features: Any, count: int, *, initial: Any = (), candidates: Any = None) -> Indices:
    """Greedy k-center: always the candidate farthest from all centres (Gonzalez 1985).

    The largest distance of a candidate to its centre is at most twice the least possible. O(count x N x
    features) time. Memory: one float32 copy of the candidates' features and O(N).

    Distances are screened in float32 and decided in float64 as sum (x - c)^2, so the choice is that of the
    plain algorithm in float64, ties and duplicates included; equal examples are chosen only when nothing else
    is left. Features on an accelerator stay there and go through the plain algorithm, which waits for the
    device once at the end; sums that differ in the last bit may then separate what is a tie on the host.

    Args:
        features: One row per example [examples, features], float32 or float64; scale matters.
        count: How many.
        initial: Indices of centres there are already, such as the labelled examples; candidates among them
            are at distance 0. Without any, the first choice is the candidate of smallest index.
        candidates: Indices that may be chosen; all by default.

    Returns:
        Indices, in the order in which they were chosen [count].

    Raises:
        InputError: See the contract in `_base`.
    """
    rows = check_features(features)
    pool = resolve_pool(len(rows), count, candidates)
    return _greedy(rows, pool, None, check_indices(initial, len(rows), "initial"), count)


def score_distance(
    scores: Any, features: Any, count: int, *, initial: Any = (), candidates: Any = None
) -> Indices:
    """Greedy on score x Euclidean distance to the nearest chosen example: uncertain, and unlike the rest.

    Haussmann et al. (2020, "Scalable active learning for object detection") report about one point over plain
    top-k from weighing diversity in [second hand]. Costs as `k_center`. The first choice, without `initial`,
    is the highest score. Products that tie go to the smallest index.

    Args:
        scores: One number of at least 0 per example [examples]; higher is more wanted.
        features: One row per example [examples, features].
        count: How many.
        initial: Indices that are chosen already.
        candidates: Indices that may be chosen; all by default.

    Returns:
        Indices, in the order in which they were chosen [count].

    Raises:
        InputError: A negative score, or see the contract in `_base`.
    """
    values = check_scores(scores, non_negative=True)
    rows = check_features(features, len(values))
    pool = resolve_pool(len(rows), count, candidates)
    return _greedy(rows, pool, values[pool], check_indices(initial, len(rows), "initial"), count)


def _greedy(
    rows: Float[Array, "examples features"],
    pool: Int[np.ndarray, " pool"],
    weights: Float[np.ndarray, " pool"] | None,
    initial: Int[np.ndarray, " centres"],
    count: int,
) -> Indices:
    """By the host with as little work as can be; on an accelerator, plainly."""
    if isinstance(rows, np.ndarray):
        return _Farthest(rows, pool, weights, initial).take(count)
    from headrace.selection.plainly import farthest

    return farthest(rows, pool, weights, initial, count)


class _Farthest:
    """Finds the pool's best position: farthest from its nearest centre, or of the largest weight x distance.

    Three devices save work and change nothing. Distances can only shrink as centres are added, so a block of
    examples whose largest value was too small at its last update need not be updated again; it catches up
    with all the centres it missed at once. Positions run from the outermost example to the innermost, so that
    the inner blocks seldom need an update. And the distances |x|^2 + |c|^2 - 2 x.c are taken in float32, off
    by at most `error`; any that could be the maximum within that is computed exactly, against each centre
    once.
    """

    def __init__(
        self,
        rows: np.ndarray,
        pool: Int[np.ndarray, " pool"],
        weights: Float[np.ndarray, " pool"] | None,
        initial: Int[np.ndarray, " centres"],
    ) -> None:
        self.rows = rows
        self.mean = rows.mean(axis=0, dtype=np.float64) if len(rows) else np.zeros(rows.shape[1])
        self.scale = float(max(rows.max(initial=0), -rows.min(initial=0))) or 1.0
        order = self._from_outermost(pool, weights)
        self.pool, self.weights = pool[order], None if weights is None else weights[order]
        self.near = self._centred(self.pool)
        self.norms = np.einsum("ij,ij->i", self.near, self.near)
        self.approximate = np.full(len(pool), np.inf, dtype=np.float32)
        self.exact = np.full(len(pool), np.inf)
        self.seen = np.zeros(len(pool), dtype=np.int64)
        self.upper = np.full(len(pool), np.inf)
        self.free = np.ones(len(pool), dtype=bool)
        self.blocks = list(_slices(len(pool), max(_LEAST_BLOCK, -(-len(pool) // _MOST_BLOCKS))))
        self.block_upper = np.full(len(self.blocks), np.inf)
        self.block_lower = np.full(len(self.blocks), -np.inf)
        self.block_seen = np.zeros(len(self.blocks), dtype=np.int64)
        self.centres = initial
        self.near_centres = self._centred(initial)
        norms = np.einsum("ij,ij->i", self.near_centres, self.near_centres)
        largest = max(float(self.norms.max(initial=0)), float(norms.max(initial=0)))
        # Rounding of coordinates and of `features` products, each part at most (|x| + |c|)^2 <= 4 largest.
        self.error = (rows.shape[1] + 8) * float(np.finfo(np.float32).eps) * 4 * largest

    def take(self, count: int) -> Indices:
        """The best `count` one after the other, each a centre for the next; as the caller's indices."""
        room = np.empty((len(self.centres) + count, self.rows.shape[1]), dtype=np.float32)
        room[: len(self.centres)] = self.near_centres
        self.near_centres = room
        chosen = np.empty(count, dtype=np.int64)
        for number in range(count):
            best = self._best() if len(self.centres) else self._first()
            self.free[best] = False
            self.near_centres[len(self.centres)] = self.near[best]
            self.centres = np.append(self.centres, self.pool[best])
            chosen[number] = self.pool[best]
        return chosen

    def _first(self) -> int:
        values = np.zeros(len(self.pool)) if self.weights is None else self.weights
        return self._smallest_index(np.flatnonzero(values == values.max()))

    def _best(self) -> int:
        contenders = self._contenders()
        self._make_exact(contenders)
        exact = self.exact[contenders]
        values = exact if self.weights is None else self.weights[contenders] * np.sqrt(exact)
        return self._smallest_index(contenders[values == values.max()])

    def _smallest_index(self, positions: Int[np.ndarray, " ties"]) -> int:
        return int(positions[np.argmin(self.pool[positions])])

    def _contenders(self) -> Int[np.ndarray, " contenders"]:
        """All free positions that could be the best."""
        total = len(self.centres)
        while True:
            current = self.block_seen == total
            least = self.block_lower[current].max(initial=-np.inf)
            behind = np.where(current, -np.inf, self.block_upper)
            block = int(np.argmax(behind))
            if behind[block] == -np.inf or behind[block] < least:
                break
            self._update(block)
        near = [self.blocks[i] for i in np.flatnonzero(current & (self.block_upper >= least))]
        found = [np.flatnonzero((self.upper[b] >= least) & self.free[b]) + b.start for b in near]
        return np.concatenate(found)

    def _update(self, block: int) -> None:
        """Bring a block's approximate distances, and its bounds, up to date with all centres."""
        rows, total = self.blocks[block], len(self.centres)
        distances = self.approximate[rows]
        for part in _slices(total - self.block_seen[block], _CENTRES_AT_ONCE):
            first = self.block_seen[block]
            centres = self.near_centres[first + part.start : first + part.stop]
            products = self.near[rows] @ centres.T
            products *= -2
            products += np.einsum("ij,ij->i", centres, centres)
            np.minimum(distances, products.min(axis=1) + self.norms[rows], out=distances)
        middle = distances.astype(np.float64)
        upper, lower = middle + self.error, middle - self.error
        if self.weights is not None:
            upper = self.weights[rows] * np.sqrt(np.maximum(upper, 0))
            lower = self.weights[rows] * np.sqrt(np.maximum(lower, 0))
        free = self.free[rows]
        self.upper[rows] = upper
        self.block_upper[block] = upper[free].max(initial=-np.inf)
        self.block_lower[block] = lower[free].max(initial=-np.inf)
        self.block_seen[block] = total

    def _make_exact(self, positions: Int[np.ndarray, " contenders"]) -> None:
        """Bring the exact distances of some positions up to date with all centres."""
        total = len(self.centres)
        for seen in np.unique(self.seen[positions]):
            group = positions[self.seen[positions] == seen]
            centres = self.rows[self.centres[seen:]].astype(np.float64)
            for part in _slices(len(group), max(1, _BLOCK // max(1, centres.size))):
                rows = self.rows[self.pool[group[part]]].astype(np.float64)
                distances = ((rows[:, None, :] - centres[None]) ** 2).sum(axis=2).min(axis=1, initial=np.inf)
                self.exact[group[part]] = np.minimum(self.exact[group[part]], distances)
        self.seen[positions] = total

    def _from_outermost(
        self, pool: Int[np.ndarray, " pool"], weights: Float[np.ndarray, " pool"] | None
    ) -> Int[np.ndarray, " pool"]:
        """The order of falling distance to the mean, times the weight: roughly that of the values to come."""
        with np.errstate(over="ignore", invalid="ignore"):  # any order is right
            mean = self.mean.astype(self.rows.dtype)
            away = np.einsum("ij,ij->i", self.rows, self.rows) - 2 * (self.rows @ mean) + mean @ mean
            away = away[pool]
            return np.argsort(-away if weights is None else -away * weights**2, kind="stable")

    def _centred(self, indices: Int[np.ndarray, " rows"]) -> Float[np.ndarray, "rows features"]:
        """(x - mean) / scale in float32, block by block: near 0 float32 loses least."""
        out = np.empty((len(indices), self.rows.shape[1]), dtype=np.float32)
        for part in _slices(len(indices), max(1, _BLOCK // max(1, self.rows.shape[1]))):
            out[part] = (self.rows[indices[part]] - self.mean) / self.scale
        return out


def _slices(length: int, step: int) -> Iterator[slice]:
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))
