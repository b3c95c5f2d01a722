"""Windows of tokens as examples: the input is a window, the targets are the tokens that follow each."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import Literal, Self

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from headrace import checks
from headrace.errors import InputError
from headrace.training.data import Device
from headrace.training.losses import IGNORED
from headrace.workloads.language.corpus import Corpus

Packing = Literal["across", "within"]
"""Whether a window may hold the end of one document and the beginning of the next."""
_ALL = 1 << 20
"""Tokens fetched together to count bytes; memory only."""
_PAGES = 1 << 16
"""Bytes that a system maps around a place of a file that is read."""
_RESIDENT = 32 << 20
"""Bytes of a mapped file that are kept in memory."""


class TokenWindows:
    """Examples that are windows of T tokens, one after the other.

    With `packing="across"` the documents are one sequence: window i predicts its tokens i T + 1 to (i + 1) T,
    and up to T tokens at the end are not used. With `packing="within"` each document is cut into windows of
    its own; the last one of a document is filled up with targets of -100, which do not count.

    Nothing is copied but what is fetched: any number of tokens may be mapped from a file. "within" keeps 12
    bytes per window.

    Args:
        corpus: The tokens.
        window: T.
        packing: Whether a window may reach across documents.
        split: What the data are called in messages.

    Raises:
        InputError: There are not T + 1 tokens (with "within": no document of two).
    """

    def __init__(
        self, corpus: Corpus, window: int, packing: Packing = "across", *, split: str = "tokens"
    ) -> None:
        self.corpus = corpus
        self.window = checks.whole(window, "window", least=1)
        self.packing: Packing = packing
        self.device = torch.device("cpu")
        self._offsets = np.arange(window + 1)
        self._touched = 0
        documents = corpus.documents
        if documents is None:
            documents = np.array([[0, len(corpus.tokens)]])
        if packing == "within":
            self._starts, self._lengths = _cut(documents, window)
            self._count = len(self._starts)
        else:
            self._documents = _joined(documents)
            self._ends = (self._documents[:, 1] - self._documents[:, 0]).cumsum()
            self._count = max(0, (int(self._ends[-1]) - 1) // window)
        if not self._count:
            raise InputError(
                f"a window of {window:,} needs {window + 1:,} tokens"
                if packing == "across"
                else "no document has two tokens",
                where=f"{corpus.where}, {split}",
                got=f"{len(corpus):,} tokens",
                fix="Use a shorter window, or give the split more tokens.",
            )

    def __len__(self) -> int:
        """The number of windows."""
        return self._count

    @property
    def alike(self) -> bool:
        """Whether all windows have as many targets that count."""
        return self.packing == "across"

    @property
    def targets_per_example(self) -> float:
        """The mean number of targets that count."""
        return float(self.window) if self.alike else float(self._lengths.mean())

    @cached_property
    def bytes_per_target(self) -> float | None:
        """How many bytes of text a target stands for on average; None if the tokens' bytes are not known."""
        sizes = self.corpus.token_bytes
        if sizes is None:
            return None
        held = copy(self)
        held.device = torch.device("cpu")
        total = counted = 0
        for part in torch.arange(len(self)).split(max(1, _ALL // self.window)):
            targets = held.fetch(part)[1].numpy()
            targets = targets[targets != IGNORED]
            total, counted = total + int(sizes[targets].sum()), counted + len(targets)
        return total / counted

    def fetch(
        self, indices: Int64[Tensor, " batch"]
    ) -> tuple[Int64[Tensor, "batch window"], Int64[Tensor, "batch window"]]:
        """The windows and the tokens that follow; -100 where none does.

        Raises:
            InputError: A token is outside the vocabulary; names its place.
        """
        places = self._places(indices.cpu().numpy())
        rows = self.corpus.tokens[places]
        self._release(len(rows))
        if not self.corpus.small:
            self.corpus.check(rows, places)
        rows = rows.astype(np.int64)
        if not self.alike:
            unused = self._offsets[1:] > self._lengths[indices.cpu().numpy()][:, None]
            rows[:, 1:][unused] = IGNORED
        block = torch.from_numpy(rows)
        inputs, targets = block[:, :-1].clamp(min=0), block[:, 1:].contiguous()
        if self.device.type == "cuda":
            inputs, targets = inputs.pin_memory(), targets.pin_memory()
        return inputs.to(self.device, non_blocking=True), targets.to(self.device, non_blocking=True)

    def to(self, device: Device) -> Self:
        """The same windows, fetched to `device`; the tokens stay where they are."""
        moved = copy(self)
        moved.device = torch.device(device)
        return moved

    def text(self, index: int) -> str:
        """A window as a person reads it: as text if the tokens can be decoded, or as their numbers."""
        inputs, targets = self.to("cpu").fetch(torch.tensor([index]))
        counted = int((targets != IGNORED).sum())
        tokens = np.concatenate([inputs[0, :1].numpy(), targets[0, :counted].numpy()])
        decode = self.corpus.decode
        return " ".join(map(str, tokens.tolist())) if decode is None else decode(tokens)

    def _release(self, windows: int) -> None:
        """Give back the memory of a mapped file, once it may have grown to `_RESIDENT`."""
        if self.corpus.release is None:
            return
        self._touched += windows * (_PAGES + self.window * self.corpus.tokens.dtype.itemsize)
        if self._touched > _RESIDENT:
            self.corpus.release()
            self._touched = 0

    def _places(self, rows: Int64[np.ndarray, " batch"]) -> Int64[np.ndarray, "batch places"]:
        """Where in the corpus the tokens of these windows are, and the one that follows each window."""
        if self.packing == "within":
            offsets = np.minimum(self._offsets, self._lengths[rows][:, None])
            return self._starts[rows][:, None] + offsets
        places = rows[:, None] * self.window + self._offsets
        if len(self._documents) == 1:
            return places + self._documents[0, 0]
        of = np.searchsorted(self._ends, places, side="right")
        return places - self._ends[of] + self._documents[of, 1]


def _joined(documents: Int64[np.ndarray, "documents 2"]) -> Int64[np.ndarray, "runs 2"]:
    """The documents without the empty ones; those that follow each other in the corpus are one."""
    there = documents[documents[:, 1] > documents[:, 0]]
    if not len(there):
        return np.zeros((1, 2), dtype=np.int64)
    breaks = np.flatnonzero(there[1:, 0] != there[:-1, 1]) + 1
    return np.stack([there[np.r_[0, breaks], 0], there[np.r_[breaks - 1, len(there) - 1], 1]], axis=1)


def _cut(
    documents: Int64[np.ndarray, "documents 2"], window: int
) -> tuple[Int64[np.ndarray, " windows"], np.ndarray]:
    """The first token of each window, and how many targets it has."""
    targets = np.maximum(documents[:, 1] - documents[:, 0] - 1, 0)
    windows = -(-targets // window)
    of = np.repeat(np.arange(len(documents)), windows)
    number = np.arange(len(of)) - np.repeat(windows.cumsum() - windows, windows)
    starts = documents[of, 0] + number * window
    return starts, np.minimum(targets[of] - number * window, window).astype(np.int32)
