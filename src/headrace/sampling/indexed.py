"""A data set whose items carry their index, so that a loop knows which examples it was given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch.utils.data import Dataset

from headrace.checks import text
from headrace.errors import InputError


class Items(Protocol):
    """A map-style data set: anything with a length and items."""

    def __len__(self) -> int:
        """The number of examples."""
        ...

    def __getitem__(self, index: int, /) -> Any:
        """One example."""
        ...


class Indexed(Dataset[Any]):
    """The pairs (index, item) of a data set: `for index, (inputs, targets) in DataLoader(Indexed(data))`.

    Args:
        dataset: Any map-style data set; its items are not changed.
        key: If items are dicts: the key under which each item carries its index, instead of a pair. So
            collators of dicts keep it: `for batch in loader: index = batch.pop("index")`.

    Raises:
        InputError: Not a map-style data set. When an item is fetched with `key`: it is not a dict, or has
            this key already.
    """

    def __init__(self, dataset: Items, key: str | None = None) -> None:
        map_style = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
        if not map_style or isinstance(dataset, str | bytes):
            raise InputError(
                "must be a map-style data set, with a length and items",
                where="dataset",
                got=type(dataset).__name__,
                fix="An iterable data set has no indices: read it into a list first.",
            )
        self.dataset = dataset
        self.key = None if key is None else text(key, "key")

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        """The index and the data set's item at it: a pair, or a dict if there is a `key`."""
        return self._with_index(int(index), self.dataset[index])

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """The items of a batch; loaders call it, and data sets that read whole batches are asked once."""
        batched: Any = getattr(self.dataset, "__getitems__", None)
        items = [self.dataset[index] for index in indices] if batched is None else batched(indices)
        return [self._with_index(int(index), item) for index, item in zip(indices, items, strict=True)]

    def _with_index(self, index: int, item: Any) -> Any:
        if self.key is None:
            return index, item
        if not isinstance(item, Mapping):
            raise InputError(
                "items must be dicts if their index is to have a key",
                where=f"Indexed, item {index}",
                got=type(item).__name__,
                fix="Leave key out: items are then pairs (index, item).",
            )
        if self.key in item:
            fix = "Give another key=."
            raise InputError("the item has this key", where=f"Indexed, item {index}", got=self.key, fix=fix)
        return {**item, self.key: index}
