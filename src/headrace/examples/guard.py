"""Checks of what is recorded, without waiting for a device.

On the host a bad index or class raises before anything has changed. On a device that would mean to
wait for it (or to end the process's use of it), so bad rows are led to the table's spare row, a flag on
the device is raised, and `check` reads it when the history is read.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from headrace.errors import InputError
from headrace.examples.arrays import SMALL, Array, highest

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.uint8, torch.int8)


class Guard:
    """The range checks of one history.

    Args:
        num_examples: Indices must be below it.
        device: Where the history lives.
    """

    def __init__(self, num_examples: int, device: torch.device) -> None:
        self.num_examples = num_examples
        self._bad = torch.zeros(2, dtype=torch.bool, device=device)
        self._on_host = self._bad.device.type == "cpu"

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        self._bad = self._bad.to(device)
        self._on_host = self._bad.device.type == "cpu"

    def shapes(self, index: Tensor, values: Tensor, targets: Tensor | None = None) -> None:
        """Raise unless index and targets are [batch] integers and the values [batch, any width]."""
        if values.ndim != 2 or not values.is_floating_point():
            raise InputError(
                "floating values of shape [batch, classes] are needed, or [batch] for losses",
                where="logits or losses",
                got=(tuple(values.shape), str(values.dtype)),
                fix="Flatten further dimensions into the batch, with one index for each.",
            )
        if values.device != self._bad.device:
            raise InputError(
                f"the history is on {self._bad.device}, the model's outputs on {values.device}",
                where="device",
                fix=f"Make it with device={str(values.device)!r}, or move it once with .to().",
            )
        batch = values.shape[0]
        for name, given in (("index", index), ("targets", targets)):
            if given is None:
                continue
            if given.ndim != 1 or given.shape[0] != batch or given.dtype not in _INTEGERS:
                raise InputError(
                    f"an integer tensor with one entry for each of the batch's {batch} examples is needed",
                    where=name,
                    got=(tuple(given.shape), str(given.dtype)),
                )

    def route(
        self,
        index: Int[Tensor, " batch"],
        values: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"] | None = None,
        keep: Bool[Tensor, " batch"] | None = None,
    ) -> tuple[Array, Array, Array]:
        """The index, the float32 values and the targets, all safe to gather with.

        On the host the rows that do not count are left out, and a small batch comes as NumPy arrays. On
        a device they are tensors, and rows that do not count have the spare row's index. Without targets
        the index stands in for them.

        Raises:
            InputError: On the host, an index or a class out of range.
        """
        values = values.detach().float()
        if not self._on_host:
            return self._led(index, values, targets, keep)
        given = [index, values, index if targets is None else targets]
        if keep is not None:
            given = [tensor[keep] for tensor in given]
        index, values, labels = given
        places, classes = index.long().numpy(), labels.long().numpy()
        _within("index", places, self.num_examples)
        if targets is not None:
            _within("targets", classes, values.shape[1])
        if values.numel() > SMALL:
            return torch.as_tensor(places), values, torch.as_tensor(classes)
        return places, values.numpy(), classes

    def _led(
        self, index: Tensor, values: Tensor, targets: Tensor | None, keep: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `route`, on a device."""
        device = self._bad.device
        index = index.to(device, torch.int64, non_blocking=True)
        inside = known = (index >= 0) & (index < self.num_examples)
        labels = index
        if targets is not None:
            labels = targets.to(device, torch.int64, non_blocking=True)
            known = (labels >= 0) & (labels < values.shape[1])
            labels = labels.clamp(0, values.shape[1] - 1)
        wrong = torch.stack((~inside, ~known), 1)
        good = inside & known
        if keep is not None:
            kept = keep.to(device, non_blocking=True)
            wrong, good = wrong & kept.unsqueeze(1), good & kept
        self._bad |= wrong.any(0)
        return torch.where(good, index, self.num_examples), values, labels

    def check(self) -> None:
        """Raise if a device has seen a bad index or class since the last check; waits for the device."""
        if self._on_host:
            return
        index, target = self._bad.tolist()
        self._bad.zero_()
        for name, bad, end in (("index", index, self.num_examples), ("targets", target, None)):
            if bad:
                raise InputError(
                    "a batch recorded since the last reading held values out of range; its other rows count",
                    where=name,
                    fix=f"Use 0 .. {end - 1}." if end else "Use 0 .. classes - 1.",
                )


def _within(name: str, given: Int[np.ndarray, " batch"], end: int) -> None:
    """Raise unless all lie in 0 .. end - 1; one pass, since negative numbers are large without their sign."""
    if len(given) and highest(given.view(np.uint64)) >= end:
        raise InputError(
            f"out of range, {end} are known",
            where=name,
            got=int(given[(given < 0) | (given >= end)][0]),
            fix=f"Use 0 .. {end - 1}" + ("; mark padding with keep." if name == "targets" else "."),
        )
