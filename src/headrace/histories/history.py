"""The record of a model's predictions on each training example.

Three lines in a training loop of one's own:

    history = headrace.History(len(dataset), device=device)
    for index, inputs, targets in loader:
        logits = model(inputs)
        history.record(index, logits, targets)
        ...
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from weakref import WeakMethod

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from headrace.checks import choice, instance, number, text, whole
from headrace.errors import InputError
from headrace.histories import storage
from headrace.histories._base import Table
from headrace.histories.arrays import allocating, as_device
from headrace.histories.growing import GrowingTable
from headrace.histories.guard import Guard
from headrace.histories.observations import LOSS, PREDICTION, Quantity, observe
from headrace.histories.window import WindowTable


class _Record:
    """What histories of predictions and of losses share: the table, its reading, saving and merging."""

    kind: str
    quantities: tuple[Quantity, ...]

    def __init__(
        self,
        num_examples: int,
        *,
        device: torch.device | str = "cpu",
        window: int | None = None,
        decay: float | None = None,
        fingerprint: str | None = None,
    ) -> None:
        self.num_examples = whole(num_examples, "num_examples", least=1)
        self.window = None if window is None else whole(window, "window", least=2)
        self.decay = None if decay is None else number(decay, "decay", above=0, below=1)
        self.fingerprint = None if fingerprint is None else text(fingerprint, "fingerprint")
        self.num_classes: int | None = None
        self._listeners: list[WeakMethod[Callable[[Tensor], None]]] = []
        place = as_device(device)
        with allocating(self.num_examples, place):
            self._guard = Guard(self.num_examples, place)
            self._table = _table(self.quantities, self.num_examples, self.window, self.decay, place)

    def listen(self, listener: Callable[[Tensor], None]) -> None:
        """Call a bound method with the index of every batch that is recorded, as long as its object lives.

        A copy of the history has no listeners.
        """
        self._listeners = [one for one in self._listeners if one() is not None] + [WeakMethod(listener)]

    def _tell(self, index: Tensor) -> None:
        for one in self._listeners:
            listener = one()
            if listener is not None:
                listener(index)

    def __getstate__(self) -> dict[str, Any]:
        """All but the listeners."""
        return {**self.__dict__, "_listeners": []}

    @property
    def device(self) -> torch.device:
        """Where the history lives."""
        return self._table.tensor.device

    @property
    def bytes_per_example(self) -> int:
        """The memory that one example takes."""
        return self._table.bytes_per_example

    def to(self, device: torch.device | str) -> Self:
        """Move to a device; returns itself."""
        place = as_device(device)
        with allocating(self.num_examples, place):
            self._guard.to(place)
            self._table.to(place)
        return self

    @property
    def table(self) -> Table:
        """The numbers themselves, for code that stores or exchanges them."""
        return self._table

    def check(self) -> None:
        """Raise if something out of range was recorded on a device; waits for it.

        Raises:
            InputError: An index or a class was out of range since the last reading.
        """
        self._guard.check()

    @property
    def count(self) -> Float[Tensor, " examples"]:
        """How many times each example was observed, ever."""
        self._guard.check()
        return self._table.count()

    @property
    def size(self) -> Float[Tensor, " examples"]:
        """How many observations the means rest on: the count, the filled window, or the effective size."""
        self._guard.check()
        return self._table.size()

    def mean(self, quantity: Quantity) -> Float[Tensor, " examples"]:
        """The mean of a quantity per example, 0 where the example was never observed.

        Raises:
            InputError: The quantity needs predictions, and only losses were recorded.
        """
        self._ready(quantity)
        return self._table.mean(quantity)

    def variance(self, quantity: Quantity) -> Float[Tensor, " examples"]:
        """The population variance of the probability or the loss, 0 below two observations.

        Raises:
            InputError: The quantity needs predictions, or no second moment of it is kept.
        """
        self._ready(quantity)
        if quantity not in ("probability", "loss"):
            raise InputError(
                "no variance of this is kept", where="quantity", got=quantity, fix="Use probability or loss."
            )
        return self._table.variance(quantity)

    def last_loss(self) -> Float[Tensor, " examples"]:
        """The loss of each example when it was last observed, 0 where it never was."""
        self._ready("loss")
        return self._table.last("loss")

    def transitions(self) -> Float[Tensor, " examples"]:
        """How often an example that was correct the last time was wrong (forgetting transitions).

        Raises:
            InputError: Only losses were recorded.
        """
        self._ready("correct")
        return self._table.transitions()

    def _ready(self, quantity: str) -> None:
        choice(quantity, "quantity", PREDICTION)
        if quantity not in self.quantities:
            raise InputError(
                f"{quantity} needs the predicted probabilities, and this history holds losses only",
                where=type(self).__name__,
                fix="Record logits with History, or use mean_loss or loss_variance.",
            )
        self._guard.check()

    def merge(self, other: Self) -> Self:
        """Take in another history of the same examples, as if both had been recorded here; returns itself.

        Counts, means and variances are exact except for rounding. `other` is taken to come after: its
        last values stay, and no transition is counted between the two. Merge each record once: two
        histories that were resumed from the same file both hold that file.

        Raises:
            InputError: Another kind, size, window, decay, data set or number of classes; or itself.
        """
        instance(other, _Record, "merge", "another history")
        if other is self:
            raise InputError("a history merged with itself would count everything twice", where="merge")
        self._guard.check()
        other._guard.check()
        storage.agree(storage.description(self), storage.description(other), where="merge")
        self.num_classes = self.num_classes if self.num_classes is not None else other.num_classes
        self.fingerprint = self.fingerprint if self.fingerprint is not None else other.fingerprint
        self._table.merge(other._table.tensor)
        return self

    def state_dict(self) -> dict[str, Any]:
        """All that is known, as plain values and one tensor (a copy)."""
        self._guard.check()
        return {**storage.description(self), "table": self._table.tensor.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave.

        Raises:
            InputError: The state is of another kind, size, window, decay or data set, or impossible.
        """
        where = "load_state_dict"
        storage.check_state(state, storage.description(self), self._table.tensor, where=where)
        bad = self._table.impossible(state["table"]).nonzero()
        if len(bad):
            raise InputError(
                "holds what nothing that is recorded can lead to",
                where=f"{where}: table, example {int(bad[0, 0])}",
                fix="Give what state_dict() returned, unaltered.",
            )
        self.num_classes = state["num_classes"]
        self.fingerprint = self.fingerprint if self.fingerprint is not None else state["fingerprint"]
        self._table.tensor.copy_(state["table"])

    def save(self, path: Path | str) -> None:
        """Write the history to a safetensors file, whole or not at all, with a checksum over all of it.

        Raises:
            StorageError: The file cannot be written; a former one is kept.
        """
        self._guard.check()
        storage.write(Path(path), storage.description(self), self._table.tensor)

    @classmethod
    def load(
        cls, path: Path | str, *, device: torch.device | str = "cpu", fingerprint: str | None = None
    ) -> Self:
        """Read a history that `save` wrote.

        Args:
            path: The file.
            device: Where the history shall live.
            fingerprint: The data set that the history must be of (see `fingerprint`), if known.

        Raises:
            InputError: No such file, not such a history, or one of another data set.
            DamagedError: The file was truncated or altered.
        """
        state = storage.read(Path(path))
        if state["kind"] != cls.kind:
            raise InputError(
                f"holds {state['kind']}, not {cls.kind}", where=str(path), fix="Use the other class."
            )
        history = cls(
            state["num_examples"],
            device=device,
            window=state["window"],
            decay=state["decay"],
            fingerprint=fingerprint,
        )
        try:
            history.load_state_dict(state)
        except InputError as error:
            raise type(error)(error.what, where=str(path), fix=error.fix) from None
        return history

    def to_parquet(self, path: Path | str) -> None:
        """Write one row per example (its index, counts, means, variances) to a Parquet file."""
        storage.write_parquet(Path(path), self)


