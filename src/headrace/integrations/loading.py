"""From somebody's data loader to one that is fed by a sampler and whose batches carry their indices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from headrace.errors import InputError
from headrace.sampling import ExampleSampler, Indexed

INDEX = "headrace_index"
"""The key of a batch under which its indices are."""


class Carry:
    """Collates (index, item) pairs: the items by somebody's function, and adds the indices.

    Args:
        collate: Items -> a batch as a dict.
    """

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self.collate = collate

    def __call__(self, pairs: list[tuple[int, Any]]) -> MutableMapping[str, Any]:
        """A batch with its indices under `INDEX`."""
        batch = self.collate([item for _, item in pairs])
        if not isinstance(batch, Mapping) or not hasattr(batch, "__setitem__"):
            raise InputError(
                "must make batches that are dicts, such as those of the tokenizer",
                where="data_collator",
                got=type(batch).__name__,
            )
        batch[INDEX] = torch.tensor([index for index, _ in pairs])  # pyright: ignore[reportIndexIssue]
        return batch  # pyright: ignore[reportReturnType]


class Feed:
    """A batch sampler around `ExampleSampler`, for a loop that skips what it has trained on itself.

    Args:
        sampler: Gives the batches.
        before_epoch: Called before an epoch is planned, on every rank.

    Attributes:
        skip: Items that the loop will skip at the beginning of the next walk: placeholders, because the
            sampler itself continues where it was.
    """

    def __init__(self, sampler: ExampleSampler, before_epoch: Callable[[], None]) -> None:
        self.sampler = sampler
        self.skip = 0
        self._before_epoch = before_epoch

    @property
    def batch_sampler(self) -> ExampleSampler:
        """The sampler, where loops look for something to call `set_epoch` on."""
        return self.sampler

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch is walked next."""
        self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[list[int]]:
        """The placeholders, and then the rest of the epoch."""
        skip, self.skip = self.skip, 0
        if not skip:
            self._before_epoch()
        yield from ([] for _ in range(skip))
        yield from self.sampler


def fed(loader: Any, feed: Feed) -> DataLoader[Any]:
    """A loader like this one that is fed by a sampler, and whose batches carry their indices.

    Args:
        loader: Somebody's loader of the training set; how it collates and its workers are kept.
        feed: Gives the batches.
    """
    kept = {
        name: getattr(loader, name)
        for name in ("num_workers", "pin_memory", "timeout", "worker_init_fn", "persistent_workers")
    }
    if loader.num_workers > 0:
        kept["prefetch_factor"] = loader.prefetch_factor
        kept["multiprocessing_context"] = loader.multiprocessing_context
    return DataLoader(
        Indexed(loader.dataset),
        batch_sampler=feed,  # pyright: ignore[reportArgumentType]
        collate_fn=Carry(loader.collate_fn),
        **kept,
    )


def examples_of(loader: Any) -> int:
    """How many examples a loader's data set has.

    Raises:
        InputError: It is iterable, so that its examples have no indices.
    """
    if isinstance(loader.dataset, IterableDataset) or not hasattr(loader.dataset, "__len__"):
        raise InputError(
            "must be a map-style data set, with a length and items: an iterable one has no indices",
            where="train_dataset",
            got=type(loader.dataset).__name__,
            fix="Read it into a map-style one first; Hugging Face: load_dataset(..., streaming=False).",
        )
    return len(loader.dataset)
