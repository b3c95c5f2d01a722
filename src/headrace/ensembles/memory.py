"""How much memory members and their activations take, and what therefore runs at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from headrace.nested import leaves, rows

CPU_BYTES = 1 << 30
"""What models and activations may take on the CPU by default."""
CPU_ACTIVATION_BYTES = 16 << 20
"""Activations on the CPU take at most this: beyond the caches a CNN is a third slower."""

_LARGEST_KEPT_BYTES = (32 << 20) - (64 << 10)
"""A little below the largest threshold that glibc itself sets."""


@dataclass(frozen=True, kw_only=True)
class InferencePlan:
    """What runs at once.

    Attributes:
        members_at_once: Members held at once, so members that share one pass over the data.
        stack_chunk: How many of them are evaluated in one stacked call.
        batch_size: Examples at a time.
        passes: Passes over the data.
        estimated_bytes: Estimated peak: the held members twice (loaded and stacked), and the activations.
    """

    members_at_once: int
    stack_chunk: int
    batch_size: int
    passes: int
    estimated_bytes: int


def make_plan(
    model: nn.Module, example: Any, members: int, batch_size: int, memory_bytes: int | None
) -> InferencePlan:
    """Half of the memory for members, half for activations; at least one member and one example.

    Args:
        model: One of the members; the others are taken to be as large.
        example: A batch of one input [1 ...] on the model's device.
        members: How many there are.
        batch_size: The largest batch wanted.
        memory_bytes: The limit; None for the default of the example's device.
    """
    device = next(leaves(example)).device
    half = (default_bytes(device) if memory_bytes is None else memory_bytes) // 2
    state = 2 * max(1, state_bytes(model))
    activation = max(1, activation_bytes(model, example))
    room = min(half, CPU_ACTIVATION_BYTES) if device.type == "cpu" else half
    held = max(1, min(members, half // state))
    batch = max(1, min(batch_size, room // activation))
    chunk = max(1, min(held, room // (batch * activation)))
    return InferencePlan(
        members_at_once=held,
        stack_chunk=chunk,
        batch_size=batch,
        passes=-(-members // held),
        estimated_bytes=held * state + chunk * batch * activation,
    )


@cache
def keep_freed_memory() -> None:
    """Let the C library keep what activations free, and give it out again.

    glibc returns large freed blocks to the system, and gets the next batch's anew, page by page: 28% of
    the time of a narrow CNN's passes [T]. Freeing one block of nearly 32 MiB raises the size from which it
    does so (mallopt(3), M_MMAP_THRESHOLD), once for the process; with other allocators this does nothing.
    """
    torch.empty(_LARGEST_KEPT_BYTES, dtype=torch.uint8)


def default_bytes(device: torch.device) -> int:
    """1 GiB on the CPU, half of what is free on a GPU."""
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else CPU_BYTES


def state_bytes(model: nn.Module) -> int:
    """Bytes of all parameters and buffers."""
    return sum(value.numel() * value.element_size() for value in model.state_dict().values())


def activation_bytes(model: nn.Module, example: Any) -> int:
    """Peak bytes of activations for one example: twice the largest input and output of any module within."""
    peak = 0

    def note(_: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal peak
        tensors = [t for t in (*inputs, output) if isinstance(t, Tensor)]
        peak = max(peak, sum(t.numel() * t.element_size() for t in tensors))

    hooks = [part.register_forward_hook(note) for part in model.modules()]
    try:
        with torch.inference_mode():
            model(example)
    finally:
        for hook in hooks:
            hook.remove()
    return 2 * peak // max(1, rows(example) or 1)
