"""BADGE: diverse and uncertain at once, by k-means++ on the gradients of the last layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from headrace.arrays import Array, beside, on_host
from headrace.checks import generator
from headrace.selection._base import Indices, check_features, check_probabilities, resolve_pool


def badge(
    probabilities: Any, features: Any, count: int, rng: np.random.Generator, *, candidates: Any = None
) -> Indices:
    """k-means++ on the gradient embeddings (p - onehot(argmax p)) x features (Ash et al. 2020, ICLR).

    The embedding of classes x features numbers is never made: |a(x)b - c(x)d|^2 = |a|^2|b|^2 + |c|^2|d|^2 -
    2 (a.c)(b.d). So it takes O(count x N x (classes + features)) time and O(N x (classes + features)) memory.
    The first choice is the longest gradient (ties: smallest index), as in the authors' code; the paper says
    uniform.

    Args:
        probabilities: The model's probabilities [examples, classes].
        features: The input of its last layer [examples, features].
        count: How many.
        rng: The stream of the k-means++ draws, one number for each choice after the first.
        candidates: Indices that may be chosen; all by default.

    Returns:
        Indices, in the order in which they were drawn [count]. Copies of what is chosen are drawn, uniformly,
        only when nothing else is left.

    Raises:
        InputError: See the contract in `_base`.
    """
    p = check_probabilities(probabilities, 2)
    rows, rng = check_features(features, len(p)), generator(rng)
    pool = resolve_pool(len(p), count, candidates)
    embedding = GradientEmbedding(p[pool], rows[beside(pool, rows)])
    chosen: list[int] = []
    nearest = np.full(len(pool), np.inf)
    for _ in range(count):
        if not chosen:
            chosen.append(int(np.argmax(embedding.squared_norms)))
        else:
            chosen.append(_draw(nearest, chosen, rng))
        np.minimum(nearest, embedding.squared_distances(chosen[-1]), out=nearest)
    return pool[chosen].astype(np.int64)


class GradientEmbedding:
    """Outer products a x b, known by their factors.

    Args:
        probabilities: [examples, classes], float64.
        features: [examples, features], float32 or float64; products are taken where they are.

    Attributes:
        errors: a = p - onehot(argmax p) [examples, classes].
        features: b [examples, features].
        squared_norms: |a|^2 |b|^2 [examples].
    """

    def __init__(
        self,
        probabilities: Float[np.ndarray, "examples classes"],
        features: Float[Array, "examples features"],
    ) -> None:
        errors = probabilities.copy()
        errors[np.arange(len(probabilities)), probabilities.argmax(axis=1)] -= 1
        self.errors = beside(errors, features)
        self.features = features
        self.squared_norms = np.einsum("ij,ij->i", errors, errors) * _squared_lengths(features)
        # Below this share of the norms a distance is nothing but rounding: the two are copies.
        single = str(features.dtype).endswith("float32")
        self.rounding = 16 * float(np.finfo(np.float32 if single else np.float64).eps)

    def squared_distances(self, row: int) -> Float[np.ndarray, " examples"]:
        """|g - g_row|^2 of every example; 0 if it is no more than rounding."""
        norms = self.squared_norms + self.squared_norms[row]
        products = (self.errors @ self.errors[row]) * (self.features @ self.features[row])
        distances = norms - 2 * on_host(products)
        distances[distances <= self.rounding * norms] = 0
        distances[row] = 0
        return distances


def _squared_lengths(features: Float[Array, "examples features"]) -> Float[np.ndarray, " examples"]:
    if isinstance(features, np.ndarray):
        return np.einsum("ij,ij->i", features, features, dtype=np.float64)
    return on_host(features.double().square().sum(1))


def _draw(weights: Float[np.ndarray, " pool"], chosen: list[int], rng: np.random.Generator) -> int:
    """A position drawn in proportion to the weights; where all are 0, any that is not chosen yet."""
    sums = np.cumsum(weights)
    if sums[-1] > 0:
        # The first whose sum exceeds the draw, so never one of weight 0.
        return int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
    free = np.setdiff1d(np.arange(len(weights)), chosen)
    return int(free[rng.integers(len(free))])
