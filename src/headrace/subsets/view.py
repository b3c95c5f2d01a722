"""Views of a training set: some of its examples, its checksum, and weighted batches of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from headrace.nested import leaves
from headrace.random import torch_stream
from headrace.sampling.batches import Batch
from headrace.training.data import Device, ExampleData, TensorData
from headrace.workloads.identity import varies

HASHED = 65_536
"""Data sets of at most this many examples are hashed whole; of larger ones that many, spread evenly."""
_FETCH = 1_024


class Part:
    """Some examples of a data set, as a data set: example i is `data`'s example `indices[i]`.

    Args:
        data: The whole.
        indices: Which examples [part].
        labels: Their targets, if those of `data` must not be used.
    """

    def __init__(
        self, data: ExampleData, indices: Int64[Tensor, " part"], labels: Int64[Tensor, " part"] | None = None
    ) -> None:
        self.data = data
        self.indices = indices
        self.labels = None if labels is None else labels.to(indices.device)

    def __len__(self) -> int:
        """The number of examples in the part."""
        return len(self.indices)

    def fetch(self, indices: Int64[Tensor, " batch"]) -> tuple[Any, Shaped[Tensor, "batch ..."]]:
        """Inputs and targets of these examples of the part."""
        places = indices.to(self.indices.device)
        inputs, targets = self.data.fetch(self.indices.index_select(0, places))
        if self.labels is not None:
            targets = self.labels.index_select(0, places).to(targets.device)
        return inputs, targets

    def to(self, device: Device) -> Self:
        """The same part, fetched to `device`."""
        return type(self)(self.data.to(device), self.indices.to(device), self.labels)


class Labelled:
    """A map-style data set of pairs (input, target) with other targets for some of its examples.

    Args:
        dataset: The data set.
        labels: Example -> its target in place of the data set's.
    """

    def __init__(self, dataset: Any, labels: Mapping[int, int]) -> None:
        self.dataset = dataset
        self.labels = labels

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Input and target of one example."""
        example, target = self.dataset[index]
        return example, self.labels.get(index, target)


def checksum(data: ExampleData, *, targets: bool = True) -> str:
    """A SHA-256 of the examples: of all, or if there are more than `HASHED`, of that many spread evenly.

    Examples that are changed at random when they are fetched are fetched on a fixed stream, and rows of
    tensors without a transform that is random; so the checksum is always the same.

    Args:
        data: The data set.
        targets: Whether the targets count; False if they are hidden.

    Returns:
        `inputs+targets:<hexadecimal>` or `inputs:<hexadecimal>`.
    """
    data = _steady(data)
    digest = hashlib.sha256(str(len(data)).encode())
    places = np.linspace(0, len(data) - 1, min(len(data), HASHED)).round().astype(np.int64)
    for start in range(0, len(places), _FETCH):
        with torch_stream(0, "checksum", start):
            fetched = data.fetch(torch.from_numpy(places[start : start + _FETCH]))
        for tensor in leaves(fetched if targets else fetched[0]):
            digest.update(f"{tensor.dtype}{tuple(tensor.shape[1:])}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return f"{'inputs+targets' if targets else 'inputs'}:{digest.hexdigest()}"


def _steady(data: ExampleData) -> ExampleData:
    """The data without a random transform of tensors, which draws other numbers on another device."""
    if isinstance(data, TensorData) and data.transform is not None and varies("train", data):
        return TensorData(data.inputs, data.targets)
    return data


def mean_one(weights: Float[np.ndarray, " part"]) -> Float[np.ndarray, " part"]:
    """The weights divided by their mean, so that a step is as large as without weights."""
    return weights / weights.mean()


def weighted(batches: Iterator[Batch], weights: Float[Tensor, " part"] | None) -> Iterator[Batch]:
    """The batches, each example's weight multiplied by its subset weight; unchanged if all of those are 1."""
    return batches if weights is None else (_weighted(batch, weights) for batch in batches)


def _weighted(batch: Batch, weights: Float[Tensor, " part"]) -> Batch:
    mine = weights.index_select(0, batch.indices.to(weights.device))
    own = batch.weights
    return replace(batch, weights=mine if own is None else mine * own.to(weights.device))
