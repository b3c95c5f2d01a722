"""Checks of what is recorded, without waiting for a device.

On the CPU torch's own gathers raise on a bad index or class before anything has changed; `explain`
then says which. On a device such a gather would end the process's use of the device, so bad rows are
led to the table's spare row, a flag on the device is raised, and `check` reads it when the history is read.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from headrace.errors import InputError

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
        self, index: Tensor, targets: Tensor | None, values: Tensor, keep: Bool[Tensor, " batch"] | None
    ) -> tuple[Int[Tensor, " batch"], Tensor, Tensor]:
        """What is safe to gather with: rows that do not count are dropped, or led to the spare row.

        Returns:
            The index, the targets (the index again where there are none) and the values.
        """
        if self._on_host:
            if keep is not None:
                index, values = index[keep], values[keep]
                targets = None if targets is None else targets[keep]
            return index.long(), index if targets is None else targets, values
        device = self._bad.device
        index = index.to(device, torch.int64, non_blocking=True)
        inside = (index >= 0) & (index < self.num_examples)
        known = inside
        if targets is not None:
            targets = targets.to(device, torch.int64, non_blocking=True)
            known = (targets >= 0) & (targets < values.shape[1])
            targets = targets.clamp(0, values.shape[1] - 1)
        kept = None if keep is None else keep.to(device, non_blocking=True)
        good = inside & known if kept is None else inside & known & kept
        wrong = torch.stack((~inside, ~known), 1)
        wrong = wrong if kept is None else wrong & kept.unsqueeze(1)
        self._bad |= wrong.any(0)
        return torch.where(good, index, self.num_examples), index if targets is None else targets, values

    def explain(self, index: Tensor, targets: Tensor | None, classes: int) -> None:
        """Raise for the index or class that is out of range, if one is."""
        self._range("index", index, self.num_examples)
        if targets is not None:
            self._range("targets", targets, classes)

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

    @staticmethod
    def _range(name: str, given: Tensor, end: int) -> None:
        bad = given[(given < 0) | (given >= end)]
        if len(bad):
            raise InputError(
                f"out of range, {end} are known",
                where=name,
                got=int(bad[0]),
                fix=f"Use 0 .. {end - 1}" + ("; mark padding with keep." if name == "targets" else "."),
            )
