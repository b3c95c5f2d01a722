"""The labels that a model predicted for each example in its last few observations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headrace.checks import instance, whole
from headrace.errors import InputError
from headrace.histories._base import SPARE
from headrace.histories.arrays import allocating, as_device
from headrace.histories.guard import Guard
from headrace.histories.window import ring_places

CHUNK = 1 << 18
"""Examples whose entropy is computed at a time."""


class LabelWindow:
    """The last `window` predicted labels of each example, one byte each: what recency bias looks at.

    Source: Song et al. (2020), a window of 10. Memory: `window` + 4 bytes per example.

    Args:
        num_examples: The number of training examples.
        num_classes: At most 256.
        window: How many labels are kept.
        device: Where the labels live: that of the model.

    Raises:
        InputError: A value out of its range.
    """

    def __init__(
        self,
        num_examples: int,
        num_classes: int,
        *,
        window: int = 10,
        device: torch.device | str = "cpu",
    ) -> None:
        self.num_examples = whole(num_examples, "num_examples", least=1)
        self.num_classes = whole(num_classes, "num_classes", least=2, most=256)
        self.window = whole(window, "window", least=1)
        place, rows = as_device(device), self.num_examples + SPARE
        with allocating(self.num_examples, place):
            self._guard = Guard(self.num_examples, place)
            self._labels = torch.zeros((rows, self.window), dtype=torch.uint8, device=place)
            self._count = torch.zeros(rows, dtype=torch.int32, device=place)

    def record(self, index: Int[Tensor, " batch"], logits: Float[Tensor, "batch classes"]) -> None:
        """Take in the predicted labels (the highest logit) of one batch; never waits for the device.

        A row with a logit that is NaN predicts no label: it is not counted.

        Raises:
            InputError: As for `History.record`.
        """
        logits = self._guard.values(logits, "logits", 2)
        index = self._guard.row(index, "index", len(logits))
        if logits.shape[1] != self.num_classes:
            raise InputError(
                f"the logits have {logits.shape[1]} classes, {self.num_classes} were announced",
                where="logits",
            )
        places, scores, _ = self._guard.route(index, logits)
        places = torch.as_tensor(places)
        # The sum of a row is NaN if one of its logits is.
        nothing = torch.as_tensor(scores).sum(1).isnan()
        places = torch.where(nothing, self.num_examples, places)
        seen = self._count.index_select(0, places)
        place, overwritten = ring_places(seen, places, self.window)
        row = torch.where(overwritten, self.num_examples, places)
        labels = torch.as_tensor(scores).argmax(1).to(torch.uint8)
        self._labels.view(-1).index_copy_(0, row * self.window + place, labels)
        self._count.index_add_(0, places, torch.ones_like(seen))

    @property
    def count(self) -> Int[Tensor, " examples"]:
        """How many times each example was observed."""
        self._guard.check()
        return self._count[:-SPARE].clone()

    def most_frequent(self) -> Int[Tensor, " examples"]:
        """The label most often in each example's window, of equals the lowest; -1 if it is empty."""
        self._guard.check()
        return torch.cat(
            [
                self._most_frequent(self._labels[start : start + CHUNK], self._count[start : start + CHUNK])
                for start in range(0, self.num_examples, CHUNK)
            ]
        )[: self.num_examples]

    def _most_frequent(self, labels: Tensor, count: Tensor) -> Int[Tensor, " examples"]:
        there = torch.arange(self.window, device=labels.device) < count.unsqueeze(1)
        best = torch.full_like(count, -1)
        most = torch.zeros_like(count)
        for place in range(self.window):
            mine = labels[:, place]
            times = torch.where(there[:, place], ((labels == mine.unsqueeze(1)) & there).sum(1), 0)
            better = (times > most) | ((times == most) & (times > 0) & (mine < best))
            best, most = torch.where(better, mine.int(), best), torch.where(better, times.int(), most)
        return best

    def entropy(self) -> Float[Tensor, " examples"]:
        """The entropy, in nats, of each example's predicted labels in its window; 0 where none was recorded.

        H = -(1/n) sum_i log(share of the window's labels that equal label i), which is the entropy of
        the labels' frequencies without a table of examples x classes.
        """
        self._guard.check()
        return torch.cat(
            [
                self._entropy(self._labels[start : start + CHUNK], self._count[start : start + CHUNK])
                for start in range(0, self.num_examples, CHUNK)
            ]
        )[: self.num_examples]

    def _entropy(self, labels: Tensor, count: Tensor) -> Float[Tensor, " examples"]:
        there = torch.arange(self.window, device=labels.device) < count.unsqueeze(1)
        size = count.clamp(1, self.window).float()
        total = torch.zeros_like(size)
        for place in range(self.window):
            equal = ((labels == labels[:, place : place + 1]) & there).sum(1)
            total -= torch.where(there[:, place], (equal / size).log(), 0.0)
        return total / size

    def state_dict(self) -> dict[str, Any]:
        """All that is known, as plain values and tensors (copies)."""
        self._guard.check()
        settings = {key: getattr(self, key) for key in ("num_examples", "num_classes", "window")}
        return {"version": 1, **settings, "labels": self._labels.clone(), "count": self._count.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave.

        Raises:
            InputError: Another version, number of examples or classes, or window, or impossible.
        """
        instance(state, Mapping, "load_state_dict", "what state_dict() gave")
        mine = {"version": 1} | {key: getattr(self, key) for key in ("num_examples", "num_classes", "window")}
        for key, value in mine.items():
            if state.get(key) != value:
                raise InputError(
                    f"labels of another form: {key}", where="load_state_dict", got=state.get(key)
                )
        for key, mine in (("labels", self._labels), ("count", self._count)):
            saved = state.get(key)
            form = (saved.shape, saved.dtype) if isinstance(saved, Tensor) else type(saved).__name__
            if form != (mine.shape, mine.dtype):
                what = f"must be {mine.dtype} of shape {tuple(mine.shape)}"
                raise InputError(what, where=f"load_state_dict: {key}", got=form)
        labels, count = state["labels"][:-SPARE], state["count"][:-SPARE]
        there = torch.arange(self.window, device=count.device) < count[:, None]
        for key, bad in (("count", count < 0), ("labels", (there & (labels >= self.num_classes)).any(1))):
            if bool(bad.any()):
                place = f"load_state_dict: {key}, example {int(bad.nonzero()[0, 0])}"
                raise InputError("holds what no prediction gives", where=place)
        self._labels.copy_(state["labels"])
        self._count.copy_(state["count"])
