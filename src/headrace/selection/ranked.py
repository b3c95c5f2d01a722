"""By score alone: the highest, or the highest after a random perturbation."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from headrace.checks import generator, number
from headrace.selection._base import Indices, check_scores, resolve_pool


def top_k(scores: Any, count: int, *, candidates: Any = None) -> Indices:
    """The `count` highest scores; ties go to the smallest index.

    Cost: O(N) to find them, O(count log count) to order them.

    Args:
        scores: One number per example [examples]; higher is more wanted.
        count: How many.
        candidates: Indices that may be chosen; all by default.

    Returns:
        Indices, highest score first [count].

    Raises:
        InputError: See the contract in `_base`.
    """
    values = check_scores(scores)
    pool = resolve_pool(len(values), count, candidates)
    return pool[largest(values[pool], count)]


def power(
    scores: Any, count: int, rng: np.random.Generator, *, exponent: float = 1.0, candidates: Any = None
) -> Indices:
    """Stochastic top-k: drawn without replacement with probabilities proportional to score^exponent.

    A batch of the very highest scores is full of examples that are high for the same reason; a little chance
    spreads it out at no cost (Kirsch et al. 2023, "Stochastic batch acquisition", TMLR). Computed as the top
    k of exponent x ln score + Gumbel noise. Exponent 0 is uniform; a large one is `top_k`.

    Args:
        scores: One number of at least 0 per example [examples]; those of 0 come after all others, in random
            order.
        count: How many.
        rng: The stream of the noise.
        exponent: At least 0; the paper's beta.
        candidates: Indices that may be chosen; all by default.

    Returns:
        Indices, in the order in which they were drawn [count].

    Raises:
        InputError: A negative score or exponent, or see the contract in `_base`.
    """
    values = check_scores(scores, non_negative=True)
    exponent, rng = number(exponent, "exponent", least=0), generator(rng)
    pool = resolve_pool(len(values), count, candidates)
    noise = rng.gumbel(size=len(pool))
    if exponent == 0:
        return pool[largest(noise, count)]
    wanted = values[pool] > 0
    keys = noise.copy()
    keys[wanted] += exponent * np.log(values[pool][wanted])
    positive, zero = np.flatnonzero(wanted), np.flatnonzero(~wanted)
    first = positive[largest(keys[positive], min(count, len(positive)))]
    return pool[np.concatenate([first, zero[largest(keys[zero], count - len(first))]])]


def largest(values: Float[np.ndarray, " pool"], count: int) -> Indices:
    """Positions of the `count` largest values, largest first; equal ones in rising order of position."""
    if count == 0:
        return np.empty(0, dtype=np.int64)
    threshold = np.partition(values, len(values) - count)[len(values) - count]
    above = np.flatnonzero(values > threshold)
    equal = np.flatnonzero(values == threshold)[: count - len(above)]
    chosen = np.concatenate([above, equal])
    return chosen[np.argsort(-values[chosen], kind="stable")].astype(np.int64)
