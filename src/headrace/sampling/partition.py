"""Which worker gets which examples, by their scores (Sheikholeslami et al., DAIS 2023)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from jaxtyping import Int

from headrace.checks import array, choice, whole
from headrace.errors import InputError
from headrace.random import generator

Heuristic = Literal["stripes", "blocks", "random"]


def partition(
    scores: npt.ArrayLike, workers: int, heuristic: Heuristic, *, seed: int = 0, interval: int = 0
) -> list[Int[np.ndarray, " examples_of_worker"]]:
    """Every example to one worker; the workers' shares differ by at most one example.

    The examples are sorted by score, ascending, ties by index. `stripes`: worker w takes the places w, w + W,
    w + 2W, ... `blocks`: worker w takes the w-th contiguous piece, so the last worker has the highest scores.
    `random`: pieces of a random order, regardless of the scores.

    Args:
        scores: One finite number per example [examples].
        workers: W, at least 1 and at most the number of examples.
        heuristic: `stripes`, `blocks` or `random`.
        seed: The root seed of `random`.
        interval: For `random`: the number of the repartition, so that each has an order of its own.

    Returns:
        The indices of each worker, int64, in the order of the sort; together each example once.

    Raises:
        InputError: Scores that are not finite (the variance of one value is not defined), more workers than
            examples, an unknown heuristic.
    """
    values = array(scores, "scores", "one number per example")
    workers, seed = whole(workers, "workers"), whole(seed, "seed", least=0, most=None)
    interval = whole(interval, "interval", least=0)
    choice(heuristic, "heuristic", ("stripes", "blocks", "random"))
    if values.size == 0:
        raise InputError("scores must be one number per example", where="scores", got=values.shape)
    if not 1 <= workers <= values.size:
        raise InputError(f"must be from 1 to the {values.size} examples", where="workers", got=workers)
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(
            f"the score of example {first} is not finite",
            where="scores",
            got=float(values[first]),
            fix="A variance needs at least two observations of every example: warm up for longer.",
        )
    if heuristic == "random":
        order = generator(seed, "partition", interval).permutation(values.size)
    else:
        order = np.argsort(values, kind="stable")
    if heuristic == "stripes":
        return [order[worker::workers] for worker in range(workers)]
    return list(np.array_split(order, workers))
