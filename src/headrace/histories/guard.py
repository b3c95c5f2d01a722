"""Checks of what is recorded, without waiting for a device.

On the host a bad index or class raises before anything has changed. On a device that would mean to
wait for it (or to end the process's use of it), so bad rows are led to the table's spare row, a flag on
the device is raised, and `check` reads it when the history is read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from headrace.errors import InputError
from headrace.histories.arrays import SMALL, Array, highest

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.uint8, torch.int8)
_FIXES = {
    "keep": "Give a mask of truth values: keep.bool().",
    "targets": "Give the class of each example; of one-hot or soft targets, targets.argmax(1).",
}


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

    def values(self, given: Any, where: str, ndim: int) -> Tensor:
        """Floating values on the history's device.

        Args:
            given: A tensor, or a NumPy array.
            where: The name of the parameter.
            ndim: The number of axes: 2 for logits, 1 for losses.

        Raises:
            InputError: Another type, other axes, another device.
        """
        values = (
            torch.from_numpy(given) if isinstance(given, np.ndarray) and given.dtype.kind == "f" else given
        )
        if not isinstance(values, Tensor) or values.ndim != ndim or not values.is_floating_point():
            shaped = hasattr(given, "shape") and hasattr(given, "dtype")
            raise InputError(
                f"must be a floating tensor {'[batch, classes]' if ndim == 2 else '[batch]'}",
                where=where,
                got=(tuple(given.shape), str(given.dtype)) if shaped else given,
                fix="Flatten further dimensions into the batch, with one index for each; give .float()."
                if ndim == 2
                else 'Give one loss per example, as reduction="none" does; of losses per token each mean.',
            )
        if values.device != self._bad.device:
            raise InputError(
                f"the history is on {self._bad.device}, the model's outputs on {values.device}",
                where="device",
                fix=f"Make it with device={str(values.device)!r}, or move it once with .to().",
            )
        return values

    def row(self, given: Any, where: str, batch: int) -> Tensor:
        """One integer, or truth value (of `keep`), for each example of a batch.

        Raises:
            InputError: Another type or length.
        """
        row = given
        if not isinstance(given, Tensor):
            try:
                row = torch.as_tensor(given)
            except (TypeError, ValueError, RuntimeError):
                raise InputError("must be a tensor [batch]", where=where, got=given) from None
        flags = where == "keep"
        if row.ndim != 1 or len(row) != batch or row.dtype not in ((torch.bool,) if flags else _INTEGERS):
            kind = "a boolean" if flags else "an integer"
            raise InputError(
                f"{kind} tensor with one entry for each of the batch's {batch} examples is needed",
                where=where,
                got=(tuple(row.shape), str(row.dtype)),
                fix=_FIXES.get(where),
            )
        return row

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
            given = [tensor.cpu()[keep.cpu()] for tensor in given]
        index, values, labels = given
        places, classes = index.cpu().long().numpy(), labels.cpu().long().numpy()
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
    """Raise unless all are in 0 .. end - 1; one pass: negative numbers are large without their sign."""
    if len(given) and highest(given.view(np.uint64)) >= end:
        raise InputError(
            f"out of range, {end} are known",
            where=name,
            got=int(given[(given < 0) | (given >= end)][0]),
            fix=f"Use 0 .. {end - 1}" + ("; mark padding with keep." if name == "targets" else "."),
        )
