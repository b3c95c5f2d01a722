"""A check, before training begins, that all processes train the same model on the same data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist

from headrace.errors import InputError, InputErrors

Fact = TypeVar("Fact")


def differences(facts: Sequence[Mapping[str, str]]) -> list[InputError]:
    """What ranks have that differs from rank 0, one error for each rank and fact.

    Args:
        facts: Of each rank, by what they are about: versions, checksums.
    """
    return [
        InputError(
            f"has another {name} than rank 0, which has {facts[0].get(name)}",
            where=f"rank {rank}",
            got=mine.get(name),
            fix="Give every process the same.",
        )
        for rank, mine in enumerate(facts)
        for name in sorted({*facts[0], *mine})
        if mine.get(name) != facts[0].get(name)
    ]


def agree(facts: Mapping[str, str]) -> None:
    """Compare what every rank has with what rank 0 has; collective.

    Args:
        facts: This rank's. The versions of headrace and torch are compared too.

    Raises:
        InputErrors: Some rank has something else; in every process, naming the ranks.
    """
    import headrace

    mine = {"headrace": headrace.__version__, "torch": torch.__version__, **facts}
    found = differences(gathered(mine))
    if found:
        raise InputErrors(found, where="the processes of this run")


def gathered(mine: Fact) -> list[Fact]:
    """The facts of every rank, in the order of the ranks; collective."""
    found = [mine] * dist.get_world_size()
    dist.all_gather_object(found, mine)
    return found