class History(_Record):
    """What a classifier predicted for each training example, over a training run.

    Keeps per example: the count; mean and variance of the true class's probability and of the loss;
    the last loss; the share of correct predictions; forgetting transitions; the means of the margin
    and of EL2N. `headrace.scores` turn these into one number per example.

    Args:
        num_examples: The number of training examples, at least 1.
        device: Where the history lives: that of the model.
        window: Keep only each example's last `window` observations (at least 2): 12 bytes for each.
        decay: Weigh observations by `decay` (between 0 and 1) to the number of later ones.
        fingerprint: What identifies the data set (see `headrace.histories.fingerprint`); stored, and
            compared when histories are merged or loaded.

    Raises:
        InputError: A value out of its range, or both window and decay.
    """

    kind = "predictions"
    quantities = PREDICTION

    def record(
        self,
        index: Int[Tensor, " batch"],
        logits: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        *,
        keep: Bool[Tensor, " batch"] | None = None,
    ) -> None:
        """Take in the forward pass of one batch; never waits for the device.

        Args:
            index: The examples' indices in the training set; the same one may occur more than once.
            logits: The model's outputs before the softmax, in any floating type.
            targets: The true classes.
            keep: Which rows count; padding of a last batch or of a distributed sampler is marked False.

        Raises:
            InputError: Shapes that do not fit, another number of classes than before, another device;
                an index or a class out of range. The last two are found at once on the CPU, where
                nothing is changed then; on a device when the history is next read (it would have to
                wait otherwise), and the other rows of the batch count.
        """
        logits = self._guard.values(logits, "logits", 2)
        batch = len(logits)
        index, targets = self._guard.row(index, "index", batch), self._guard.row(targets, "targets", batch)
        keep = None if keep is None else self._guard.row(keep, "keep", batch)
        classes = logits.shape[1]
        if classes != self.num_classes:
            self._first_width(classes)
        places, scores, labels = self._guard.route(index, logits, targets, keep)
        if len(places):
            # A logit that is not finite shows in the history; NumPy need not warn.
            with np.errstate(invalid="ignore"):
                self._table.add(places, observe(scores, labels))
        if self._listeners:
            self._tell(index)

    def _first_width(self, classes: int) -> None:
        if self.num_classes is not None:
            raise InputError(
                f"the logits have {classes} classes, those before had {self.num_classes}",
                where="logits",
                fix="Use one history per model output.",
            )
        if classes < 2:
            raise InputError(
                "logits need at least two classes",
                where="logits",
                got=classes,
                fix="Give a binary model two outputs, or record its losses with LossHistory.",
            )
        self.num_classes = classes


