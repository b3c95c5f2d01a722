"""The conformance suite of selection strategies: what the contract in `_base` promises, tried out.

A strategy joins by one line:

    check_selection(lambda pool, count, rng, candidates: top_k(pool.scores, count, candidates=candidates))

It takes a `Pool`, and uses of it what it needs. Each broken promise is an `AssertionError` that names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from headrace.errors import InputError
from headrace.random import generator
from headrace.selection._base import Indices


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What strategies choose by; every array is read-only.

    Attributes:
        scores: [examples], all above 0.
        features: [examples, features].
        classes: [examples], integers.
        probabilities: [examples, classes].
        member_probabilities: [members, examples, classes].
    """

    scores: Float[np.ndarray, " examples"]
    features: Float[np.ndarray, "examples features"]
    classes: Int[np.ndarray, " examples"]
    probabilities: Float[np.ndarray, "examples classes"]
    member_probabilities: Float[np.ndarray, "members examples classes"]

    def __len__(self) -> int:
        return len(self.scores)


Strategy = Callable[[Pool, int, np.random.Generator, Any], Indices]
"""(pool, count, rng, candidates) -> indices [count]."""


def random_pool(examples: int = 24, *, seed: int = 0, copies: int = 1) -> Pool:
    """A pool of random examples, each of them `copies` times (example i equals i + examples / copies)."""
    rng = generator(seed, "pool")
    distinct = examples // copies
    members = rng.dirichlet(np.full(3, 0.5), size=(4, distinct))
    arrays = {
        "scores": rng.uniform(0.1, 1, size=distinct),
        "features": rng.normal(size=(distinct, 5)),
        "classes": rng.integers(3, size=distinct),
        "probabilities": members.mean(0),
    }
    repeated = {name: np.concatenate([values] * copies) for name, values in arrays.items()}
    repeated["member_probabilities"] = np.concatenate([members] * copies, axis=1)
    for values in repeated.values():
        values.flags.writeable = False
    return Pool(**repeated)


def check_selection(strategy: Strategy, *, most: int | None = None) -> None:
    """Run every check on a strategy.

    Args:
        strategy: Wrapped to take (pool, count, rng, candidates).
        most: The most it can choose of 24 candidates, where it leaves some out on purpose; all by default.

    Raises:
        AssertionError: A promise is broken.
    """
    limit = 24 if most is None else most
    check_result(strategy, limit)
    check_determinism(strategy, limit)
    check_candidates(strategy)
    check_copies(strategy, limit)
    check_refusals(strategy)


def check_result(strategy: Strategy, most: int) -> None:
    """int64 indices, as many as asked for, all different and within the pool; inputs as they were."""
    pool = random_pool()
    before = {field.name: getattr(pool, field.name).copy() for field in fields(pool)}
    for count in (0, 1, 7, most):
        chosen = strategy(pool, count, generator(0, "rng"), None)
        assert isinstance(chosen, np.ndarray), "the result is not an array"
        assert chosen.dtype == np.int64, f"indices are {chosen.dtype}, not int64"
        assert chosen.shape == (count,), f"asked for {count}, got the shape {chosen.shape}"
        assert len(np.unique(chosen)) == count, "an index was chosen twice"
        assert np.isin(chosen, np.arange(len(pool))).all(), "an index is outside the pool"
    for name, values in before.items():
        assert np.array_equal(getattr(pool, name), values), f"{name} was altered"


def check_determinism(strategy: Strategy, most: int) -> None:
    """The same call gives the same; global random state is neither read nor changed."""
    pool, count = random_pool(), min(9, most)
    results: list[Indices] = []
    state = np.random.get_state()  # noqa: NPY002 - the global state is what is watched.
    try:
        for seed in (1, 2):
            np.random.set_state(np.random.RandomState(seed).get_state())  # noqa: NPY002
            before = repr(np.random.get_state())  # noqa: NPY002
            results.append(strategy(pool, count, generator(0, "rng"), None))
            after = repr(np.random.get_state())  # noqa: NPY002
            assert after == before, "global random state was changed"
    finally:
        np.random.set_state(state)  # noqa: NPY002
    assert np.array_equal(results[0], results[1]), "the same call gave two results"


def check_candidates(strategy: Strategy) -> None:
    """Only candidates are chosen, in the caller's index space, in any order, for any values of others."""
    pool = random_pool()
    candidates = np.array([23, 2, 5, 17, 11, 3, 8, 20])
    chosen = strategy(pool, 4, generator(0, "rng"), candidates)
    assert np.isin(chosen, candidates).all(), "an index that is not a candidate was chosen"
    assert chosen.dtype == np.int64, "indices are not int64"
    for other in (np.sort(candidates), candidates.astype(np.int16), candidates.tolist()):
        again = strategy(pool, 4, generator(0, "rng"), other)
        assert np.array_equal(chosen, again), "the order or type of the candidates made a difference"
    assert candidates.tolist() == [23, 2, 5, 17, 11, 3, 8, 20], "the candidates were altered"
    ordered = np.sort(candidates)
    part = replace(
        pool,
        member_probabilities=pool.member_probabilities[:, ordered],
        **{name: getattr(pool, name)[ordered] for name in ("scores", "features", "classes", "probabilities")},
    )
    alone = ordered[strategy(part, 4, generator(0, "rng"), None)]
    assert np.array_equal(chosen, alone), "examples that are not candidates made a difference"


def check_copies(strategy: Strategy, most: int) -> None:
    """A pool where everything is there twice, or is the same, gives different indices, the same each time."""
    for copies in (2, 24):
        pool = random_pool(copies=copies)
        first, again = (strategy(pool, min(15, most), generator(0, "rng"), None) for _ in range(2))
        assert len(np.unique(first)) == len(first), "copies made an index come twice"
        assert np.array_equal(first, again), "copies made the result vary"


def check_refusals(strategy: Strategy) -> None:
    """What cannot be done is an InputError."""
    pool = random_pool()
    cases: list[tuple[str, int, Any]] = [
        ("more than there are", 25, None),
        ("more than there are candidates", 3, [0, 1]),
        ("a negative count", -1, None),
        ("a repeated candidate", 1, [3, 3, 5]),
        ("an unknown candidate", 1, [3, 24]),
        ("a negative candidate", 1, [-1, 3]),
        ("a mask for candidates", 1, np.ones(24, dtype=bool)),
    ]
    for what, count, candidates in cases:
        _assert_refused(strategy, pool, count, candidates, what)
    # The first number, so that it belongs to example 0.
    spoiled: dict[str, Any] = {}
    for field in fields(pool):
        values = getattr(pool, field.name).copy()
        if values.dtype.kind == "f":
            values.reshape(-1)[0] = np.nan
            spoiled[field.name] = values
    _assert_refused(strategy, replace(pool, **spoiled), 2, None, "NaN")


def _assert_refused(strategy: Strategy, pool: Pool, count: int, candidates: Any, what: str) -> None:
    try:
        strategy(pool, count, generator(0, "rng"), candidates)
    except InputError:
        return
    raise AssertionError(f"{what} was not refused with an InputError")
