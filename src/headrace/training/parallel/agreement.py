"""Whether all processes are to train the same on the same, before they begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from headrace.errors import InputError, InputErrors
from headrace.examples.storage import fingerprint
from headrace.training.data import ExampleData

SAMPLED = 1024
"""Examples whose inputs are compared, evenly spread."""


def differences(facts: Sequence[Mapping[str, str]]) -> list[InputError]:
    """What ranks have otherwise than rank 0, one error for each rank and fact.

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
        facts: This rank's. The versions of headrace and torch are compared beside them.

    Raises:
        InputErrors: Some rank has something else; in every process, naming the ranks.
    """
    import headrace

    mine = {"headrace": headrace.__version__, "torch": torch.__version__, **facts}
    gathered: list[dict[str, str]] = [{} for _ in range(dist.get_world_size())]
    dist.all_gather_object(gathered, mine)
    found = differences(gathered)
    if found:
        raise InputErrors(found, where="the processes of this run")


def data_fingerprint(data: ExampleData) -> str:
    """What tells data sets apart: the number of examples, and some of their inputs and targets.

    Args:
        data: The training set; up to `SAMPLED` of its examples are fetched.
    """
    some = torch.linspace(0, len(data) - 1, min(len(data), SAMPLED), dtype=torch.float64).long()
    inputs, targets = data.fetch(some)
    length: Tensor = torch.tensor(len(data))
    return fingerprint(length, inputs, targets)[:16]
