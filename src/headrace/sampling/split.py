"""How an epoch is cut into global batches and a batch into the parts of the ranks: pure functions."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Int

from headrace.errors import InputError

Last = Literal["short", "drop", "even"]
"""What happens to an epoch's last, incomplete batch: kept, dropped, or all batches made nearly equal."""


def cut(length: int, batch_size: int, last: Last = "short", start: int = 0) -> Int[np.ndarray, " edges"]:
    """Where the global batches of an epoch begin and end, from position `start` on [batches + 1].

    Args:
        length: Positions in the epoch.
        batch_size: Positions per batch.
        last: `short` keeps the incomplete last batch, `drop` drops it, `even` makes as many batches as
            `short`, whose sizes differ by at most one.
        start: Positions already trained on.
    """
    left = length - start
    if last == "even":
        batches = max(-(-left // batch_size), 1) if left else 0
        return start + np.arange(batches + 1, dtype=np.int64) * left // max(batches, 1)
    edges = np.arange(start, length + 1, batch_size, dtype=np.int64)
    return np.append(edges, length) if last == "short" and edges[-1] < length else edges


def cut_on(length: int, batch_size: int, last: Last, cut_from: int, start: int) -> Int[np.ndarray, " edges"]:
    """The edges from `start` on of batches that were cut from `cut_from`, so that a resume cuts as before.

    If no batch began at `start` (at another batch size), the rest is cut anew.
    """
    edges = cut(length, batch_size, last, cut_from)
    if start in edges:
        return edges[edges >= start]
    return cut(length, batch_size, last, start)


def part(start: int, stop: int, rank: int, world_size: int) -> tuple[int, int]:
    """The part of positions `start` to `stop` that is `rank`'s: contiguous, sizes differ by at most one."""
    length = stop - start
    return start + length * rank // world_size, start + length * (rank + 1) // world_size


def check_split(
    examples: int | None, batch_size: int | None, last: Last, world_size: int, where: str = "ExampleSampler"
) -> None:
    """`InputError` if some rank would get nothing; `examples` None is a length that varies.

    Args:
        examples: Positions in the epoch.
        batch_size: Positions in a global batch, or None for single examples.
        last: What happens to the last batch.
        world_size: Number of ranks.
        where: Named in the error.
    """
    if examples is not None and examples < world_size:
        raise InputError(
            f"an epoch of {examples} examples cannot be shared by {world_size} ranks", where=where
        )
    if batch_size is None or world_size == 1:
        return
    if batch_size < world_size:
        raise InputError(
            f"a global batch of {batch_size} cannot be shared by {world_size} ranks",
            where=where,
            fix="batch_size is that of all ranks together.",
        )
    if last == "drop" or (
        examples is not None and (np.diff(cut(examples, batch_size, last)) >= world_size).all()
    ):
        return
    if last == "even" and batch_size >= 2 * world_size - 1:
        return
    raise InputError(
        f"the last batch of an epoch may have fewer examples than there are ranks ({world_size})",
        where=where,
        got=f"last={last!r}",
        fix='Use last="drop", or last="even" with a batch size of at least twice the number of ranks.',
    )


def check_one_worker_per_rank(workers: int | None, world_size: int) -> None:
    """`InputError` if another number of workers than of ranks was asked for."""
    if world_size > 1 and workers not in (None, world_size):
        raise InputError(
            f"every rank is one worker, so this must be {world_size}",
            where="workers",
            got=workers,
            fix="Leave it out, or give rank=0 and world_size=1 to walk whole batches on every rank.",
        )


def check_sees_whole_batches(policy: object, world_size: int) -> None:
    """`InputError` if several ranks share the batches within which a policy chooses."""
    if world_size > 1:
        raise InputError(
            "chooses within global batches, but each rank sees only its part",
            where=repr(policy),
            got=f"world_size={world_size}",
            fix="Use one process, or a policy that plans epochs.",
        )


def check_dealing(examples: int, batch_size: int, workers: int, where: str) -> None:
    """`InputError` if batches that straddle epochs may hold no example of some worker's own.

    Epochs are dealt to the workers in turn, each from the first worker on. If the workers do not divide
    the examples, the end of an epoch and the beginning of the next may both leave out the same workers.

    Args:
        examples: Examples in the training set, each once per epoch.
        batch_size: Examples in a global batch.
        workers: How many share it.
        where: Named in the error.
    """
    least = workers if examples % workers == 0 else 2 * workers - 1
    if batch_size < least:
        raise InputError(
            f"{workers} workers with examples of their own need batches of at least {least}",
            where=where,
            got=f"a global batch of {batch_size} from {examples} examples",
        )