class LossHistory(_Record):
    """The losses of each training example: for regression, language models, and any loss of your own.

    Scores that need the true class's probability refuse such a history. 28 bytes per example.

    Args:
        num_examples: The number of training examples, at least 1.
        device: Where the history lives.
        window: Keep only each example's last `window` losses (at least 2).
        decay: Weigh losses by `decay` (between 0 and 1) to the number of later ones.
        fingerprint: What identifies the data set.

    Raises:
        InputError: A value out of its range, or both window and decay.
    """

    kind = "losses"
    quantities = LOSS

    def record(
        self,
        index: Int[Tensor, " batch"],
        losses: Float[Tensor, " batch"],
        *,
        keep: Bool[Tensor, " batch"] | None = None,
    ) -> None:
        """Take in the losses of one batch, before they are averaged; never waits for the device.

        Args:
            index: The examples' indices in the training set.
            losses: One loss per example, in any floating type.
            keep: Which rows count.

        Raises:
            InputError: As for `History.record`.
        """
        losses = self._guard.values(losses, "losses", 1)
        index = self._guard.row(index, "index", len(losses))
        keep = None if keep is None else self._guard.row(keep, "keep", len(losses))
        places, values, _ = self._guard.route(index, losses.unsqueeze(-1), keep=keep)
        if len(places):
            self._table.add(places, values.T)
        if self._listeners:
            self._tell(index)


def _table(
    quantities: tuple[Quantity, ...],
    num_examples: int,
    window: int | None,
    decay: float | None,
    device: torch.device,
) -> Table:
    if window is not None and decay is not None:
        raise InputError(
            "a history is windowed or fading, not both", where="window, decay", fix="Leave one out."
        )
    if window is not None:
        return WindowTable(quantities, num_examples, window=window, device=device)
    return GrowingTable(quantities, num_examples, decay=1.0 if decay is None else decay, device=device)
