"""`FeedLog`: which rows were fed at which step, by any loader.

    log = headrace.FeedLog("runs/first/feed", len(train))
    for epoch in range(epochs):
        for index, (inputs, targets) in DataLoader(Indexed(train), ...):
            ...
            log.record(index, step=step, epoch=epoch, loss=loss)
    log.close()

`headrace feed runs/first/feed` reads it. An index takes at most 8 bytes on the disk. Nothing waits for a
device except the writing, once per 65,536 indices or per minute.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from headrace.checks import flag, number, whole
from headrace.errors import InputError
from headrace.sampling import ranks
from headrace.sealed_tables import write_table

VERSION = "1"
_HELD = 1 << 16
"""Indices in memory before they are written."""

_SECONDS = 60.0
"""The longest time between two writings, if anything is recorded."""


class FeedLog:
    """A log of the rows that a training is fed, in a folder; each process writes its own part.

    A training that is resumed opens the same folder again: what an earlier process recorded from the resumed
    step on counts as discarded. Call `flush` when a checkpoint is saved, so that none of its steps is lost.

    Args:
        folder: Where the log is; made if it does not exist.
        num_examples: Examples in the training set.
        draws: Whether examples are drawn, so that in an epoch some come twice and others not at all.
        rank: This process's number; None reads the process group or the environment.

    Raises:
        InputError: A value of another kind or out of its range.
    """

    def __init__(
        self, folder: Path | str, num_examples: int, *, draws: bool = False, rank: int | None = None
    ) -> None:
        self.num_examples = whole(num_examples, "num_examples", least=1)
        mine = ranks.found() if rank is None else ranks.Ranks(whole(rank, "rank", least=0), 0, "rank=")
        self.rank = mine.rank
        self._folder = Path(folder) / f"rank-{mine.rank}"
        self._session = 1 + max((_session(path) for path in self._folder.glob("part-*.parquet")), default=0)
        self._about = {
            "version": VERSION,
            "examples": str(self.num_examples),
            "draws": str(flag(draws, "draws")),
            "rank": str(mine.rank),
            "ranks": str(mine.size),
            "opened": repr(time.time()),
        }
        self._type = np.uint32 if self.num_examples <= 1 << 32 else np.int64
        self._parts = 0
        self._clear()

    def _clear(self) -> None:
        self._indices: list[Tensor] = []
        self._steps: list[tuple[int, int]] = []
        self._losses: list[Any] = []
        self._held = 0
        self._since = time.monotonic()

    def record(
        self,
        index: Int64[Tensor, " batch"] | Sequence[int],
        *,
        step: int,
        epoch: int,
        loss: float | Tensor | None = None,
    ) -> None:
        """Note the rows of one step (or of a part of it, if batches are accumulated).

        Args:
            index: Their indices in the training set, on any device.
            step: Counted from the beginning of the training, also after a resume.
            epoch: From 0.
            loss: The mean loss of these rows, as a number or a tensor of one; None if it is not known.
        """
        rows = index if isinstance(index, Tensor) else torch.as_tensor(index)
        self._indices.append(rows.detach().reshape(-1))
        self._steps.append((step, epoch))
        self._losses.append(loss.detach() if isinstance(loss, Tensor) else loss)
        self._held += rows.numel()
        if self._held >= _HELD or time.monotonic() - self._since > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is in memory; waits for the device.

        Raises:
            InputError: An index, a step or an epoch out of its range.
            StorageError: The file cannot be written.
        """
        if not self._indices:
            return
        index = np.concatenate([one.cpu().numpy() for one in self._indices])
        sizes = [len(one) for one in self._indices]
        if len(index) and (index.min() < 0 or index.max() >= self.num_examples):
            bad = int(index.min() if index.min() < 0 else index.max())
            raise InputError(f"must be from 0 to {self.num_examples - 1}", where="FeedLog: index", got=bad)
        steps = [whole(step, "step", least=0) for step, _ in self._steps]
        epochs = [whole(epoch, "epoch", least=0, most=2**31 - 1) for _, epoch in self._steps]
        columns = {
            "step": np.repeat(np.array(steps, np.int64), sizes),
            "epoch": np.repeat(np.array(epochs, np.int32), sizes),
            "example": index.astype(self._type),
            "loss": np.repeat(np.array([_number(loss) for loss in self._losses], np.float32), sizes),
        }
        path = self._folder / f"part-{self._session:04}-{self._parts:06}.parquet"
        self._folder.mkdir(parents=True, exist_ok=True)
        write_table(path, columns, self._about)
        self._parts += 1
        self._clear()

    def close(self) -> None:
        """Write what is in memory. A log that was closed can still record."""
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _session(path: Path) -> int:
    """The number of the session in the name of a part."""
    return int(path.stem.split("-")[1])


def _number(loss: Any) -> float:
    if loss is None:
        return float("nan")
    if isinstance(loss, Tensor):
        if loss.numel() != 1:
            raise InputError("must be one number per step", where="FeedLog: loss", got=tuple(loss.shape))
        return float(loss)
    return float(loss) if isinstance(loss, float) else number(loss, "FeedLog: loss")
