"""Which rank this process is and how many there are, and whether all of them plan the same epoch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

from headrace.checks import whole
from headrace.errors import InputError
from headrace.histories.shared import meeting_place

Made = TypeVar("Made")


@dataclass(frozen=True)
class Ranks:
    """This process among several.

    Attributes:
        rank: Its number.
        size: How many there are.
        source: Where these numbers come from, for messages.
    """

    rank: int
    size: int
    source: str


ALONE = Ranks(0, 1, "nobody")


def found() -> Ranks:
    """What the process group says, or else torchrun's environment variables RANK and WORLD_SIZE.

    Raises:
        InputError: The environment has several processes, but not the number of this one.
    """
    around = _around()
    if around is not None:
        return around
    raise InputError(
        f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, and RANK does not say which of them this process is",
        where="RANK",
        got=os.environ.get("RANK"),
        fix="Start under torchrun, or give ExampleSampler(rank=..., world_size=...).",
    )


def _around() -> Ranks | None:
    """As `found`; None if the environment does not hold the rank."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size(), "the process group")
    numbers = [os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE")]
    rank, size = (int(text) if text.isdecimal() else None for text in numbers)
    if size is None or size < 2:
        return ALONE
    if rank is None or rank >= size:
        return None
    return Ranks(rank, size, "the environment (RANK, WORLD_SIZE)")


def given(rank: int | None, world_size: int | None) -> Ranks | None:
    """The ranks that were given, or None if `found` decides; one number alone is completed from `found`.

    Raises:
        InputError: A number is out of its range, missing, or contradicts `found`.
    """
    size = None if world_size is None else whole(world_size, "world_size", least=1)
    mine = None if rank is None else whole(rank, "rank", least=0)
    if size is None and mine is None:
        return None
    around = found() if size is None or (mine is None and size > 1) else _around() or ALONE
    if size is None:
        size = around.size
    if mine is None:
        if size > 1 and size != around.size:
            raise InputError(
                "must be given if there are several ranks", where="rank", fix="Give rank=dist.get_rank()."
            )
        mine = around.rank if size > 1 else 0
    if mine >= size:
        raise InputError(f"must be from 0 to {size - 1}", where="rank", got=mine)
    if size > 1 and size == around.size and mine != around.rank:
        raise InputError(
            f"{around.source} says that this process is rank {around.rank} of {size}",
            where="rank",
            got=mine,
            fix="Leave rank and world_size out.",
        )
    return Ranks(mine, size, "the arguments")


def alike(make: Callable[[], Made], facts: Callable[[Made], Mapping[str, int]], ranks: Ranks) -> Made:
    """What `make` makes, compared with what the other ranks make; a collective call if there is a group.

    An error on one rank is an error on all of them.

    Args:
        make: Makes this rank's.
        facts: What of it must be the same everywhere, as in `DIFFERENT`.
        ranks: This process; nothing is compared unless they are those of the process group.

    Raises:
        InputError: The ranks differ; or what `make` raises.
    """
    if ranks.size == 1 or not _grouped(ranks.size):
        return make()
    try:
        made = make()
    except Exception:
        _exchange([1] * (len(DIFFERENT) + 1), ranks.rank)
        raise
    mine = facts(made)
    rows = _exchange([0, *(mine[name] for name in DIFFERENT)], ranks.rank)
    error = difference([row[0] for row in rows], [row[1] for row in rows], [row[2:] for row in rows])
    if error is not None:
        raise error
    return made


DIFFERENT: dict[str, tuple[str, str]] = {
    "epoch": ("the epoch", "Call set_epoch with the same number on every rank."),
    "settings": (
        "the data, the policy, the batch size or the seed",
        "Make the sampler with the same arguments on every rank.",
    ),
    "start": (
        "the place in the epoch",
        "Load the same sampler state on every rank, and begin an epoch on all of them together.",
    ),
    "values": (
        "the values that the policy assessed",
        "The ranks' histories differ: make SharedHistory(history) once and call merge() after every epoch.",
    ),
    "order": (
        "the order of the epoch",
        "Give the same weights, labels and epochs= on every rank, and the same version of NumPy.",
    ),
}
"""What must be the same on every rank -> its name, and the fix if it differs."""


def difference(
    failed: Sequence[int], ranks: Sequence[int], rows: Sequence[Sequence[int]]
) -> InputError | None:
    """The error for ranks that differ, or None; the same one on every rank.

    Args:
        failed: Of each process, whether it raised an error.
        ranks: The rank that each process believes to be.
        rows: Each one's numbers, in the order of `DIFFERENT`.
    """
    where = "ExampleSampler"
    if any(failed):
        bad = ", ".join(str(rank) for rank, flag in zip(ranks, failed, strict=True) if flag)
        return InputError(f"rank {bad} could not plan the epoch; see its own error", where=where)
    if len(set(ranks)) < len(ranks):
        return InputError(
            "several processes have the same rank",
            where=where,
            got=list(ranks),
            fix="Leave rank and world_size out.",
        )
    for column, (what, fix) in enumerate(DIFFERENT.values()):
        values = [row[column] for row in rows]
        unlike = [str(rank) for rank, value in zip(ranks, values, strict=True) if value != values[0]]
        if unlike:
            first, others = ranks[0], ", ".join(unlike)
            return InputError(f"the ranks differ in {what}: rank {first} and {others}", where=where, fix=fix)
    return None


def number_of(value: object) -> int:
    """A number for plain values, by their text."""
    return int.from_bytes(hashlib.sha256(repr(value).encode()).digest()[:8], "little", signed=True)


def _grouped(size: int) -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() == size


def _exchange(numbers: Sequence[int], rank: int) -> list[list[int]]:
    """Every process's numbers, its rank after the first."""
    device = meeting_place(torch.device("cpu"), None)
    told = torch.tensor([numbers[0], rank, *numbers[1:]], dtype=torch.int64, device=device)
    gathered = [torch.empty_like(told) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, told)
    return [row.tolist() for row in gathered]
